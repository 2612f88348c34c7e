//! The one place of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// `struct mount_attr` (linux/mount.h).
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Makes a detached mount read-only, which no safe wrapper offers (mount_setattr(2)).
pub(crate) fn make_read_only(mount: impl AsFd) -> io::Result<()> {
    const READ_ONLY: u64 = 1;
    let attributes = MountAttributes { set: READ_ONLY, clear: 0, propagation: libc::MS_PRIVATE, user_namespace: 0 };
    // SAFETY: the descriptor is open, the path is a terminated text, and the struct has the size that is passed.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends any signal to a process by its descriptor: real-time signals too, which safe wrappers leave out.
pub(crate) fn signal(pidfd: impl AsFd, number: i32) -> io::Result<()> {
    let nothing = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; the kernel accepts a null for the signal's information.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), number, nothing, 0) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Parameters of bpf(2) for a program (`union bpf_attr`, linux/bpf.h).
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log: [u32; 2],
    log_buffer: u64,
}

/// The same, for attaching one to a cgroup.
#[repr(C)]
struct Attach {
    cgroup: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Has the kernel ask this program which devices the processes of a cgroup (v2) may use. It stays until the cgroup goes.
pub(crate) fn guard_devices(cgroup: impl AsFd, program: &[[u8; 8]]) -> io::Result<()> {
    const LOAD: libc::c_int = 5;
    const ATTACH: libc::c_int = 8;
    const PROGRAM_OF_DEVICES: u32 = 15;
    const DEVICES: u32 = 6;
    /// Those of cgroups above, as of a service manager, are asked, too.
    const MULTIPLE: u32 = 2;
    let load = Load {
        kind: PROGRAM_OF_DEVICES,
        count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log: [0; 2],
        log_buffer: 0,
    };
    // SAFETY: the program and the text live through the call, and the structure has the size that is passed.
    let loaded = unsafe { libc::syscall(libc::SYS_bpf, LOAD, &raw const load, size_of::<Load>()) };
    let loaded = i32::try_from(loaded).map_err(io::Error::other)?;
    if loaded < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded) };
    let number = |descriptor: i32| u32::try_from(descriptor).map_err(io::Error::other);
    let attach = Attach {
        cgroup: number(cgroup.as_fd().as_raw_fd())?,
        program: number(loaded.as_raw_fd())?,
        kind: DEVICES,
        flags: MULTIPLE,
    };
    // SAFETY: both descriptors are open, and the structure has the size that is passed.
    match unsafe { libc::syscall(libc::SYS_bpf, ATTACH, &raw const attach, size_of::<Attach>()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
