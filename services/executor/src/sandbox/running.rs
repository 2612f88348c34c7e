//! A sandbox that runs, as others than its owner see it.

use crate::host::Host;
use crate::process::Process;
use schema::common::IdRange;
use schema::security::Security;
use schema::{ContainerId, Failure};
use std::sync::Arc;

/// A sandbox whose PID 1 has not ended when this was made.
#[derive(Clone)]
pub(crate) struct Running {
    /// Its id.
    pub(crate) id: ContainerId,
    /// Its PID 1.
    pub(crate) first: Process,
    /// A process whose root is that of the sandbox: the monitor, which PID 1 has taken along when it changed the
    /// root; PID 1 itself may have changed its own again.
    pub(super) witness: Process,
    /// Whether it shares the host's network namespace.
    pub(crate) host_network: bool,
    /// What its processes may do.
    pub(crate) security: Arc<Security>,
    /// The ids that its user namespace has of the host, if it has one.
    pub(crate) ids: Option<IdRange>,
}

impl Running {
    /// Why it cannot be joined when it has ended since.
    pub(crate) fn ended(&self) -> Failure {
        not_running(&self.id)
    }
}

/// Fails with `conflict` if a sandbox's processes are stopped where they are: then nothing can begin in it. Blocks.
pub(super) fn check_thawed(host: &Host, id: &ContainerId) -> Result<(), Failure> {
    if host.cgroups.is_frozen(id) {
        let id = id.short();
        return Err(Failure::conflict(format_args!("container {id} is paused")).hint("unpause it first"));
    }
    Ok(())
}

/// Why something cannot be done with a sandbox in which nothing runs.
pub(crate) fn not_running(id: &ContainerId) -> Failure {
    Failure::conflict(format_args!("container {} is not running", id.short())).hint("start it first")
}
