//! Files and directories.

use super::arch::nr;
use super::{Errno, Fd, Result, call, owned};
use core::ffi::CStr;

const AT_FDCWD: i32 = -100;

/// A directory to resolve paths from: an open one, or the current one.
#[derive(Clone, Copy)]
pub enum At<'a> {
    /// This one.
    Dir(&'a Fd),
    /// The current one; absolute paths start at the root.
    Current,
}

impl At<'_> {
    fn number(self) -> i32 {
        match self {
            Self::Dir(directory) => directory.number(),
            Self::Current => AT_FDCWD,
        }
    }
}

/// Flags of open(2).
pub mod flag {
    pub use super::super::arch::O_DIRECTORY;
    /// Read.
    pub const O_RDONLY: i32 = 0;
    /// Write.
    pub const O_WRONLY: i32 = 1;
    /// Both.
    pub const O_RDWR: i32 = 2;
    /// Make it if it is missing.
    pub const O_CREAT: i32 = 0o100;
    /// A terminal does not become ours.
    pub const O_NOCTTY: i32 = 0o400;
    /// Never wait.
    pub const O_NONBLOCK: i32 = 0o4000;
    /// Not for programs that are executed.
    pub const O_CLOEXEC: i32 = 0o2000000;
    /// Only the place in the tree.
    pub const O_PATH: i32 = 0o10000000;
}

/// openat(2); the descriptor is never passed on to programs.
pub fn open(at: At<'_>, path: &CStr, flags: i32, mode: u32) -> Result<Fd> {
    owned(kernel!(OPENAT, at.number(), path.as_ptr(), flags | flag::O_CLOEXEC, mode))
}

/// Opens a directory by a path without symbolic links.
pub fn open_real_directory(path: &CStr) -> Result<Fd> {
    const RESOLVE_NO_SYMLINKS: u64 = 4;
    let how = [(flag::O_PATH | flag::O_DIRECTORY | flag::O_CLOEXEC) as u64, 0, RESOLVE_NO_SYMLINKS];
    owned(kernel!(OPENAT2, AT_FDCWD, path.as_ptr(), how.as_ptr(), size_of_val(&how)))
}

/// User and group of what has this name in a directory, which is no symbolic link's target.
pub fn owner(directory: &Fd, name: &CStr) -> Result<(u32, u32)> {
    const NOFOLLOW: usize = 0x100;
    const UID_GID: usize = 0x18;
    // struct statx: the user is at byte 20, the group at byte 24.
    let mut found = [0u64; 32];
    kernel!(STATX, directory.number(), name.as_ptr(), NOFOLLOW, UID_GID, found.as_mut_ptr())?;
    Ok(((found[2] >> 32) as u32, found[3] as u32))
}

/// The length of a file.
pub fn length(file: &Fd) -> Result<usize> {
    const SEEK_END: usize = 2;
    let length = kernel!(LSEEK, file.number(), 0usize, SEEK_END)?;
    kernel!(LSEEK, file.number(), 0usize, 0usize)?;
    Ok(length)
}

/// Moves some bytes from one to the other, of which at least one is a pipe and both do not wait: how many; 0 at the
/// end. What a kill interrupts is in the one or in the other. From and to a terminal since Linux 5.11.
pub fn splice(from: &Fd, to: &Fd, most: usize) -> Result<usize> {
    const NONBLOCK: usize = 2;
    kernel!(SPLICE, from.number(), 0usize, to.number(), 0usize, most, NONBLOCK)
}

/// Moves some bytes from a pipe to a place in a file, without waiting for the pipe: how many; 0 at the end.
pub fn splice_to(pipe: &Fd, file: &Fd, place: u64, most: usize) -> Result<usize> {
    const NONBLOCK: usize = 2;
    kernel!(SPLICE, pipe.number(), 0usize, file.number(), &raw const place, most, NONBLOCK)
}

/// pread(2).
pub fn read_at(file: &Fd, buffer: &mut [u8], place: u64) -> Result<usize> {
    kernel!(PREAD64, file.number(), buffer.as_mut_ptr(), buffer.len(), place)
}

