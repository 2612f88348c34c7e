//! What to do about a request, given where the container is. Pure.

use crate::lifecycle::Phase;
use crate::record::Record;
use schema::Failure;
use schema::call::RequestId;

/// How long a stop waits if nobody says otherwise, milliseconds.
const DEFAULT_TIMEOUT_MS: u32 = 10_000;

/// What to do about a request that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Do it.
    Begin,
    /// It is done or being done.
    Done,
    /// Ask again when the container has come to rest.
    Later,
}

/// A start. `trouble` is what keeps the container from coming to rest, if something does.
pub(crate) fn start(record: &Record, trouble: Option<&Failure>, request: RequestId) -> Result<Verdict, Failure> {
    match record.phase {
        Phase::Removing => Err(being_removed(record)),
        _ if record.started_by(request) => Ok(Verdict::Done),
        Phase::Created | Phase::Exited | Phase::Restarting => Ok(Verdict::Begin),
        Phase::Ending => match trouble {
            None => Ok(Verdict::Later),
            Some(trouble) => Err(trouble
                .clone()
                .context(format_args!("container {:?} cannot start before its last run is cleaned up", record.name()))),
        },
        Phase::Paused => {
            Err(Failure::conflict(format_args!("container {:?} is running already, and paused", record.name()))
                .hint("use `cctl unpause`"))
        }
        Phase::Starting | Phase::Running | Phase::Stopping => {
            Err(Failure::conflict(format_args!("container {:?} is running already", record.name()))
                .hint("stop it first, or use `cctl restart`"))
        }
    }
}

/// A stop.
pub(crate) fn stop(record: &Record, request: RequestId) -> Verdict {
    match record.phase {
        // Its restart policy is about to start it: that is called off.
        Phase::Ending | Phase::Restarting if record.is_to_restart() => Verdict::Begin,
        // Its user is about to start it again.
        Phase::Ending if record.stop_order().is_some_and(|order| order.then_start) => Verdict::Later,
        Phase::Created | Phase::Ending | Phase::Exited | Phase::Restarting | Phase::Removing => Verdict::Done,
        Phase::Starting => Verdict::Later,
        Phase::Running | Phase::Paused => Verdict::Begin,
        Phase::Stopping => {
            if is_ordered_by(record, request) {
                Verdict::Done
            } else {
                Verdict::Begin
            }
        }
    }
}

/// A restart of what runs. What does not run is started.
pub(crate) fn restart(record: &Record, trouble: Option<&Failure>, request: RequestId) -> Result<Verdict, Failure> {
    match record.phase {
        _ if record.started_by(request) => start(record, trouble, request),
        Phase::Created | Phase::Ending | Phase::Exited | Phase::Restarting | Phase::Removing => {
            start(record, trouble, request)
        }
        Phase::Starting | Phase::Running | Phase::Paused | Phase::Stopping => Ok(stop(record, request)),
    }
}

fn is_ordered_by(record: &Record, request: RequestId) -> bool {
    record.stop_order().is_some_and(|order| order.request == request.0)
}

/// A removal of what does not run.
pub(crate) fn remove(record: &Record) -> Result<Verdict, Failure> {
    let refuse = |what: &str| {
        Err(Failure::conflict(format_args!("container {:?} is {what}", record.name()))
            .hint("stop it first, or use `cctl rm -f`"))
    };
    match record.phase {
        Phase::Ending | Phase::Restarting if record.is_to_restart() => refuse("restarting"),
        Phase::Created | Phase::Ending | Phase::Exited => Ok(Verdict::Begin),
        Phase::Removing => Ok(Verdict::Done),
        Phase::Paused => refuse("paused"),
        Phase::Starting | Phase::Running | Phase::Stopping | Phase::Restarting => refuse("running"),
    }
}

