//! What a process may do.

use super::arch::nr;
use super::{Errno, Result, call};

/// Operations of prctl(2).
mod operation {
    pub(super) const SET_PDEATHSIG: usize = 1;
    pub(super) const SET_DUMPABLE: usize = 4;
    pub(super) const CAPBSET_DROP: usize = 24;
    pub(super) const SET_NO_NEW_PRIVS: usize = 38;
    pub(super) const CAP_AMBIENT: usize = 47;
}

/// Has this process killed when its parent ends.
pub fn die_with_parent() -> Result<()> {
    const SIGKILL: usize = 9;
    kernel!(PRCTL, operation::SET_PDEATHSIG, SIGKILL).map(drop)
}

/// Undoes that.
pub fn outlive_parent() -> Result<()> {
    kernel!(PRCTL, operation::SET_PDEATHSIG, 0usize).map(drop)
}

/// Hides what this process has open, and its program, from others that may do as much as it, until it executes another.
pub fn hide() -> Result<()> {
    kernel!(PRCTL, operation::SET_DUMPABLE, 0usize).map(drop)
}

/// Gives up a capability, for this process and all that it becomes.
pub fn drop_capability(number: u32) -> Result<()> {
    kernel!(PRCTL, operation::CAPBSET_DROP, number, 0usize, 0usize, 0usize).map(drop)
}

/// Empties the ambient capabilities.
pub fn clear_ambient() -> Result<()> {
    const CLEAR_ALL: usize = 4;
    kernel!(PRCTL, operation::CAP_AMBIENT, CLEAR_ALL, 0usize, 0usize, 0usize).map(drop)
}

/// Sets effective and permitted capabilities; none are inheritable.
pub fn set_capabilities(set: u64) -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let (low, high) = (set as u32, (set >> 32) as u32);
    let data = [low, low, 0, high, high, 0];
    kernel!(CAPSET, header.as_ptr(), data.as_ptr()).map(drop)
}

/// No program that is executed gives more power than its executor has.
pub fn no_new_privileges() -> Result<()> {
    kernel!(PRCTL, operation::SET_NO_NEW_PRIVS, 1usize, 0usize, 0usize, 0usize).map(drop)
}

/// Becomes a user and group. `groups` are 32-bit numbers one behind the other.
pub fn become_user(uid: u32, gid: u32, groups: &[u8]) -> Result<()> {
    kernel!(SETGROUPS, groups.len() / size_of::<u32>(), groups.as_ptr())?;
    kernel!(SETRESGID, gid, gid, gid)?;
    kernel!(SETRESUID, uid, uid, uid).map(drop)
}

/// Filters system calls by a program: `struct sock_filter` one behind the other.
pub fn filter_calls(program: &[u8]) -> Result<()> {
    const SET_MODE_FILTER: usize = 1;
    const INSTRUCTION: usize = 8;
    let length = u16::try_from(program.len() / INSTRUCTION).map_err(|_| Errno::INVAL)?;
    // struct sock_fprog: the length, padded, and the pointer.
    let description = [u64::from(length), program.as_ptr() as u64];
    kernel!(SECCOMP, SET_MODE_FILTER, 0usize, description.as_ptr()).map(drop)
}
