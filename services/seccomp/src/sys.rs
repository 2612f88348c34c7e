//! The one place of this crate with `unsafe`: giving a program to the kernel.
#![allow(unsafe_code)]

use crate::bpf::Instruction;
use std::io;

/// Puts this process, which has one thread, under a filter; what it refuses goes to the kernel's audit log if that is
/// wanted. Allocates nothing.
pub(crate) fn install(program: &[Instruction], logged: bool) -> io::Result<()> {
    // The kernel takes a mutable pointer, and only reads.
    let filter = program.as_ptr().cast::<libc::sock_filter>().cast_mut();
    let length = u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let program = libc::sock_fprog { len: length, filter };
    let set = |flags: libc::c_ulong| {
        let program = &raw const program;
        // SAFETY: the program points to as many instructions as it says, which have the layout of the kernel's
        // structure and live through the call.
        match unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, program) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    match set(if logged { libc::SECCOMP_FILTER_FLAG_LOG } else { 0 }) {
        // The flag is newer than filters.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => set(0),
        other => other,
    }
}