/// A pause of all its processes, or its end.
pub(crate) fn pause(record: &Record, is_paused: bool) -> Result<Verdict, Failure> {
    match record.phase {
        Phase::Paused => Ok(if is_paused { Verdict::Done } else { Verdict::Begin }),
        Phase::Running => Ok(if is_paused { Verdict::Begin } else { Verdict::Done }),
        Phase::Starting => Ok(Verdict::Later),
        Phase::Stopping => Err(Failure::conflict(format_args!("container {:?} is being stopped", record.name()))),
        Phase::Created | Phase::Ending | Phase::Exited | Phase::Restarting | Phase::Removing => {
            Err(not_running(record))
        }
    }
}

/// A further process.
pub(crate) fn exec(record: &Record) -> Result<Verdict, Failure> {
    match record.phase {
        Phase::Running | Phase::Stopping => Ok(Verdict::Begin),
        Phase::Starting => Ok(Verdict::Later),
        Phase::Paused => Err(Failure::conflict(format_args!("container {:?} is paused", record.name()))
            .hint(format_args!("`cctl unpause {}` lets it go on", record.name()))),
        Phase::Created | Phase::Ending | Phase::Exited | Phase::Restarting | Phase::Removing => {
            Err(not_running(record))
        }
    }
}

/// That something is asked of a container that runs no more, or not yet.
pub(crate) fn not_running(record: &Record) -> Failure {
    let what = if record.is_to_restart() { "restarting: it does not run now" } else { "not running" };
    Failure::conflict(format_args!("container {:?} is {what}", record.name()))
        .hint("`cctl start` starts it, `cctl ps -a` shows its state")
}

fn being_removed(record: &Record) -> Failure {
    Failure::conflict(format_args!("container {:?} is being removed", record.name()))
}

/// When PID 1 is killed if it does not end: `asked` milliseconds from now, or, if that is the greatest number, as
/// long as its record says: 0 is 10 s, the greatest number for ever.
pub(crate) fn kill_at(now: i64, asked: u32, recorded: u32) -> Option<i64> {
    let timeout_ms = match (asked, recorded) {
        (u32::MAX, u32::MAX) => return None,
        (u32::MAX, 0) => DEFAULT_TIMEOUT_MS,
        (u32::MAX, recorded) => recorded,
        (asked, _) => asked,
    };
    Some(now.saturating_add(i64::from(timeout_ms) * 1_000_000))
}

