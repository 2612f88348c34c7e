//! Mounts and namespaces.

use super::arch::nr;
use super::{Result, call, change_directory};
use core::ffi::CStr;

/// Flags of mount(2).
pub mod mounting {
    /// Read-only.
    pub const RDONLY: u64 = 1;
    /// No set-user-id programs.
    pub const NOSUID: u64 = 2;
    /// No device nodes.
    pub const NODEV: u64 = 4;
    /// No programs.
    pub const NOEXEC: u64 = 8;
    /// Change an existing mount.
    pub const REMOUNT: u64 = 32;
    /// Another place of the same tree.
    pub const BIND: u64 = 4096;
    /// With all below.
    pub const REC: u64 = 16384;
    /// Without propagation.
    pub const PRIVATE: u64 = 1 << 18;
}

/// mount(2).
pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u64, data: &CStr) -> Result<()> {
    kernel!(MOUNT, source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr()).map(drop)
}

/// Makes the current directory, a mount point, the root, and lets go of all that was mounted before.
pub fn pivot_here() -> Result<()> {
    const DETACH: usize = 2;
    kernel!(PIVOT_ROOT, c".".as_ptr(), c".".as_ptr())?;
    // Both are in the same place now, the old one on top.
    kernel!(UMOUNT2, c".".as_ptr(), DETACH)?;
    change_directory(c"/")
}
