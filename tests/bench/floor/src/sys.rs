//! The system calls that no safe wrapper has.
#![allow(unsafe_code)]

use rustix::process::Pid;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Namespaces of a container, all of its own.
const NAMESPACES: u64 =
    (libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC) as u64;

const INTO_CGROUP: u64 = 1 << 33;

/// clone3(2) with new namespaces, into a cgroup of v2 if there is one: none in the new process.
pub fn fork(cgroup: Option<BorrowedFd<'_>>) -> io::Result<Option<Pid>> {
    let (flag, cgroup) = cgroup.map_or((0, 0), |cgroup| (INTO_CGROUP, cgroup.as_raw_fd() as u64));
    // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, its size, tls, set_tid, its size, cgroup.
    let arguments = [NAMESPACES | flag, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0, 0, 0, cgroup];
    // SAFETY: this program has one thread, no stack is passed, so both go on here, as after fork(2).
    let pid = unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid as i32)),
    }
}

/// Takes what a container's processes must not have from the bounding set.
pub fn drop_capabilities() -> io::Result<()> {
    // Docker's default set.
    const KEPT: u64 = 0xa80425fb;
    for capability in 0..=40 {
        if KEPT & 1 << capability != 0 {
            continue;
        }
        // SAFETY: takes two numbers.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
            break;
        }
    }
    let header = [0x2008_0522u32, 0];
    let sets = [KEPT as u32, KEPT as u32, 0, 0, 0, 0];
    // SAFETY: the header names version 3, which reads two structures of three numbers.
    match unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Loads a filter of system calls as long as the default one of cctl, which lets everything pass.
pub fn filter() -> io::Result<()> {
    const ALLOW: u32 = 0x7fff_0000;
    let load = libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let mut program = vec![load; 180];
    program.push(libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: ALLOW });
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program lives until the call returns; with CAP_SYS_ADMIN, no_new_privs is not needed.
    match unsafe { libc::syscall(libc::SYS_seccomp, 1, 0, &raw const program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