/// Of two times to kill, the one that holds: a second request may shorten the time, never lengthen it.
pub(crate) fn sooner(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (time, None) | (None, time) => time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::lifecycle::{Event, PHASES};
    use crate::record::StopOrder;
    use schema::Code;

    fn at(phase: Phase, request: u64) -> Record {
        Record { phase, run: Some(fixture::run(request)), ..fixture::record(1, "web") }
    }

    #[test]
    fn the_same_request_never_starts_twice() {
        for phase in PHASES {
            let again = start(&at(phase, 7), None, RequestId(7));
            match phase {
                Phase::Removing => assert_eq!(again.unwrap_err().code, Code::Conflict),
                _ => assert_eq!(again, Ok(Verdict::Done), "{phase:?}"),
            }
        }
    }

    #[test]
    fn verdicts_begin_only_what_the_lifecycle_allows() {
        for phase in PHASES {
            let record = at(phase, 7);
            let begins = |verdict| verdict == Ok(Verdict::Begin);
            assert_eq!(begins(start(&record, None, RequestId(8))), phase.after(Event::Start).is_some(), "{phase:?}");
            assert_eq!(begins(remove(&record)), phase.after(Event::Remove).is_some(), "{phase:?}");
            let stops = begins(Ok(stop(&record, RequestId(8))));
            assert_eq!(stops, phase.after(Event::Stop).is_some() || phase == Phase::Stopping, "{phase:?}");
            let pauses = begins(pause(&record, true).or(Ok(Verdict::Done)));
            assert_eq!(pauses, phase.after(Event::Pause).is_some(), "{phase:?}");
            let goes_on = begins(pause(&record, false).or(Ok(Verdict::Done)));
            assert_eq!(goes_on, phase.after(Event::Unpause).is_some(), "{phase:?}");
        }
    }

    #[test]
    fn a_running_container_is_not_started_or_removed() {
        let failure = start(&at(Phase::Running, 7), None, RequestId(8)).unwrap_err();
        assert_eq!((failure.code, failure.message.as_str()), (Code::Conflict, "container \"web\" is running already"));
        let failure = remove(&at(Phase::Running, 7)).unwrap_err();
        assert!(failure.code == Code::Conflict && failure.hint.contains("rm -f"), "{failure:?}");
    }

    #[test]
    fn what_cannot_be_cleaned_up_says_why() {
        let trouble = Failure::unavailable("no network");
        let failure = start(&at(Phase::Ending, 7), Some(&trouble), RequestId(8)).unwrap_err();
        assert!(failure.code == Code::Unavailable && failure.message.contains("no network"), "{failure}");
        assert_eq!(start(&at(Phase::Ending, 7), None, RequestId(8)), Ok(Verdict::Later));
    }

    #[test]
    fn a_repeated_stop_does_not_signal_again() {
        let mut record = at(Phase::Stopping, 1);
        record.run.as_mut().unwrap().stop =
            Some(StopOrder { request: 5, kill_at: None, then_start: false, with_all: false });
        assert_eq!(stop(&record, RequestId(5)), Verdict::Done);
        assert_eq!(stop(&record, RequestId(6)), Verdict::Begin);
        assert_eq!(restart(&record, None, RequestId(5)), Ok(Verdict::Done));
    }

    #[test]
    fn a_restart_is_done_once() {
        assert_eq!(restart(&at(Phase::Running, 7), None, RequestId(7)), Ok(Verdict::Done));
        assert_eq!(restart(&at(Phase::Running, 7), None, RequestId(8)), Ok(Verdict::Begin));
        assert_eq!(restart(&at(Phase::Exited, 7), None, RequestId(8)), Ok(Verdict::Begin));
        assert_eq!(restart(&at(Phase::Starting, 7), None, RequestId(8)), Ok(Verdict::Later));
        assert!(restart(&at(Phase::Removing, 7), None, RequestId(8)).is_err());
    }

    #[test]
    fn a_restart_that_is_due_is_called_off_or_begun_at_once() {
        for phase in [Phase::Ending, Phase::Restarting] {
            let mut record = at(phase, 7);
            record.policy.again_at = Some(1);
            assert_eq!(stop(&record, RequestId(8)), Verdict::Begin);
            let refused = remove(&record).unwrap_err();
            assert!(refused.code == Code::Conflict && refused.message.ends_with("is restarting"), "{refused}");
            assert!(exec(&record).unwrap_err().message.contains("restarting"));
        }
        assert_eq!(start(&at(Phase::Restarting, 7), None, RequestId(8)), Ok(Verdict::Begin));
    }

    #[test]
    fn a_paused_container_takes_no_further_process() {
        let refused = exec(&at(Phase::Paused, 7)).unwrap_err();
        assert_eq!((refused.code, refused.hint.as_str()), (Code::Conflict, "`cctl unpause web` lets it go on"));
    }

    #[test]
    fn the_sooner_kill_wins() {
        assert_eq!(kill_at(5, 2, 7), Some(2_000_005));
        assert_eq!(kill_at(5, u32::MAX, 7), Some(7_000_005));
        assert_eq!(kill_at(5, u32::MAX, 0), Some(10_000_000_005));
        assert_eq!(kill_at(5, u32::MAX, u32::MAX), None);
        assert_eq!(sooner(Some(1), Some(2)), Some(1));
        assert_eq!(sooner(None, Some(2)), Some(2));
        assert_eq!(sooner(Some(1), None), Some(1));
        assert_eq!(sooner(None, None), None);
    }
}
