//! In the sandbox: putting the prepared mounts together. Runs on a thread that ends there.

use super::sandbox::Sandbox;
use super::tree::Tree;
use crate::beneath;
use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::{AtFlags, CWD, Mode};
use rustix::io::{Errno, Result as OsResult};
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};
use schema::Failure;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Where the root filesystem belongs, inside the sandbox before it is started.
pub(super) const ROOTFS: &str = "/rootfs";
/// Where it is put together.
const UNFINISHED: &str = "/rootfs.unfinished";

/// Gives the calling thread a current directory and root of its own: it may change them, and only then
/// enter another mount namespace.
pub(super) fn leave_shared_state() -> Result<(), Failure> {
    unshare(CloneFlags::CLONE_FS).map_err(|error| Failure::io("leaving the process's directory", &error.into()))
}

/// Enters the sandbox's mount namespace for good, and mounts all there.
pub(super) fn attach(sandbox: &Sandbox, overlay: OwnedFd, trees: &[Tree]) -> Result<(), Failure> {
    setns(sandbox.namespace(), CloneFlags::CLONE_NEWNS)
        .map_err(|error| Failure::io("entering the sandbox's mount namespace", &error.into()))?;
    let failed = |error: Errno| Failure::io("mounting in the sandbox", &error.into());
    clear().map_err(failed)?;
    let result = put_together(overlay, trees);
    if let Err(error) = clear() {
        // It is empty, or the next attempt clears it.
        tracing::warn!(%error, "cannot remove the place where a root filesystem is put together");
    }
    result
}

fn put_together(overlay: OwnedFd, trees: &[Tree]) -> Result<(), Failure> {
    let failed = |error: Errno| Failure::io("mounting in the sandbox", &error.into());
    rustix::fs::mkdir(UNFINISHED, Mode::from_raw_mode(0o700)).map_err(failed)?;
    move_mount(overlay, "", CWD, UNFINISHED, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(failed)?;
    let root = beneath::open_root(Path::new(UNFINISHED)).map_err(failed)?;
    for tree in trees {
        tree.attach(root.as_fd())?;
    }
    move_mount(CWD, UNFINISHED, CWD, ROOTFS, MoveMountFlags::empty()).map_err(failed)
}

/// Removes what an attempt before this one left.
fn clear() -> OsResult<()> {
    loop {
        match unmount(UNFINISHED, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(()),
            // It is no mount point any more.
            Err(Errno::INVAL) => return rustix::fs::unlinkat(CWD, UNFINISHED, AtFlags::REMOVEDIR),
            Err(error) => return Err(error),
        }
    }
}
