//! The one place of this crate with `unsafe`: system calls that no safe library has.
#![allow(unsafe_code)]

use rustix::mount::MountAttrFlags;
use schema::common::IdRange;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

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
    change(tree.as_fd(), &attributes)
}

/// Has all mounts of a detached tree show the ids of a user namespace, and makes them private (`MOUNT_ATTR_IDMAP`, Linux
/// 5.12). Each id of the disk that the user namespace has is shown as that of the host that it stands for.
pub(crate) fn map_ids(tree: impl AsFd, set: MountAttrFlags, users: impl AsFd) -> io::Result<()> {
    const IDMAP: u64 = 0x0010_0000;
    let user_namespace = u64::try_from(users.as_fd().as_raw_fd()).map_err(io::Error::other)?;
    let set = u64::from(set.bits()) | IDMAP;
    change(tree.as_fd(), &MountAttributes { set, clear: 0, propagation: libc::MS_PRIVATE, user_namespace })
}

/// The user namespace that a namespace belongs to (ioctl_ns(2)). An error if that is not below ours.
pub(crate) fn user_namespace(of: impl AsFd) -> io::Result<OwnedFd> {
    const NS_GET_USERNS: libc::Ioctl = 0xb701;
    // SAFETY: the descriptor is open for the call, which takes no further argument.
    let result = unsafe { libc::ioctl(of.as_fd().as_raw_fd(), NS_GET_USERNS) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}

/// A user namespace with these ids. No process is in it.
pub(crate) fn new_user_namespace(ids: IdRange) -> io::Result<OwnedFd> {
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // SAFETY: until it ends, the child makes system calls only.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => {
            drop(theirs);
            let made = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER);
            // Until the parent has what it wants, or is gone.
            let _ended = rustix::io::read(&ours, &mut [0u8][..]);
            // SAFETY: this ends the process, without anything that the parent has registered.
            unsafe { libc::_exit(i32::from(made.is_err())) }
        }
        nix::unistd::ForkResult::Parent { child } => {
            let namespace = namespace_of(child.as_raw(), ids);
            drop((ours, theirs));
            let _reaped = nix::sys::wait::waitpid(child, None);
            namespace
        }
    }
}

fn namespace_of(child: i32, ids: IdRange) -> io::Result<OwnedFd> {
    let path = format!("/proc/{child}/ns/user");
    let own = std::fs::metadata("/proc/self/ns/user")?.ino();
    let until = Instant::now() + Duration::from_secs(1);
    while std::fs::metadata(&path)?.ino() == own {
        if Instant::now() > until {
            return Err(io::Error::other("the kernel refuses to make one"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    for map in ["uid_map", "gid_map"] {
        std::fs::write(format!("/proc/{child}/{map}"), format!("0 {} {}", ids.base(), IdRange::SIZE))?;
    }
    Ok(std::fs::File::open(path)?.into())
}

fn change(tree: BorrowedFd<'_>, attributes: &MountAttributes) -> io::Result<()> {
    // SAFETY: the descriptor is open for the call, the path is a terminated string, and the structure lives
    // through the call and has the size that is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            std::ptr::from_ref(attributes),
            size_of::<MountAttributes>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
