//! Replaces the monitor of a sandbox when it was killed. Blocks.
//!
//! The new one touches nothing before it is told to, and it is written down before that: so an executor that is
//! killed half-way leaves either one monitor that its successor knows, or none.

use super::record::Record;
use super::{destroy, directory, ending, monitor};
use crate::host::Host;
use crate::process::Process;
use schema::executor::Started;
use schema::{ContainerId, Failure};
use shim_protocol::adoption::Adoption;
use shim_protocol::exit::Exit;
use std::os::fd::{AsFd, OwnedFd};

/// What another monitor needs.
pub(super) struct Task {
    pub(super) record: Record,
    /// PID 1; none: it has ended.
    pub(super) first: Option<Process>,
    pub(super) started: Started,
    /// Of the terminal, if there is one, and it is not lost.
    pub(super) master: Option<std::sync::Arc<OwnedFd>>,
    /// The terminal's size, if it may not have been told it.
    pub(super) size: Option<(u16, u16)>,
}

/// Starts another monitor for a sandbox whose monitor has ended without an exit record.
pub(super) fn adopt(host: &Host, id: &ContainerId, task: &Task) -> Result<(Record, Process), Failure> {
    let path = host.directory(id);
    let (opened, listener) = directory::reopen(&path)?;
    let started = monitor::spawn(host, id, &task.record.spec, opened, listener, monitor::Task::Adopt)?;
    let process = started.process.clone();
    let record = Record { monitor: started.sandbox, ..task.record.clone() };
    let adopted = started.wait_ready().and_then(|()| {
        record.write(&path).map_err(|error| Failure::io(format_args!("writing to {}", path.display()), &error))?;
        hand_over(host, id, task, &started)
    });
    if let Err(failure) = adopted {
        destroy::kill_monitor(&process);
        return Err(failure);
    }
    Ok((record, process))
}

fn hand_over(host: &Host, id: &ContainerId, task: &Task, monitor: &monitor::Started) -> Result<(), Failure> {
    let Task { first, started, master, size, .. } = task;
    let known = ending::noted(host, id)?;
    let unknown = Exit::unknown(started.pid, started.started_at, kit::process::now());
    let handle = first.as_ref().map(Process::duplicate).transpose();
    let handle = handle.map_err(|error| Failure::io("handing on a descriptor", &error))?;
    let adoption = Adoption {
        first: known.unwrap_or(unknown),
        ended: known.is_some() || handle.is_none(),
        handle: handle.is_some(),
        master: master.is_some(),
        size: *size,
    };
    let descriptors = [handle.as_ref().map(AsFd::as_fd), master.as_ref().map(|master| master.as_fd())];
    let descriptors: Vec<_> = descriptors.into_iter().flatten().collect();
    monitor.adopt(&adoption, &descriptors)
}
