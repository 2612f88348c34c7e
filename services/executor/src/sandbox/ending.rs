//! How a run has ended, by its monitors' word. Blocks.

use super::directory;
use super::record::{Record, Spec};
use crate::host::Host;
use crate::process::{self, Process};
use schema::common::ExitRecord;
use schema::executor::Started;
use schema::{ContainerId, Failure};
use shim_protocol::exit::Exit;
use shim_protocol::layout;
use std::ffi::CStr;
use std::fs;
use std::io;

/// What is known of a run that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) exit: ExitRecord,
    pub(super) started: Started,
}

/// Reads the exit record. None if there is none.
pub(super) fn read(host: &Host, id: &ContainerId) -> Result<Option<Ended>, Failure> {
    Ok(record(host, id, layout::EXIT)?.map(|exit| ended(host, id, exit)))
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

fn ended(host: &Host, id: &ContainerId, exit: Exit) -> Ended {
    let Exit { code, signal, pid, started_at, finished_at } = exit;
    let note = if code == -1 { "unknown: the monitor was killed".to_owned() } else { String::new() };
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
