//! How a run has ended: the monitor's record, or, if the monitor was killed, what the kernel still knows. Blocks.

use super::directory;
use super::record::{Record, Spec};
use crate::host::Host;
use crate::process::{self, Process};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use schema::common::ExitRecord;
use schema::executor::Started;
use schema::{ContainerId, Failure};
use shim_protocol::exit::Exit;
use shim_protocol::layout;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long it may take until whoever inherited a process has reaped it.
const REAPING: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);

/// What is known of a run that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) exit: ExitRecord,
    pub(super) started: Started,
}

/// Reads the exit record. None if there is none.
pub(super) fn read(host: &Host, id: &ContainerId) -> Result<Option<Ended>, Failure> {
    let file = directory::file(&host.directory(id), layout::EXIT);
    let failed = |error: io::Error| Failure::io(format_args!("reading {}", file.display()), &error);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let exit = Exit::decode(&text).map_err(|error| failed(io::Error::other(error)))?;
    Ok(Some(ended(host, id, exit)))
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
    let process = match (&record.spec, record.first) {
        (Spec::Sandbox(_), _) => {
            let pid = host.cgroups.processes(id).into_iter().find(|pid| process::is_first(*pid))?;
            Process::open(pid).ok()??
        }
        (Spec::Exec { .. }, first) => Process::noted(first?).ok()??,
    };
    let pid = process.pid;
    let started = Started { pid, started_at: process::started_at(pid).ok()? };
    Some((process, started))
}

/// Writes the exit record of a first process that has ended after its monitor was killed, when its output is
/// captured.
pub(super) fn conclude(
    host: &Host,
    id: &ContainerId,
    first: Option<&Process>,
    started: Started,
) -> Result<Ended, Failure> {
    let Started { pid, started_at } = started;
    let finished_at = kit::process::now();
    let exit = match first.and_then(status) {
        Some(status) => Exit::from_status(status, pid, started_at, finished_at),
        None => Exit::unknown(pid, started_at, finished_at),
    };
    let path = host.directory(id);
    let failed = |error: io::Error| Failure::io(format_args!("recording the end in {}", path.display()), &error);
    let lock = wait_captured(&path).map_err(failed)?;
    let mut text = Vec::new();
    exit.encode(&mut |piece| text.extend_from_slice(piece));
    kit::file::write_atomically(&directory::file(&path, layout::EXIT), &text).map_err(failed)?;
    drop(lock);
    Ok(ended(host, id, exit))
}

fn status(first: &Process) -> Option<i32> {
    let began = Instant::now();
    loop {
        let status = first.exit_status();
        if status.is_some() || began.elapsed() > REAPING {
            return status;
        }
        thread::sleep(PAUSE);
    }
}

/// Waits until nobody captures the output any more.
fn wait_captured(path: &Path) -> io::Result<rustix::fd::OwnedFd> {
    let file = directory::file(path, layout::CAPTURE_LOCK);
    let lock = rustix::fs::open(&file, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    flock(&lock, FlockOperation::LockExclusive)?;
    Ok(lock)
}
