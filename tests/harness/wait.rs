//! Waiting for what must become true.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the harness looks for something that must become true: far longer than it takes.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `found` gives a value. Panics, naming `what`, when that takes too long.
pub fn eventually<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    within(LIMIT, found).unwrap_or_else(|| panic!("{what}: not in {LIMIT:?}"))
}

/// Looks until `found` gives a value, for at most `limit`.
pub fn within<T>(limit: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = found() {
            return Some(value);
        }
        if Instant::now() > end {
            return None;
        }
        sleep(PAUSE);
    }
}
