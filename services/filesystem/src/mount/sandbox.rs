//! A sandbox's mount namespace.

use super::attach::ROOTFS;
use super::mountinfo::has_overlay;
use schema::Failure;
use schema::common::SandboxRef;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

/// An open mount namespace, known to be that of the sandbox that was meant.
pub(super) struct Sandbox {
    reference: SandboxRef,
    namespace: File,
}

impl Sandbox {
    /// Opens the namespace first and then makes sure that the process is still the one that was meant: so
    /// the namespace is its own, whatever happens to it later.
    pub(super) fn open(reference: &SandboxRef) -> Result<Self, Failure> {
        let SandboxRef { pid, start_time } = *reference;
        let namespace = match File::open(format!("/proc/{pid}/ns/mnt")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(gone(pid)),
            other => other.map_err(|error| entering(pid, &error))?,
        };
        if !kit::process::is_alive(pid, start_time) {
            return Err(gone(pid));
        }
        let ours = fs::metadata("/proc/self/ns/mnt").map_err(|error| entering(pid, &error))?;
        if namespace.metadata().map_err(|error| entering(pid, &error))?.ino() == ours.ino() {
            return Err(Failure::invalid(format_args!("process {pid} is no sandbox: it has the host's mounts")));
        }
        Ok(Self { reference: *reference, namespace })
    }

    pub(super) fn reference(&self) -> &SandboxRef {
        &self.reference
    }

    pub(super) fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// Whether a root filesystem is mounted.
    pub(super) fn is_mounted(&self) -> Result<bool, Failure> {
        Ok(self.mount_point()?.is_some())
    }

    /// Where the root filesystem is mounted, if it is: at its place, or at `/` once the sandbox has been started.
    pub(super) fn mount_point(&self) -> Result<Option<&'static str>, Failure> {
        let pid = self.reference.pid;
        let mountinfo = fs::read(format!("/proc/{pid}/mountinfo")).map_err(|error| entering(pid, &error))?;
        let mountinfo = String::from_utf8_lossy(&mountinfo);
        Ok([ROOTFS, "/"].into_iter().find(|point| has_overlay(&mountinfo, point)))
    }
}

fn gone(pid: i32) -> Failure {
    Failure::not_found(format_args!("the sandbox of process {pid} is gone"))
}

fn entering(pid: i32, error: &io::Error) -> Failure {
    Failure::io(format_args!("looking into the sandbox of process {pid}"), error)
}
