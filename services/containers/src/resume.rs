//! Where to go on with a container after a restart of this service, or of the host. Pure.

use crate::lifecycle::Phase;
use crate::record::Record;
use crate::restart::{Before, is_due_after_reboot};
use schema::Failure;
use schema::common::ExitRecord;
use schema::executor::{self, Started};

/// What to do next with a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Nothing: it is at rest.
    Rest,
    /// Build its sandbox, as if nothing had been done: each step recognises what is there.
    Assemble,
    /// Execute PID 1, or hear that this was done.
    Launch,
    /// Wait for the end of its run.
    Watch,
    /// Its run was not recorded: record it, then wait for its end.
    Adopt(Started),
    /// Its run is over and nobody knows how it ended.
    Lost,
    /// A sandbox without a process is there that should not be.
    Sweep,
    /// Start it when its restart policy says.
    Retry,
    /// Clean up after its run.
    Clean,
    /// Go on removing it.
    Remove,
}

/// Decides from the record and from what the executor has of its sandbox.
pub(crate) fn resume(record: &Record, sandbox: Option<&executor::Phase>) -> Resume {
    use executor::Phase as Sandbox;
    let is_assembled = record.run.as_ref().is_some_and(|run| run.assembled);
    match (record.phase, sandbox) {
        (Phase::Removing, _) => Resume::Remove,
        (Phase::Ending, _) => Resume::Clean,
        // The executor answers a repeated start as it did the first time, also if the process has ended.
        (Phase::Starting, Some(Sandbox::Running(_) | Sandbox::Exited(_))) => Resume::Launch,
        (Phase::Starting, Some(Sandbox::Parked)) if is_assembled => Resume::Launch,
        // PID 1 may have run: it is not run a second time.
        (Phase::Starting, None) if is_assembled => Resume::Lost,
        (Phase::Starting, Some(Sandbox::Parked) | None) => Resume::Assemble,
        (Phase::Running | Phase::Paused | Phase::Stopping, Some(Sandbox::Running(_) | Sandbox::Exited(_))) => {
            Resume::Watch
        }
        (Phase::Running | Phase::Paused | Phase::Stopping, Some(Sandbox::Parked) | None) => Resume::Lost,
        // The record of the run was damaged, and an older record was used.
        (Phase::Created | Phase::Exited | Phase::Restarting, Some(Sandbox::Running(started))) => {
            Resume::Adopt(*started)
        }
        (Phase::Created | Phase::Exited | Phase::Restarting, Some(Sandbox::Exited(exit))) => {
            Resume::Adopt(Started { pid: 0, started_at: exit.finished_at })
        }
        (Phase::Created | Phase::Exited | Phase::Restarting, Some(Sandbox::Parked)) => Resume::Sweep,
        (Phase::Restarting, None) => Resume::Retry,
        (Phase::Created | Phase::Exited, None) => Resume::Rest,
    }
}

/// The end of a run of which nobody knows how it came.
pub(crate) fn unknown_end(why: &str) -> ExitRecord {
    ExitRecord {
        code: -1,
        signal: 0,
        oom_killed: false,
        finished_at: kit::process::now(),
        note: format!("unknown: {why}"),
    }
}

/// Brings a record of an earlier boot up to date: nothing of a container survives the kernel, but for its
/// writable layer, its log, and perhaps a lease of an address, which is given back. Its restart policy may
/// want it to run. The same again for what was brought up to date.
pub(crate) fn after_reboot(mut record: Record) -> Result<Record, Failure> {
    const WHY: &str = "the host was restarted";
    if record.is_to_restart() || record.phase == Phase::Removing {
        return Ok(record);
    }
    let before = before_reboot(&record);
    match record.phase {
        Phase::Starting | Phase::Running | Phase::Paused | Phase::Stopping => record.lost(unknown_end(WHY))?,
        Phase::Created | Phase::Ending | Phase::Exited | Phase::Restarting | Phase::Removing => {}
    }
    // A restart that was under way is not gone on with: whether it still makes sense is for its user to say.
    if let Some(run) = &mut record.run {
        run.stop = None;
    }
    let is_due = is_due_after_reboot(record.container.spec.restart, before, record.container.restart_count);
    record.retry_now(is_due)?;
    Ok(record)
}

