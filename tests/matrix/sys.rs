//! The one place of this suite with `unsafe`.
#![allow(unsafe_code)]

use nix::libc::{PTRACE_SYSCALL_INFO_ENTRY, ptrace_syscall_info};

/// Number and arguments of the call that a stopped thread is about to make; none at its end.
pub(crate) fn entered(info: &ptrace_syscall_info) -> Option<(u64, [u64; 6])> {
    if info.op != PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: the kernel has filled in the part of the union that `op` names.
    let entry = unsafe { info.u.entry };
    Some((entry.nr, entry.args))
}
