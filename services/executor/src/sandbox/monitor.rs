//! Starts a monitor.

use super::record::Spec;
use crate::host::Host;
use crate::nursery::Order;
use crate::process::Process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};
use schema::ContainerId;
use schema::Failure;
use schema::common::{IdRange, SandboxRef};
use shim_protocol::adoption::Adoption;
use shim_protocol::control::MOST_DESCRIPTORS;
use shim_protocol::layout;
use std::ffi::CString;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

impl Task {
    /// How long a monitor may take to make its namespaces; or to take over, which is a matter of milliseconds: one that
    /// is stopped meanwhile is replaced soon.
    fn patience(self) -> Timespec {
        Timespec { tv_sec: if self == Self::Make { 20 } else { 3 }, tv_nsec: 0 }
    }
}

/// A monitor that was started, and perhaps is not ready yet.
pub(super) struct Started {
    pub(super) sandbox: SandboxRef,
    pub(super) process: Process,
    status: OwnedFd,
    task: Task,
}

/// The beginning of a monitor that was not waited for at once.
pub(super) struct Birth {
    monitor: Started,
    is_over: AtomicBool,
}

impl Birth {
    /// Of this one.
    pub(super) fn new(monitor: Started) -> Self {
        Self { monitor, is_over: AtomicBool::new(false) }
    }

    /// Waits until it is ready, or says why it is not; again: at once.
    pub(super) fn wait(&self) -> Result<(), Failure> {
        if !self.is_over.load(Ordering::SeqCst) {
            self.monitor.wait_ready()?;
            self.is_over.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// What a monitor is started for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// To make a sandbox.
    Make,
    /// To take over one whose monitor was killed.
    Adopt,
}

/// Starts the monitor of a sandbox. What it inherits is its three descriptors and nothing else.
pub(super) fn spawn(
    host: &Host,
    id: &ContainerId,
    spec: &Spec,
    directory: OwnedFd,
    listener: OwnedFd,
    task: Task,
) -> Result<Started, Failure> {
    let program = &host.monitor;
    let failed = |error: io::Error| Failure::io(format_args!("starting {}", program.path().display()), &error);
    let (status, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(|error| failed(error.into()))?;
    let text = |text: &str| CString::new(text).map_err(|error| failed(error.into()));
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(|error| failed(error.into()));
    let arguments = vec![
        path(program.path())?,
        text(id.short())?,
        text(name(spec))?,
        text(&flags(spec, task))?,
        text(&id_map(spec))?,
    ];
    // A container gets the limits of the system, not those that we have set for ourselves.
    let limit = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    let files = (limit(host.descriptors.current), limit(host.descriptors.maximum));
    let descriptors = [directory, listener, theirs];
    let order = Order { program: path(&program.executable())?, arguments, descriptors, files };
    let (pid, handle) = host.nursery.spawn(&host.cgroups, order)?;
    // It is our child and not reaped, so the id is its own.
    let start_time = kit::process::start_time(pid).map_err(failed)?;
    let process = Process::of(pid, handle);
    Ok(Started { sandbox: SandboxRef { pid, start_time }, process, status, task })
}

/// The hostname; or, for people who look at the process list, the container that an exec belongs to.
fn name(spec: &Spec) -> &str {
    match spec {
        Spec::Sandbox(spec) => &spec.hostname,
        Spec::Exec { of, .. } => of.short(),
    }
}

fn flags(spec: &Spec, task: Task) -> String {
    let own_network = matches!(spec, Spec::Sandbox(spec) if !spec.host_network);
    let flags = [
        (true, layout::NO_FLAGS),
        (spec.terminal(), layout::TERMINAL),
        (spec.open_stdin(), layout::OPEN_STDIN),
        (own_network, layout::OWN_NETWORK),
        (spec.exec_of().is_some(), layout::JOIN),
        (task == Task::Adopt, layout::ADOPT),
    ];
    flags.into_iter().filter_map(|(set, flag)| set.then_some(char::from(flag))).collect()
}

/// What is to be written to uid_map and gid_map of the sandbox's user namespace (user_namespaces(7)); empty: there is none.
fn id_map(spec: &Spec) -> String {
    spec.ids().map_or_else(String::new, |ids| format!("0 {} {}", ids.base(), IdRange::SIZE))
}

impl Started {
    /// Waits until the sandbox is made, or the monitor says why it is not.
    pub(super) fn wait_ready(&self) -> Result<(), Failure> {
        let failed = |error: Errno| Failure::io("waiting for the monitor", &error.into());
        let mut polls = [PollFd::new(&self.status, PollFlags::IN)];
        if poll(&mut polls, Some(&self.task.patience())).map_err(failed)? == 0 {
            return Err(Failure::internal("the monitor did not make the sandbox in time"));
        }
        let mut message = [0; 128];
        // No more than that: what it says of its adoption comes after it.
        let begun = rustix::io::read(&self.status, &mut message[..layout::READY.len()]).map_err(failed)?;
        if message.get(..begun) == Some(layout::READY) {
            return Ok(());
        }
        let mut length = begun;
        // It comes in pieces, and then the monitor ends.
        while let Ok(more @ 1..) = rustix::io::read(&self.status, &mut message[length..]) {
            length += more;
        }
        Err(complained(&String::from_utf8_lossy(&message[..length])))
    }

    /// Has it take over a sandbox. Done when it has.
    pub(super) fn adopt(&self, adoption: &Adoption, descriptors: &[BorrowedFd<'_>]) -> Result<(), Failure> {
        let failed = |error: Errno| Failure::io("handing a sandbox over to a monitor", &error.into());
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(failed(Errno::TOOBIG));
        }
        let message = adoption.encode();
        sendmsg(&self.status, &[IoSlice::new(&message)], &mut control, SendFlags::NOSIGNAL).map_err(failed)?;
        self.wait_ready()
    }
}

/// `what was being done NNN`, with the error number last.
fn complained(line: &str) -> Failure {
    match line.trim().rsplit_once(' ').and_then(|(doing, number)| Some((doing, number.parse().ok()?))) {
        Some((doing, number)) if doing.as_bytes() == layout::MAKING_USERS.as_bytes() => {
            let error = io::Error::from_raw_os_error(number);
            Failure::unimplemented(format_args!("making the sandbox: {doing}: {error}"))
                .hint("allow more of them (user.max_user_namespaces), or use --userns host")
        }
        Some((doing, number)) => {
            Failure::io(format_args!("making the sandbox: {doing}"), &io::Error::from_raw_os_error(number))
        }
        // It was killed: another may be tried.
        None => Failure::sandbox_lost("the monitor was killed before the sandbox was made").hint("start it again"),
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
        assert_eq!(complained("").code, Code::SandboxLost);
        let users = complained(&format!("{} 028\n", layout::MAKING_USERS));
        assert_eq!(users.code, Code::Unimplemented);
        assert!(users.hint.contains("--userns host"), "{users}");
    }
}
