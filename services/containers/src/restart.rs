//! Restart policies: whether and when a container whose run is over is started again. Pure.

use schema::containers::{RestartKind, RestartPolicy};
use std::time::Duration;

/// Pause before the first of a series of restarts. These three are Docker's.
const FIRST: Duration = Duration::from_millis(100);
/// Each further pause is twice as long as the one before, up to this.
const LONGEST: Duration = Duration::from_secs(60);
/// A run that took so long ends the series.
const STABLE: Duration = Duration::from_secs(10);

/// How a run that is over came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// It could not be started.
    NotStarted,
    /// A user, or the end of all containers, ended it.
    Ordered,
}

/// Whether a run is followed by another one. `count` is how often the policy did that since a user started it.
pub(crate) fn is_due(policy: RestartPolicy, end: End, count: u32) -> bool {
    match (policy.kind, end) {
        (RestartKind::No, _) | (_, End::Ordered) => false,
        (RestartKind::Always | RestartKind::UnlessStopped, _) => true,
        (RestartKind::OnFailure, end) => end != End::Exited(0) && has_tries_left(policy, count),
    }
}

fn has_tries_left(policy: RestartPolicy, count: u32) -> bool {
    policy.maximum == 0 || count < policy.maximum
}

/// What is known of a container after a restart of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    /// It was started at least once.
    pub(crate) was_started: bool,
    /// It ran, or was about to, or was ended only because all containers were.
    pub(crate) was_active: bool,
    /// The last word of a user was to stop it.
    pub(crate) was_stopped: bool,
}

/// Whether a container is started after a restart of the host.
pub(crate) fn is_due_after_reboot(policy: RestartPolicy, before: Before, count: u32) -> bool {
    match policy.kind {
        RestartKind::No => false,
        RestartKind::Always => before.was_started,
        RestartKind::UnlessStopped => before.was_started && !before.was_stopped,
        RestartKind::OnFailure => before.was_active && !before.was_stopped && has_tries_left(policy, count),
    }
}

/// The pause before the next restart, after a run that took `ran`. `previous` is the pause before that run;
/// zero if no policy had started it.
pub(crate) fn pause(previous: Duration, ran: Duration) -> Duration {
    if previous.is_zero() || ran >= STABLE { FIRST } else { (previous * 2).clamp(FIRST, LONGEST) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(kind: RestartKind, maximum: u32) -> RestartPolicy {
        RestartPolicy { kind, maximum }
    }

    #[test]
    fn policies_say_when_a_run_is_followed_by_another() {
        use RestartKind::{Always, No, OnFailure, UnlessStopped};
        for (kind, after_success, after_failure) in
            [(No, false, false), (OnFailure, false, true), (Always, true, true), (UnlessStopped, true, true)]
        {
            assert_eq!(is_due(policy(kind, 0), End::Exited(0), 9), after_success, "{kind:?}");
            for failure in [End::Exited(1), End::Exited(-1), End::NotStarted] {
                assert_eq!(is_due(policy(kind, 0), failure, 9), after_failure, "{kind:?} {failure:?}");
            }
            assert!(!is_due(policy(kind, 0), End::Ordered, 0), "{kind:?}");
        }
        assert!(is_due(policy(OnFailure, 3), End::Exited(1), 2));
        assert!(!is_due(policy(OnFailure, 3), End::Exited(1), 3));
    }

    #[test]
    fn after_a_reboot_a_users_stop_holds_for_all_but_always() {
        use RestartKind::{Always, No, OnFailure, UnlessStopped};
        let ran = Before { was_started: true, was_active: true, was_stopped: false };
        let stopped = Before { was_stopped: true, was_active: false, ..ran };
        let done = Before { was_active: false, ..ran };
        let new = Before { was_started: false, was_active: false, was_stopped: false };
        for (kind, expected) in [
            (No, [false; 4]),
            (Always, [true, true, true, false]),
            (UnlessStopped, [true, false, true, false]),
            (OnFailure, [true, false, false, false]),
        ] {
            let due = [ran, stopped, done, new].map(|before| is_due_after_reboot(policy(kind, 0), before, 0));
            assert_eq!(due, expected, "{kind:?}");
        }
        assert!(!is_due_after_reboot(policy(OnFailure, 2), ran, 2));
    }

    #[test]
    fn pauses_double_from_100_ms_to_a_minute_and_begin_anew_after_a_stable_run() {
        let mut last = Duration::ZERO;
        let pauses: Vec<_> = (0..12)
            .map(|_| {
                last = pause(last, Duration::from_secs(9));
                last.as_millis()
            })
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!(pause(last, STABLE), FIRST);
    }

    proptest! {
        #[test]
        fn a_pause_is_within_bounds(previous in 0_u64..120_000, ran in 0_u64..20_000) {
            let next = pause(Duration::from_millis(previous), Duration::from_millis(ran));
            prop_assert!((FIRST..=LONGEST).contains(&next));
        }
    }
}
