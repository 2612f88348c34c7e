//! Entering the network namespace of a sandbox.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use schema::Failure;
use schema::common::SandboxRef;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// The network namespace of a sandbox, held open.
#[derive(Debug)]
pub(crate) struct Namespace {
    file: File,
}

impl Namespace {
    /// Opens the namespace of a sandbox, and makes sure that it is that sandbox's and not that of a process
    /// which got its number.
    pub(crate) fn of(sandbox: &SandboxRef) -> Result<Self, Failure> {
        let path = format!("/proc/{}/ns/net", sandbox.pid);
        let gone = || {
            Failure::not_found(format_args!("the sandbox with process {} is gone", sandbox.pid))
                .hint("it ended while it was being connected; start the container again")
        };
        let file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => gone(),
            io::ErrorKind::PermissionDenied => Failure::internal(format_args!("opening {path}: {error}"))
                .hint("the network service needs CAP_SYS_PTRACE and CAP_SYS_ADMIN; see its entry in services.toml"),
            _ => Failure::io(format_args!("opening {path}"), &error),
        })?;
        // Looked at after the open: had the number changed hands before, it shows now.
        if kit::process::is_alive(sandbox.pid, sandbox.start_time) { Ok(Self { file }) } else { Err(gone()) }
    }

    /// The descriptor that names the namespace in a request.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Runs something inside the namespace. What is opened there, a socket for one, stays there. This thread is
    /// there meanwhile, which saves a switch to another; should it not find home, the process ends, because
    /// nothing that it did from then on would be where it should.
    pub(crate) fn run<T>(&self, inside: impl FnOnce() -> T) -> Result<T, Failure> {
        let failed = |error: io::Error| Failure::io("entering a sandbox's network namespace", &error);
        let home = File::open("/proc/thread-self/ns/net").map_err(failed)?;
        enter(&self.file).map_err(failed)?;
        let result = inside();
        if let Err(error) = enter(&home) {
            tracing::error!(%error, "cannot leave a sandbox's network namespace; this process ends");
            std::process::abort();
        }
        Ok(result)
    }
}

fn enter(namespace: &File) -> io::Result<()> {
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}
