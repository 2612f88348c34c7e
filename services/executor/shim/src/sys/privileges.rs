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
    let (low, high) = (set as u32, (set >> 32) as u32);
    let data = [low, low, 0, high, high, 0];
    kernel!(CAPSET, HEADER.as_ptr(), data.as_ptr()).map(drop)
}

/// Does something with the rights to files of another user and group, as far as these are what may be changed; it finds its
/// way through any directory.
pub fn as_user<T>(uid: u32, gid: u32, work: impl FnOnce() -> Result<T>) -> Result<T> {
    const NOBODY: u32 = u32::MAX;
    if uid == 0 {
        return work();
    }
    let before = capabilities()?;
    let _ = kernel!(SETFSGID, gid);
    let _ = kernel!(SETFSUID, uid);
    // It answers with what is so, not with an error; and to be nobody is refused.
    let outcome = match kernel!(SETFSUID, NOBODY) {
        Ok(now) if now as u32 == uid => find_only(before).and_then(|()| work()),
        _ => Err(Errno::PERM),
    };
    let _ = kernel!(SETFSUID, 0usize);
    let _ = kernel!(SETFSGID, 0usize);
    kernel!(CAPSET, HEADER.as_ptr(), before.as_ptr())?;
    outcome
}

/// Becomes a user and group, but for what it takes to be root again, and keeps all power.
pub fn act_as(id: u32) -> Result<()> {
    const SAME: u32 = u32::MAX;
    let before = capabilities()?;
    kernel!(SETRESGID, SAME, id, SAME)?;
    kernel!(SETRESUID, SAME, id, SAME)?;
    kernel!(CAPSET, HEADER.as_ptr(), before.as_ptr()).map(drop)
}

const VERSION_3: u32 = 0x2008_0522;
/// Of this very process.
const HEADER: [u32; 2] = [VERSION_3, 0];

/// Effective, permitted and inheritable ones, the low halves first.
fn capabilities() -> Result<[u32; 6]> {
    let mut data = [0u32; 6];
    kernel!(CAPGET, HEADER.as_ptr(), data.as_mut_ptr()).map(|_| data)
}

fn find_only([_, permitted, inheritable, _, high, inheritable_high]: [u32; 6]) -> Result<()> {
    const DAC_READ_SEARCH: u32 = 1 << 2;
    let data = [permitted & DAC_READ_SEARCH, permitted, inheritable, 0, high, inheritable_high];
    kernel!(CAPSET, HEADER.as_ptr(), data.as_ptr()).map(drop)
}

/// No program that is executed gives more power than its executor has.
pub fn no_new_privileges() -> Result<()> {
    kernel!(PRCTL, operation::SET_NO_NEW_PRIVS, 1usize, 0usize, 0usize, 0usize).map(drop)
}

/// Limits what this process may use; see setrlimit(2).
pub fn limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    const SELF: usize = 0;
    let limits = [soft, hard];
    kernel!(PRLIMIT64, SELF, resource, limits.as_ptr(), 0usize).map(drop)
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
