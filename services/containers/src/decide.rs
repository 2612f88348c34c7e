//! What to do about a request, given where the container is. Pure.

use crate::lifecycle::Phase;
use crate::record::Record;
use schema::Failure;
use schema::call::RequestId;

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
        Phase::Created | Phase::Exited => Ok(Verdict::Begin),
        Phase::Ending => match trouble {
            None => Ok(Verdict::Later),
            Some(trouble) => Err(trouble
                .clone()
                .context(format_args!("container {:?} cannot start before its last run is cleaned up", record.name()))),
        },
        Phase::Starting | Phase::Running | Phase::Stopping => {
            Err(Failure::conflict(format_args!("container {:?} is running already", record.name()))
                .hint("stop it first, or use `cctl restart`"))
        }
    }
}

/// A stop.
pub(crate) fn stop(record: &Record, request: RequestId) -> Verdict {
    match record.phase {
        // It is about to be started again.
        Phase::Ending if record.stop_order().is_some_and(|order| order.then_start) => Verdict::Later,
        Phase::Created | Phase::Ending | Phase::Exited | Phase::Removing => Verdict::Done,
        Phase::Starting => Verdict::Later,
        Phase::Running => Verdict::Begin,
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
        Phase::Created | Phase::Ending | Phase::Exited | Phase::Removing => start(record, trouble, request),
        Phase::Starting | Phase::Running | Phase::Stopping => Ok(stop(record, request)),
    }
}

fn is_ordered_by(record: &Record, request: RequestId) -> bool {
    record.stop_order().is_some_and(|order| order.request == request.0)
}

/// A removal of what does not run.
pub(crate) fn remove(record: &Record) -> Result<Verdict, Failure> {
    match record.phase {
        Phase::Created | Phase::Ending | Phase::Exited => Ok(Verdict::Begin),
        Phase::Removing => Ok(Verdict::Done),
        Phase::Starting | Phase::Running | Phase::Stopping => {
            Err(Failure::conflict(format_args!("container {:?} is running", record.name()))
                .hint("stop it first, or use `cctl rm -f`"))
        }
    }
}

/// That something is asked of a container that runs no more, or not yet.
pub(crate) fn not_running(record: &Record) -> Failure {
    Failure::conflict(format_args!("container {:?} is not running", record.name()))
        .hint("`cctl start` starts it, `cctl ps -a` shows its state")
}

fn being_removed(record: &Record) -> Failure {
    Failure::conflict(format_args!("container {:?} is being removed", record.name()))
}

/// When PID 1 is killed if it does not end: `timeout_ms` from now, never if that is the greatest number.
pub(crate) fn kill_at(now: i64, timeout_ms: u32) -> Option<i64> {
    (timeout_ms != u32::MAX).then(|| now.saturating_add(i64::from(timeout_ms) * 1_000_000))
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
    use crate::lifecycle::Event;
    use crate::record::StopOrder;
    use schema::Code;

    const PHASES: [Phase; 7] = [
        Phase::Created,
        Phase::Starting,
        Phase::Running,
        Phase::Stopping,
        Phase::Ending,
        Phase::Exited,
        Phase::Removing,
    ];

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
        record.run.as_mut().unwrap().stop = Some(StopOrder { request: 5, kill_at: None, then_start: false });
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
    fn the_sooner_kill_wins() {
        assert_eq!(kill_at(5, 2), Some(2_000_005));
        assert_eq!(kill_at(5, u32::MAX), None);
        assert_eq!(sooner(Some(1), Some(2)), Some(1));
        assert_eq!(sooner(None, Some(2)), Some(2));
        assert_eq!(sooner(Some(1), None), Some(1));
        assert_eq!(sooner(None, None), None);
    }
}
