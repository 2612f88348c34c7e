//! Doing it.

use crate::plan::{Kind, SERVICES, Step, Target};
use crate::standing::Standing;
use harness::Instance;
use rustix::process::{Pid, Signal, kill_process};
use schema::supervisor::ServiceStatus;
use std::fs;
use std::thread::sleep;

/// The parent of a process.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The processes of a target, by what the supervisor said last.
fn processes(target: Target, status: &[ServiceStatus], standing: &[Standing]) -> Vec<i32> {
    let pid = |name: &str| status.iter().find(|row| row.service == name).map(|row| row.pid).filter(|pid| *pid != 0);
    match target {
        Target::Service(name) => pid(name).into_iter().collect(),
        Target::Supervisor => pid("supervisor").into_iter().collect(),
        Target::Keeper => pid("supervisor").and_then(parent).filter(|pid| *pid > 1).into_iter().collect(),
        Target::Shim(number) => shim(number, standing).into_iter().collect(),
        Target::All => std::iter::once("supervisor").chain(SERVICES).filter_map(pid).collect(),
    }
}

/// The monitor of the container that a number chooses.
pub(crate) fn shim(number: u64, standing: &[Standing]) -> Option<i32> {
    let count = u64::try_from(standing.len()).expect("few");
    standing[usize::try_from(number % count).expect("below the count")].shim()
}

/// Whether there is somebody to do it to: a service may be on its way back from what was done before.
pub(crate) fn is_there(step: &Step, status: &[ServiceStatus], standing: &[Standing]) -> bool {
    step.targets.iter().all(|target| !processes(*target, status, standing).is_empty())
}

/// Does it to all targets at the same moment.
pub(crate) fn inject(step: &Step, status: &[ServiceStatus], standing: &[Standing], cctl: &Instance) {
    let pids: Vec<i32> = step.targets.iter().flat_map(|target| processes(*target, status, standing)).collect();
    let send = |signal: Signal| {
        for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
            // Who has ended meanwhile is just as dead.
            let _ = kill_process(pid, signal);
        }
    };
    match step.kind {
        Kind::Kill => send(Signal::KILL),
        Kind::Hang => send(Signal::STOP),
        Kind::Pause(length) => {
            send(Signal::STOP);
            sleep(length);
            send(Signal::CONT);
        }
        Kind::Restart => {
            for target in &step.targets {
                cctl.cctl(&["system", "restart", target.name()]).ok();
            }
        }
    }
}
