//! A sandbox's mount namespace.

use super::attach::ROOTFS;
use super::mountinfo::has_overlay;
use crate::sys;
use schema::Failure;
use schema::common::{IdRange, SandboxRef};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// An open mount namespace, known to be that of the sandbox that was meant.
pub(super) struct Sandbox {
    reference: SandboxRef,
    namespace: File,
    /// That of its hostname, which belongs to its user namespace whatever else it shares with the host.
    uts: File,
}

/// The user namespace of a sandbox.
pub(crate) struct Users {
    pub(crate) namespace: OwnedFd,
    pub(crate) ids: IdRange,
}

impl Sandbox {
    /// Opens the namespace first and then makes sure that the process is still the one that was meant: so
    /// the namespace is its own, whatever happens to it later.
    pub(super) fn open(reference: &SandboxRef) -> Result<Self, Failure> {
        let SandboxRef { pid, start_time } = *reference;
        let open = |name: &str| match File::open(format!("/proc/{pid}/ns/{name}")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone(pid)),
            other => other.map_err(|error| entering(pid, &error)),
        };
        let (namespace, uts) = (open("mnt")?, open("uts")?);
        if !kit::process::is_alive(pid, start_time) {
            return Err(gone(pid));
        }
        let ours = fs::metadata("/proc/self/ns/mnt").map_err(|error| entering(pid, &error))?;
        if namespace.metadata().map_err(|error| entering(pid, &error))?.ino() == ours.ino() {
            return Err(Failure::invalid(format_args!("process {pid} is no sandbox: it has the host's mounts")));
        }
        Ok(Self { reference: *reference, namespace, uts })
    }

    pub(super) fn reference(&self) -> &SandboxRef {
        &self.reference
    }

    pub(super) fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// Its user namespace, which has these ids.
    pub(super) fn users(&self, ids: IdRange) -> Result<Users, Failure> {
        let namespace = sys::user_namespace(&self.uts).map_err(|error| entering(self.reference.pid, &error))?;
        Ok(Users { namespace, ids })
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
