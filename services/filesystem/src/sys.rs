//! The one place of this crate with `unsafe`: a system call that no safe library has.
#![allow(unsafe_code)]

use rustix::mount::MountAttrFlags;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// struct mount_attr of mount_setattr(2).
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Sets attributes on all mounts of a detached tree, and makes them private: nothing that is mounted here or
/// there later shows on the other side.
pub(crate) fn make_private(tree: impl AsFd, set: MountAttrFlags) -> io::Result<()> {
    let attributes =
        MountAttributes { set: set.bits().into(), clear: 0, propagation: libc::MS_PRIVATE, user_namespace: 0 };
    // SAFETY: the descriptor is open for the call, the path is a terminated string, and the structure lives
    // through the call and has the size that is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
