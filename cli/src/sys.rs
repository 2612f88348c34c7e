//! The one thing that needs `unsafe`: what a child does between fork and exec.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// First descriptor after stdin, stdout and stderr.
const FIRST_OTHER: libc::c_uint = 3;

/// Makes the command's process the leader of a session of its own, which no terminal can end, and keeps
/// from it every descriptor that this process happens to have inherited: a lock or a pipe of the caller
/// must not live as long as a service.
pub(crate) fn detach(command: &mut Command) {
    let prepare = || {
        rustix::process::setsid()?;
        // SAFETY: close_range takes numbers only, and with CLOEXEC it closes nothing before the exec.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_close_range,
                FIRST_OTHER,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC as libc::c_uint,
            )
        };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: the closure makes two system calls and allocates nothing, which is allowed after fork.
    unsafe { command.pre_exec(prepare) };
}
