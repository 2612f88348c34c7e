//! What is tried again, when, and how often. Pure.

use schema::Failure;
use std::time::Duration;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// A server that asks for more patience than this is not waited for.
const MOST_PATIENCE: Duration = Duration::from_secs(60);

/// What went wrong, and whether it may go better next time.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) failure: Failure,
    pub(crate) again: Again,
}

/// Whether it is worth another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It is not.
    Never,
    /// It is, after a while; after this one if the server has said so.
    Later(Option<Duration>),
}

impl Problem {
    /// One that stays.
    pub(crate) fn lasting(failure: Failure) -> Self {
        Self { failure, again: Again::Never }
    }

    /// One that may pass.
    pub(crate) fn passing(failure: Failure) -> Self {
        Self { failure, again: Again::Later(None) }
    }
}

/// A series of attempts.
#[derive(Debug)]
pub(crate) struct Attempts {
    most: u32,
    made: u32,
}

impl Attempts {
    pub(crate) fn new(most: u32) -> Self {
        Self { most, made: 0 }
    }

    /// Something was achieved: the series starts anew.
    pub(crate) fn progress(&mut self) {
        self.made = 0;
    }

    /// After a problem: how long to wait before the next attempt. The failure, if there is to be none.
    pub(crate) fn next(&mut self, problem: Problem) -> Result<Duration, Failure> {
        self.made += 1;
        let Problem { failure, again } = problem;
        match again {
            Again::Later(asked) if self.made < self.most && asked.is_none_or(|asked| asked <= MOST_PATIENCE) => {
                let doubled = FIRST_WAIT.saturating_mul(1 << (self.made - 1).min(10));
                Ok(asked.unwrap_or(doubled.min(LONGEST_WAIT)))
            }
            _ => Err(failure),
        }
    }
}

/// The header `Retry-After`, in its form as seconds. Dates are not heeded: clocks differ.
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(after: Option<u64>) -> Problem {
        Problem { failure: Failure::unavailable("x"), again: Again::Later(after.map(Duration::from_secs)) }
    }

    #[test]
    fn waits_double_and_end() {
        let mut attempts = Attempts::new(7);
        let waits: Vec<_> =
            std::iter::from_fn(|| attempts.next(passing(None)).ok()).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000]);
        attempts.progress();
        assert_eq!(attempts.next(passing(None)), Ok(FIRST_WAIT));
    }

    #[test]
    fn what_the_server_asks_for_is_heeded_within_reason() {
        let mut attempts = Attempts::new(9);
        assert_eq!(attempts.next(passing(Some(3))), Ok(Duration::from_secs(3)));
        assert!(attempts.next(passing(Some(3600))).is_err());
        assert!(attempts.next(Problem::lasting(Failure::not_found("x"))).is_err());
        assert_eq!(retry_after(" 7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT"), None);
    }
}
