//! How a run has ended, by its monitors' word. Blocks.

use super::directory;
use super::record::{Record, Spec};
use crate::host::Host;
use crate::process::{self, Process};
use schema::common::{ExitRecord, SandboxRef};
use schema::executor::Started;
use schema::{ContainerId, Failure};
use shim_protocol::exit::Exit;
use shim_protocol::layout;
use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// What is known of a run that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) exit: ExitRecord,
    pub(super) started: Started,
}

/// How long whoever inherited a process may take to reap it.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// Reads the exit record. None if there is none. What the monitor could not know, the keeper may.
pub(super) fn read(host: &Host, id: &ContainerId) -> Result<Option<Ended>, Failure> {
    let Some(exit) = record(host, id, layout::EXIT)? else { return Ok(None) };
    let exit = if exit.is_known() { exit } else { told(host, id, exit).unwrap_or(exit) };
    Ok(Some(ended(host, id, exit)))
}

/// The keeper's word of how a process ended, which it leaves before it reaps it. None if there is none.
fn told(host: &Host, id: &ContainerId, exit: Exit) -> Option<Exit> {
    let SandboxRef { pid, start_time } = Record::read(&host.directory(id)).ok()?.first?;
    let Exit { started_at, finished_at, .. } = exit;
    let until = Instant::now() + PATIENCE;
    loop {
        // In this order: what was reaped has left its word.
        let is_there = kit::process::start_time(pid).is_ok_and(|now| now == start_time);
        match host.words.told((pid, start_time)) {
            Some(status) => return Some(Exit::from_status(status, pid, started_at, finished_at)),
            None if is_there && Instant::now() < until => thread::sleep(PAUSE),
            None => return None,
        }
    }
}

/// Forgets the keeper's words of all processes but those of these sandboxes.
pub(super) fn forget_others(host: &Host, ids: &BTreeSet<ContainerId>) {
    let firsts: Vec<_> = ids.iter().filter_map(|id| Record::read(&host.directory(id)).ok()?.first).collect();
    let wanted = |(pid, start_time)| firsts.contains(&SandboxRef { pid, start_time });
    host.words.retain(wanted).unwrap_or_else(complain);
}

/// Forgets the keeper's word of a sandbox's process.
pub(super) fn forget(host: &Host, id: &ContainerId) {
    if let Some(SandboxRef { pid, start_time }) = Record::read(&host.directory(id)).ok().and_then(|record| record.first)
    {
        host.words.forget((pid, start_time)).unwrap_or_else(complain);
    }
}

fn complain(error: io::Error) {
    tracing::warn!(%error, "cannot forget how a process ended");
}

/// How PID 1 has ended, if a monitor that was killed has seen it.
pub(super) fn noted(host: &Host, id: &ContainerId) -> Result<Option<Exit>, Failure> {
    record(host, id, layout::ENDED)
}

fn record(host: &Host, id: &ContainerId, name: &CStr) -> Result<Option<Exit>, Failure> {
    let file = directory::file(&host.directory(id), name);
    let failed = |error: io::Error| Failure::io(format_args!("reading {}", file.display()), &error);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    Exit::decode(&text).map(Some).map_err(|error| failed(io::Error::other(error)))
}

/// What a monitor's word means.
pub(super) fn ended(host: &Host, id: &ContainerId, exit: Exit) -> Ended {
    let note = if exit.is_known() { String::new() } else { "unknown: the monitor was killed".to_owned() };
    let Exit { code, signal, pid, started_at, finished_at } = exit;
    Ended {
        exit: ExitRecord { code, signal, oom_killed: host.cgroups.oom_killed(id), finished_at, note },
        started: Started { pid, started_at },
    }
}

/// The first process of a sandbox whose monitor does not say which it is. None if there is none any more.
pub(super) fn find_first(host: &Host, id: &ContainerId, record: &Record) -> Option<(Process, Started)> {
    let noted = record.first.and_then(|first| Process::noted(first).ok()?);
    let process = match &record.spec {
        Spec::Sandbox(_) if noted.is_none() => {
            let pid = host.cgroups.processes(id).into_iter().find(|pid| process::is_first(*pid))?;
            Process::open(pid).ok()??
        }
        _ => noted?,
    };
    let pid = process.pid;
    let started_at = if record.started_at == 0 { process::started_at(pid).ok()? } else { record.started_at };
    Some((process, Started { pid, started_at }))
}