fn before_reboot(record: &Record) -> Before {
    let with_all = record.stop_order().is_some_and(|order| order.with_all);
    let has_failed = record.container.exit.as_ref().is_some_and(|exit| exit.code != 0);
    Before {
        was_started: record.run.is_some(),
        was_active: record.phase == Phase::Starting || record.phase.is_running() || (with_all && has_failed),
        was_stopped: record.policy.stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use schema::containers::{RestartKind, RestartPolicy, State};

    const STARTED: Started = Started { pid: 77, started_at: 5 };

    fn at(phase: Phase, assembled: bool) -> Record {
        let run = crate::record::Run { assembled, ..fixture::run(1) };
        Record { phase, run: Some(run), ..fixture::record(1, "web") }
    }

    #[test]
    fn a_start_goes_on_where_it_was() {
        let running = executor::Phase::Running(STARTED);
        let exited = executor::Phase::Exited(unknown_end("test"));
        let parked = executor::Phase::Parked;
        for sandbox in [None, Some(&parked)] {
            assert_eq!(resume(&at(Phase::Starting, false), sandbox), Resume::Assemble);
        }
        assert_eq!(resume(&at(Phase::Starting, true), Some(&parked)), Resume::Launch);
        for sandbox in [&running, &exited] {
            assert_eq!(resume(&at(Phase::Starting, true), Some(sandbox)), Resume::Launch);
            for phase in [Phase::Running, Phase::Paused, Phase::Stopping] {
                assert_eq!(resume(&at(phase, true), Some(sandbox)), Resume::Watch);
            }
        }
    }

    #[test]
    fn a_run_without_a_sandbox_is_over() {
        for phase in [Phase::Starting, Phase::Running, Phase::Paused, Phase::Stopping] {
            assert_eq!(resume(&at(phase, true), None), Resume::Lost);
        }
        assert_eq!(resume(&at(Phase::Exited, true), None), Resume::Rest);
    }

    #[test]
    fn what_runs_is_never_swept_away() {
        let running = executor::Phase::Running(STARTED);
        for phase in [Phase::Created, Phase::Exited, Phase::Restarting] {
            assert_eq!(resume(&at(phase, false), Some(&running)), Resume::Adopt(STARTED));
            assert_eq!(resume(&at(phase, false), Some(&executor::Phase::Parked)), Resume::Sweep);
        }
    }

    #[test]
    fn nothing_runs_after_a_reboot() {
        // Of one that was starting, the record may be behind.
        for phase in [Phase::Starting, Phase::Running, Phase::Paused, Phase::Stopping] {
            let record = after_reboot(at(phase, true)).unwrap();
            assert_eq!((record.phase, record.container.state), (Phase::Ending, State::Exited));
            let exit = record.container.exit.unwrap();
            assert_eq!((exit.code, exit.note.as_str()), (-1, "unknown: the host was restarted"));
        }
        for phase in [Phase::Created, Phase::Ending, Phase::Exited, Phase::Removing] {
            let record = at(phase, true);
            assert_eq!(after_reboot(record.clone()), Ok(record));
        }
    }

    #[test]
    fn after_a_reboot_policies_start_what_ran_and_change_nothing_the_second_time() {
        let always = RestartPolicy { kind: RestartKind::Always, maximum: 0 };
        for (phase, next) in [
            (Phase::Starting, Phase::Ending),
            (Phase::Running, Phase::Ending),
            (Phase::Paused, Phase::Ending),
            (Phase::Stopping, Phase::Ending),
            (Phase::Ending, Phase::Ending),
            (Phase::Exited, Phase::Restarting),
        ] {
            let mut record = at(phase, true);
            record.container.spec.restart = always;
            let now = after_reboot(record).unwrap();
            assert_eq!((now.phase, now.container.state), (next, State::Restarting), "{phase:?}");
            assert_eq!(after_reboot(now.clone()), Ok(now));
        }
        let never = Record { run: None, ..at(Phase::Created, false) };
        assert_eq!(after_reboot(never.clone()), Ok(never));
        let mut removing = at(Phase::Removing, true);
        removing.container.spec.restart = always;
        assert_eq!(after_reboot(removing.clone()), Ok(removing));
    }

    #[test]
    fn a_restart_that_was_waiting_goes_on_waiting() {
        let mut record = at(Phase::Restarting, true);
        record.policy.again_at = Some(5);
        assert_eq!(resume(&record, None), Resume::Retry);
        assert_eq!(after_reboot(record.clone()), Ok(record));
    }
}
