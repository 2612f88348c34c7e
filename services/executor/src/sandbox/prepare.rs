//! Makes a sandbox, or an exec: its directory, its cgroups, its monitor. Blocks.

use super::monitor::Birth;
use super::record::{Record, Spec};
use super::running::check_thawed;
use super::{destroy, directory, monitor};
use crate::host::Host;
use crate::process::Process;
use crate::security::Confinement;
use crate::{cgroup, devices, security};
use schema::executor::SandboxSpec;
use schema::security::Security;
use schema::{ContainerId, Failure};

/// Bytes of a hostname, at most (sethostname(2)).
const LONGEST_HOSTNAME: usize = 64;

/// A sandbox that was made, and its monitor.
pub(super) struct Made {
    pub(super) record: Record,
    pub(super) monitor: Process,
    /// The monitor's beginning, if that was not waited for.
    pub(super) birth: Option<Birth>,
}

/// Makes it, or nothing.
pub(super) fn prepare(host: &Host, id: &ContainerId, spec: Spec) -> Result<Made, Failure> {
    // What cannot be is told before anything is made.
    match &spec {
        Spec::Sandbox(spec) => {
            check(spec)?;
            confinement(host, &spec.security)?;
        }
        Spec::Exec { of, .. } => check_thawed(host, of)?,
    }
    make(host, id, spec).inspect_err(|_| {
        if let Err(failure) = destroy::clear(host, id) {
            tracing::error!(%id, %failure, "cannot remove what was made of a sandbox");
        }
    })
}

/// What the first process of a sandbox may do, on this host as it is now.
pub(super) fn confinement(host: &Host, security: &Security) -> Result<Confinement, Failure> {
    let mut nodes = if security.privileged { devices::all()? } else { Vec::new() };
    let given = devices::find(&security.devices)?;
    nodes.retain(|node| !given.iter().any(|other| other.names == node.names));
    nodes.extend(given);
    security::confine(&host.plan, security, nodes, false)
}

fn check(spec: &SandboxSpec) -> Result<(), Failure> {
    let SandboxSpec { hostname, limits, .. } = spec;
    if hostname.len() > LONGEST_HOSTNAME || hostname.contains('\0') {
        return Err(Failure::invalid(format_args!("{hostname:?} is not a hostname"))
            .hint(format_args!("a hostname has at most {LONGEST_HOSTNAME} bytes")));
    }
    cgroup::check(limits)
}

fn make(host: &Host, id: &ContainerId, spec: Spec) -> Result<Made, Failure> {
    let path = host.directory(id);
    // What an earlier attempt left, when it could not clean up.
    destroy::clear(host, id)?;
    directory::make(&path)?;
    let (opened, listener) = directory::fill(&path, &spec, host.collector)?;
    let warnings = match &spec {
        Spec::Sandbox(spec) => {
            let mut warnings = host.cgroups.create(id, &spec.limits)?;
            if security::needs_device_filter(&spec.security) {
                let nodes = devices::find(&spec.security.devices)?;
                host.cgroups.guard_devices(id, &devices::program(&nodes))?;
            }
            warnings.extend(security::warnings(&host.plan, &spec.security));
            warnings
        }
        // It joins those of its sandbox.
        Spec::Exec { .. } => Vec::new(),
    };
    let started = monitor::spawn(host, id, &spec, opened, listener, monitor::Task::Make)?;
    let (sandbox, monitor) = (started.sandbox, started.process.clone());
    let record = Record { boot: host.boot.clone(), spec, monitor: sandbox, warnings, first: None, started_at: 0 };
    // An exec's log is opened while its monitor begins: that makes nothing that somebody could fill. But who opens its stdin
    // needs a reader there.
    let waits = record.spec.exec_of().is_none() || record.spec.open_stdin();
    let finished = if waits { started.wait_ready() } else { Ok(()) }.and_then(|()| {
        record.write(&path).map_err(|error| Failure::io(format_args!("writing to {}", path.display()), &error))
    });
    if let Err(failure) = finished {
        destroy::kill_monitor(&monitor);
        return Err(failure);
    }
    Ok(Made { record, monitor, birth: (!waits).then(|| Birth::new(started)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Code;
    use schema::common::Limits;

    #[test]
    fn hostnames_are_bounded() {
        let spec = |hostname: &str| SandboxSpec {
            hostname: hostname.to_owned(),
            host_network: false,
            terminal: false,
            open_stdin: false,
            limits: Limits::default(),
            security: Box::default(),
            ids: None,
        };
        assert_eq!(check(&spec("box.example")), Ok(()));
        assert_eq!(check(&spec(&"x".repeat(65))).unwrap_err().code, Code::InvalidArgument);
        assert_eq!(check(&spec("a\0b")).unwrap_err().code, Code::InvalidArgument);
    }
}
