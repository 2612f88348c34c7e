//! The one place of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

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

/// What a process begins with.
pub(crate) struct Birth<'a> {
    pub(crate) program: &'a CStr,
    /// The first is how the program is called.
    pub(crate) arguments: &'a [&'a CStr],
    /// Its descriptors 0, 1 and 2; it has no other. Each is above 2 here.
    pub(crate) descriptors: [BorrowedFd<'a>; 3],
    /// Limit of open descriptors: soft and hard.
    pub(crate) files: (u64, u64),
    /// The cgroup of v2 that it is born in (CLONE_INTO_CGROUP, Linux 5.7); none: that of the calling thread.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// Written to its descriptor 2, and then the number of the error and a newline, if the program cannot be executed.
    pub(crate) complaint: &'a CStr,
}

/// Forks and executes, in the directory `/`, without an environment. Answers with the child's id and a descriptor of it.
pub(crate) fn spawn(birth: &Birth<'_>) -> io::Result<(i32, OwnedFd)> {
    let mut arguments: Vec<*const libc::c_char> = birth.arguments.iter().map(|argument| argument.as_ptr()).collect();
    arguments.push(std::ptr::null());
    let [first, second, third] = birth.descriptors.map(|descriptor| descriptor.as_raw_fd());
    if first.min(second).min(third) <= 2 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    /// linux/sched.h; what `libc` calls so is too narrow for it.
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut handle: libc::c_int = -1;
    // SAFETY: the structure consists of integers, for which zero means that nothing is asked.
    let mut clone: libc::clone_args = unsafe { std::mem::zeroed() };
    clone.flags = libc::CLONE_PIDFD as u64;
    clone.pidfd = &raw mut handle as u64;
    clone.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = birth.cgroup {
        clone.flags |= CLONE_INTO_CGROUP;
        clone.cgroup = u64::try_from(cgroup.as_raw_fd()).map_err(io::Error::other)?;
    }
    // SAFETY: without CLONE_VM this is a fork. Until it executes, the child, which may be a copy of a process with other
    // threads, allocates nothing, takes no lock, and calls only functions that are async-signal-safe (signal-safety(7)).
    let child = unsafe { libc::syscall(libc::SYS_clone3, &raw const clone, size_of::<libc::clone_args>()) };
    match child {
        0 => begin(birth, [first, second, third], &arguments),
        child if child < 0 => Err(io::Error::last_os_error()),
        child => {
            let pid = i32::try_from(child).map_err(io::Error::other)?;
            // SAFETY: the kernel has just made this descriptor for us.
            Ok((pid, unsafe { OwnedFd::from_raw_fd(handle) }))
        }
    }
}

/// The child's part.
fn begin(birth: &Birth<'_>, descriptors: [libc::c_int; 3], arguments: &[*const libc::c_char]) -> ! {
    let environment = [std::ptr::null::<libc::c_char>()];
    let limit = libc::rlimit { rlim_cur: birth.files.0, rlim_max: birth.files.1 };
    // SAFETY: system calls with descriptors that are open, with terminated texts and with lists that end with a null; all
    // live in this process until it executes or ends. A duplicate is not closed when the program is executed.
    unsafe {
        let fine = libc::dup2(descriptors[0], 0) == 0
            && libc::dup2(descriptors[1], 1) == 1
            && libc::dup2(descriptors[2], 2) == 2
            && libc::chdir(c"/".as_ptr()) == 0
            && libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0;
        if fine {
            libc::execve(birth.program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
        }
        let error = *libc::__errno_location();
        let digit = |place: libc::c_int| b'0' + u8::try_from(error / place % 10).unwrap_or(0);
        let number = [b' ', digit(100), digit(10), digit(1), b'\n'];
        libc::write(2, birth.complaint.as_ptr().cast(), birth.complaint.count_bytes());
        libc::write(2, number.as_ptr().cast(), number.len());
        libc::_exit(1)
    }
}
