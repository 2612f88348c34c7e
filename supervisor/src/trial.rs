//! A program that runs as a service on trial, before it is believed: which event leads to which verdict. Pure.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long it has to have been ready.
pub(crate) const PROBATION: Duration = Duration::from_secs(2);
/// How often it may end before: somebody may have killed it.
const ENDS: u32 = 3;

/// A trial that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trial {
    /// What is tried; none: the installed program.
    pub(crate) program: Option<PathBuf>,
    /// What was there before.
    pub(crate) previous: Option<PathBuf>,
    /// It has to be ready by then.
    deadline: Instant,
    /// Whether the first process of it was started.
    begun: bool,
    ends: u32,
}

impl Trial {
    /// A trial that begins now, of a program that may take this long to be ready.
    pub(crate) fn new(
        program: Option<PathBuf>,
        previous: Option<PathBuf>,
        start_timeout: Duration,
        now: Instant,
    ) -> Self {
        Self { program, previous, deadline: now + start_timeout, begun: false, ends: 0 }
    }

    /// A process is being started.
    pub(crate) fn starts(&mut self) {
        self.begun = true;
    }

    /// A process has ended, or could not be started. Whether that is enough: the program is no good.
    pub(crate) fn ended(&mut self, now: Instant) -> bool {
        if !self.begun {
            // The process of before, that made room.
            return false;
        }
        self.ends += 1;
        self.ends >= ENDS || now >= self.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_end_twice_but_not_be_late() {
        let now = Instant::now();
        let limit = Duration::from_secs(30);
        let mut trial = Trial::new(None, None, limit, now);
        assert!(!trial.ended(now), "the one before");
        trial.starts();
        assert_eq!([trial.ended(now), trial.ended(now), trial.ended(now)], [false, false, true]);
        let mut late = Trial::new(None, None, limit, now);
        late.starts();
        assert!(late.ended(now + limit));
    }
}
