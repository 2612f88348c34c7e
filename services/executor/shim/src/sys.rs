//! The kernel, called directly: the one place of this program with `unsafe`.
//!
//! What is offered to the other modules is safe: descriptors are owned, memory is borrowed, and the process
//! has one thread.
#![allow(unsafe_code)]

mod arch;

use arch::{nr, syscall};
use core::ffi::CStr;
pub use files::*;
pub use memory::Memory;
pub use mounts::*;
pub use polling::Poll;
pub use polling::poll;
pub use privileges::*;
pub use processes::*;
pub use sockets::*;

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// Not permitted.
    pub const PERM: Self = Self(1);
    /// No such file or directory.
    pub const NOENT: Self = Self(2);
    /// No such process.
    pub const SRCH: Self = Self(3);
    /// Interrupted.
    pub const INTR: Self = Self(4);
    /// Input/output error: the other side of a terminal is gone.
    pub const IO: Self = Self(5);
    /// Nothing now.
    pub const AGAIN: Self = Self(11);
    /// Permission denied.
    pub const ACCES: Self = Self(13);
    /// It exists.
    pub const EXIST: Self = Self(17);
    /// No such device or filesystem.
    pub const NODEV: Self = Self(19);
    /// Not a directory.
    pub const NOTDIR: Self = Self(20);
    /// Invalid argument.
    pub const INVAL: Self = Self(22);
}

/// What a system call answers.
pub type Result<T> = core::result::Result<T, Errno>;

/// An open descriptor; closed when it is dropped.
#[derive(Debug)]
pub struct Fd(i32);

impl Fd {
    /// One that this process was started with.
    pub const fn inherited(number: i32) -> Self {
        Self(number)
    }

    /// Its number.
    pub fn number(&self) -> i32 {
        self.0
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours, and nobody uses it after this.
        let _ = unsafe { syscall(nr::CLOSE, [self.0 as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Calls the kernel.
///
/// # Safety
/// Whatever the call reads or writes must be valid for it.
unsafe fn call<const N: usize>(number: usize, arguments: [usize; N]) -> Result<usize> {
    let mut all = [0; 6];
    all.iter_mut().zip(arguments).for_each(|(place, argument)| *place = argument);
    // SAFETY: the caller's promise.
    let answer = unsafe { syscall(number, all) };
    if (-4095..0).contains(&answer) { Err(Errno(-answer as i32)) } else { Ok(answer as usize) }
}

/// Calls the kernel with numbers, descriptors, texts and slices, which all are valid for the call.
macro_rules! kernel {
    ($number:ident $(, $argument:expr)* $(,)?) => {{
        let arguments = [$(($argument) as usize),*];
        // SAFETY: every pointer among the arguments comes from a reference or slice that lives through the
        // call, with its true length; the kernel touches no other memory of ours in this call.
        unsafe { call(nr::$number, arguments) }
    }};
}

mod entry;
mod files;
mod memory;
mod mounts;
mod polling;
mod privileges;
mod processes;
mod sockets;
pub mod terminal;

fn owned(answer: Result<usize>) -> Result<Fd> {
    answer.map(|number| Fd(number as i32))
}

/// read(2), again when interrupted.
pub fn read(fd: &Fd, buffer: &mut [u8]) -> Result<usize> {
    loop {
        let answer = kernel!(READ, fd.number(), buffer.as_mut_ptr(), buffer.len());
        if answer != Err(Errno::INTR) {
            return answer;
        }
    }
}

/// write(2), again when interrupted.
pub fn write(fd: &Fd, bytes: &[u8]) -> Result<usize> {
    loop {
        let answer = kernel!(WRITE, fd.number(), bytes.as_ptr(), bytes.len());
        if answer != Err(Errno::INTR) {
            return answer;
        }
    }
}

/// dup3(2) onto a given number, to be passed on to programs.
pub fn duplicate_onto(fd: &Fd, number: i32) -> Result<()> {
    kernel!(DUP3, fd.number(), number, 0usize).map(drop)
}

/// Closes every descriptor from this number on.
pub fn close_from(first: u32) -> Result<()> {
    kernel!(CLOSE_RANGE, first, u32::MAX, 0usize).map(drop)
}

/// sethostname(2).
pub fn set_hostname(hostname: &CStr) -> Result<()> {
    kernel!(SETHOSTNAME, hostname.as_ptr(), hostname.count_bytes()).map(drop)
}

/// The process's own id.
pub fn process_id() -> i32 {
    kernel!(GETPID).unwrap_or(0) as i32
}

/// setsid(2).
pub fn new_session() -> Result<()> {
    kernel!(SETSID).map(drop)
}

/// Ends this process.
pub fn exit(code: i32) -> ! {
    loop {
        let _ = kernel!(EXIT_GROUP, code);
    }
}

/// Nanoseconds since the Unix epoch.
pub fn now() -> i64 {
    const REALTIME: usize = 0;
    clock(REALTIME)
}

/// Nanoseconds since some time; they pass evenly, whatever clock is set.
pub fn steady_now() -> i64 {
    const MONOTONIC: usize = 1;
    clock(MONOTONIC)
}

fn clock(number: usize) -> i64 {
    let mut time = [0i64; 2];
    let _ = kernel!(CLOCK_GETTIME, number, time.as_mut_ptr());
    let [seconds, nanoseconds] = time;
    seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds)
}

/// Unlocks a file.
pub fn unlock(file: &Fd) {
    const UNLOCK: usize = 8;
    let _ = kernel!(FLOCK, file.number(), UNLOCK);
}

/// Locks a file, waiting for it or not.
pub fn lock(file: &Fd, wait: bool) -> Result<()> {
    const EXCLUSIVE: usize = 2;
    const NONBLOCK: usize = 4;
    kernel!(FLOCK, file.number(), EXCLUSIVE | if wait { 0 } else { NONBLOCK }).map(drop)
}