/// pwrite(2).
pub fn write_at(file: &Fd, bytes: &[u8], place: u64) -> Result<usize> {
    kernel!(PWRITE64, file.number(), bytes.as_ptr(), bytes.len(), place)
}

/// Frees the space that a file takes, and keeps its length.
pub fn punch(file: &Fd, length: u64) -> Result<()> {
    const PUNCH_HOLE_KEEP_SIZE: usize = 3;
    kernel!(FALLOCATE, file.number(), PUNCH_HOLE_KEEP_SIZE, 0usize, length).map(drop)
}

/// Cuts a file off. Takes no space.
pub fn shorten(file: &Fd, length: usize) -> Result<()> {
    kernel!(FTRUNCATE, file.number(), length).map(drop)
}

/// Lets a pipe hold so many bytes.
pub fn widen(pipe: &Fd, bytes: usize) -> Result<()> {
    const SETPIPE_SZ: usize = 1031;
    kernel!(FCNTL, pipe.number(), SETPIPE_SZ, bytes).map(drop)
}

/// Moves all that is in a pipe to the end of a file, without a copy of ours: what a kill interrupts is in
/// the one or in the other. Done when the pipe is empty.
pub fn splice_all(pipe: &Fd, file: &Fd) -> Result<()> {
    const CHUNK: usize = 1 << 20;
    const SEEK_END: usize = 2;
    kernel!(LSEEK, file.number(), 0usize, SEEK_END)?;
    loop {
        match splice(pipe, file, CHUNK) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// How many bytes wait in a pipe.
pub fn waiting(pipe: &Fd) -> Result<u32> {
    const FIONREAD: usize = 0x541b;
    let mut count = 0u32;
    kernel!(IOCTL, pipe.number(), FIONREAD, &raw mut count)?;
    Ok(count)
}

/// mkdirat(2).
pub fn make_directory(path: &CStr, mode: u32) -> Result<()> {
    kernel!(MKDIRAT, AT_FDCWD, path.as_ptr(), mode).map(drop)
}

/// mknodat(2).
pub fn make_node(path: &CStr, mode: u32, device: u64) -> Result<()> {
    kernel!(MKNODAT, AT_FDCWD, path.as_ptr(), mode, device).map(drop)
}

/// symlinkat(2).
pub fn link(content: &CStr, path: &CStr) -> Result<()> {
    kernel!(SYMLINKAT, content.as_ptr(), AT_FDCWD, path.as_ptr()).map(drop)
}

/// Gives a file to a user and group, not following a symbolic link.
pub fn change_owner(path: &CStr, uid: u32, gid: u32) -> Result<()> {
    const NOFOLLOW: usize = 0x100;
    kernel!(FCHOWNAT, AT_FDCWD, path.as_ptr(), uid, gid, NOFOLLOW).map(drop)
}

/// Gives an open file to a user; its group stays.
pub fn change_user(file: &Fd, uid: u32) -> Result<()> {
    kernel!(FCHOWN, file.number(), uid, u32::MAX).map(drop)
}

/// rename(2) within a directory.
pub fn rename(directory: &Fd, from: &CStr, to: &CStr) -> Result<()> {
    let number = directory.number();
    kernel!(RENAMEAT2, number, from.as_ptr(), number, to.as_ptr(), 0usize).map(drop)
}

/// Whether there is something of this name in a directory.
pub fn exists(directory: &Fd, name: &CStr) -> bool {
    open(At::Dir(directory), name, flag::O_PATH, 0).is_ok()
}

/// unlinkat(2).
pub fn remove(directory: &Fd, name: &CStr) -> Result<()> {
    kernel!(UNLINKAT, directory.number(), name.as_ptr(), 0usize).map(drop)
}

/// chdir(2).
pub fn change_directory(path: &CStr) -> Result<()> {
    kernel!(CHDIR, path.as_ptr()).map(drop)
}

/// umask(2).
pub fn set_mask(mask: u32) {
    let _ = kernel!(UMASK, mask);
}
