//! Removes sandboxes. Blocks.

use super::record::Record;
use super::{directory, ending};
use crate::host::Host;
use crate::process::Process;
use schema::{ContainerId, Failure};
use std::time::Duration;

const SIGKILL: i32 = 9;
/// How long the kernel may take to end what was killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kills a monitor, and waits for its end.
pub(crate) fn kill_monitor(monitor: &Process) {
    if let Err(failure) = monitor.signal(SIGKILL) {
        tracing::error!(%failure, "cannot kill a monitor");
    }
    if !monitor.wait_blocking(PATIENCE) {
        tracing::error!(pid = monitor.pid, "a killed monitor does not end");
    }
    monitor.reap();
}

/// Kills what is left of a sandbox: its first process, if it outlived the monitor, and the monitor, if it did not
/// end by itself.
pub(super) fn kill(monitor: Option<&Process>, first: Option<&Process>) -> Result<(), Failure> {
    if let Some(first) = first {
        first.signal(SIGKILL)?;
    }
    if let Some(monitor) = monitor {
        kill_monitor(monitor);
    }
    Ok(())
}

/// Removes everything that the kernel does not remove by itself when the processes are gone. The record goes
/// first: from then on an interrupted removal is finished at the next start.
pub(crate) fn clear(host: &Host, id: &ContainerId) -> Result<(), Failure> {
    let path = host.directory(id);
    ending::forget(host, id);
    Record::remove(&path)
        .map_err(|error| Failure::io(format_args!("removing the record in {}", path.display()), &error))?;
    host.cgroups.remove(id)?;
    directory::remove(&path)?;
    Ok(())
}
