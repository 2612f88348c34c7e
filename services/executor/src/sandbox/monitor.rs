//! Starts a monitor.

use super::record::Spec;
use crate::host::Host;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Resource, prlimit};
use schema::ContainerId;
use schema::Failure;
use schema::common::SandboxRef;
use shim_protocol::layout;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Seconds that a monitor may take to make its namespaces.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// A monitor that was started, and perhaps is not ready yet.
pub(super) struct Started {
    pub(super) sandbox: SandboxRef,
    status: io::PipeReader,
}

/// Starts the monitor of a sandbox. What it inherits is its three descriptors and nothing else.
pub(super) fn spawn(
    host: &Host,
    id: &ContainerId,
    spec: &Spec,
    directory: OwnedFd,
    listener: OwnedFd,
) -> Result<Started, Failure> {
    let program = &host.monitor;
    let failed = |error: io::Error| Failure::io(format_args!("starting {}", program.path().display()), &error);
    let (status, theirs) = io::pipe().map_err(failed)?;
    let child = Command::new(program.executable())
        .arg0(program.path())
        .args([id.short(), name(spec), &flags(spec)])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(directory))
        .stdout(Stdio::from(listener))
        .stderr(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .map_err(failed)?;
    let pid = i32::try_from(child.id()).map_err(|error| failed(io::Error::other(error)))?;
    // A container gets the limits of the system, not those that we have set for ourselves.
    prlimit(Pid::from_raw(pid), Resource::Nofile, host.descriptors).map_err(|error| failed(error.into()))?;
    // It is our child and not reaped, so the id is its own.
    let start_time = kit::process::start_time(pid).map_err(failed)?;
    Ok(Started { sandbox: SandboxRef { pid, start_time }, status })
}

/// The hostname; or, for people who look at the process list, the container that an exec belongs to.
fn name(spec: &Spec) -> &str {
    match spec {
        Spec::Sandbox(spec) => &spec.hostname,
        Spec::Exec { of, .. } => of.short(),
    }
}

fn flags(spec: &Spec) -> String {
    let own_network = matches!(spec, Spec::Sandbox(spec) if !spec.host_network);
    let flags = [
        (true, layout::NO_FLAGS),
        (spec.terminal(), layout::TERMINAL),
        (spec.open_stdin(), layout::OPEN_STDIN),
        (own_network, layout::OWN_NETWORK),
        (spec.exec_of().is_some(), layout::JOIN),
    ];
    flags.into_iter().filter_map(|(set, flag)| set.then_some(char::from(flag))).collect()
}

impl Started {
    /// Waits until the sandbox is made, or the monitor says why it is not.
    pub(super) fn wait_ready(mut self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::io("waiting for the monitor", &error);
        let mut polls = [PollFd::new(&self.status, PollFlags::IN)];
        if poll(&mut polls, Some(&PATIENCE)).map_err(|error| failed(error.into()))? == 0 {
            return Err(Failure::internal("the monitor did not make the sandbox in time"));
        }
        let mut message = [0; 128];
        let length = self.status.read(&mut message).map_err(failed)?;
        match message.get(..length).unwrap_or_default() {
            layout::READY => Ok(()),
            complaint => Err(complained(&String::from_utf8_lossy(complaint))),
        }
    }
}

/// `what was being done NNN`, with the error number last.
fn complained(line: &str) -> Failure {
    match line.trim().rsplit_once(' ').and_then(|(doing, number)| Some((doing, number.parse().ok()?))) {
        Some((doing, number)) => {
            Failure::io(format_args!("making the sandbox: {doing}"), &io::Error::from_raw_os_error(number))
        }
        None => Failure::internal("the monitor ended before the sandbox was made"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Code;

    #[test]
    fn complaints_are_understood() {
        let failure = complained("making namespaces 028\n");
        assert_eq!(failure.code, Code::ResourceExhausted);
        assert!(failure.message.contains("making namespaces: No space left"), "{failure}");
        assert_eq!(complained("").code, Code::Internal);
    }
}
