//! Whom a container that writes fast waits for.
//!
//! A log is bounded, so a client that is attached to a fast writer could be overtaken by rotation. What it has not
//! read yet is held for it, as long as it goes on reading: a client that stopped holds up nobody for long.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a hold lasts after a client was answered.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// Clients that are waited for at one time. Others are served, and may be overtaken.
const MOST: usize = 64;

/// A client's hold.
#[derive(Clone, Copy, Debug)]
struct Hold {
    position: u64,
    until: Instant,
}

/// The holds on one log.
#[derive(Debug, Default)]
pub(crate) struct Holds(Mutex<HashMap<u64, Hold>>);

impl Holds {
    /// A client reads from `position` on: that is held for it until then. Reader 0 holds nothing.
    pub(crate) fn renew(&self, reader: u64, position: u64, until: Instant) {
        let mut holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reader != 0 && (holds.len() < MOST || holds.contains_key(&reader)) {
            holds.insert(reader, Hold { position, until });
        }
    }

    /// Whether somebody still needs bytes before `end`.
    pub(crate) fn need(&self, end: u64) -> bool {
        let mut holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        holds.retain(|_, hold| hold.until > now);
        holds.values().any(|hold| hold.position < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_lasts_until_its_client_reads_on_or_stops() {
        let (holds, now) = (Holds::default(), Instant::now());
        let later = now + Duration::from_secs(60);
        assert!(!holds.need(100));
        holds.renew(0, 0, later);
        assert!(!holds.need(100));
        holds.renew(7, 99, later);
        assert!(holds.need(100) && !holds.need(99));
        holds.renew(7, 100, later);
        assert!(!holds.need(100));
        holds.renew(8, 0, now);
        assert!(!holds.need(100));
    }

    #[test]
    fn holds_are_bounded() {
        let holds = Holds::default();
        let later = Instant::now() + Duration::from_secs(60);
        for reader in 1..=1000 {
            holds.renew(reader, 50, later);
        }
        assert_eq!(holds.0.lock().unwrap().len(), MOST);
        holds.renew(1, 60, later);
        assert!(holds.need(51));
    }
}
