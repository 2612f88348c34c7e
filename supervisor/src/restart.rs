//! When a service is started again: a pure function of how its runs ended.

use crate::duration;
use serde::Deserialize;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The restart policy of a service; `deploy/services.toml` explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// Starts within `period` that may fail; one more, and the service is given up.
    pub(crate) intensity: usize,
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) period: Duration,
    pub(crate) backoff: Backoff,
}

/// How long to wait between restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backoff {
    /// Before the second restart of a series; the first is immediate. After a run that got ready, at most twice this.
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) first: Duration,
    /// Before any restart.
    #[serde(deserialize_with = "duration::deserialize")]
    pub(crate) longest: Duration,
}

/// What to do after a run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Start again after this time.
    Restart(Duration),
    /// Too many starts have failed.
    GiveUp,
}

/// A series of runs, each of which ended soon.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Series {
    length: u32,
}

impl Series {
    /// Adds a run that served for so long, and says how long to wait before the next. A run that served for
    /// the longest pause ends the series: whatever ended it is news.
    pub(crate) fn pause(&mut self, backoff: &Backoff, served: Duration) -> Duration {
        if served >= backoff.longest {
            self.length = 0;
        }
        self.length = self.length.saturating_add(1);
        match self.length {
            1 => Duration::ZERO,
            length => {
                let factor = 1_u32.checked_shl(length - 2).unwrap_or(u32::MAX);
                backoff.first.saturating_mul(factor).min(backoff.longest)
            }
        }
    }
}

/// What is remembered of a service's runs.
///
/// Only starts that never became ready count towards giving up: a service that gets ready has recovered its
/// state and serves, and giving it up would make a partial outage a whole one. For the same reason its users do not wait
/// for the longest pause: a start that works costs little.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    series: Series,
    failed_starts: VecDeque<Instant>,
}

impl History {
    /// Judges a run that has ended `now`; `served` is how long it had been ready, none: it never was.
    pub(crate) fn judge(&mut self, policy: &Policy, served: Option<Duration>, now: Instant) -> Decision {
        let mut pause = self.series.pause(&policy.backoff, served.unwrap_or_default());
        if served.is_some() {
            pause = pause.min(policy.backoff.first.saturating_mul(2));
        } else {
            self.failed_starts.push_back(now);
        }
        self.failed_starts.retain(|at| now.saturating_duration_since(*at) < policy.period);
        if served.is_none() && self.failed_starts.len() > policy.intensity {
            return Decision::GiveUp;
        }
        Decision::Restart(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy() -> impl Strategy<Value = Policy> {
        (0usize..40, 1u64..120_000, 1u64..1_000, 1u64..60).prop_map(|(intensity, period, first, factor)| Policy {
            intensity,
            period: Duration::from_millis(period),
            backoff: Backoff { first: Duration::from_millis(first), longest: Duration::from_millis(first * factor) },
        })
    }

    fn served() -> impl Strategy<Value = Option<Duration>> {
        prop::option::of((0u64..100_000).prop_map(Duration::from_millis))
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(1) };
        let mut series = Series::default();
        let pauses: Vec<_> = (0..8).map(|_| series.pause(&backoff, Duration::ZERO).as_millis()).collect();
        assert_eq!(pauses, [0, 50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(series.pause(&backoff, backoff.longest), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn pauses_never_shrink_in_a_series_and_are_bounded(policy in policy(), length in 1usize..100) {
            let mut series = Series::default();
            let mut before = Duration::ZERO;
            for index in 0..length {
                let pause = series.pause(&policy.backoff, Duration::ZERO);
                prop_assert!(pause >= before && pause <= policy.backoff.longest);
                prop_assert_eq!(pause.is_zero(), index == 0);
                before = pause;
            }
        }

        #[test]
        fn who_uses_a_service_that_starts_does_not_wait_long(policy in policy(), runs in prop::collection::vec(served(), 1..50)) {
            let mut history = History::default();
            let now = Instant::now();
            for served in runs {
                if let (Some(_), Decision::Restart(pause)) = (served, history.judge(&policy, served, now)) {
                    prop_assert!(pause <= policy.backoff.first * 2);
                }
            }
        }

        #[test]
        fn a_run_that_served_long_is_followed_at_once(policy in policy(), runs in prop::collection::vec(served(), 0..50)) {
            let mut history = History::default();
            let now = Instant::now();
            for served in runs {
                history.judge(&policy, served, now);
            }
            let decision = history.judge(&policy, Some(policy.backoff.longest), now);
            prop_assert_eq!(decision, Decision::Restart(Duration::ZERO));
        }

        #[test]
        fn gives_up_exactly_when_too_many_starts_fail_within_the_period(
            policy in policy(),
            runs in prop::collection::vec((0u64..5_000, served()), 1..80),
        ) {
            let mut history = History::default();
            let mut now = Instant::now();
            let mut failed = Vec::new();
            for (gap, served) in runs {
                now += Duration::from_millis(gap);
                if served.is_none() {
                    failed.push(now);
                }
                let recent = failed.iter().filter(|at| now - **at < policy.period).count();
                let gave_up = history.judge(&policy, served, now) == Decision::GiveUp;
                prop_assert_eq!(gave_up, served.is_none() && recent > policy.intensity);
            }
        }
    }
}
