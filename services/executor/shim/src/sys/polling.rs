//! Waiting for descriptors.

use super::arch::nr;
use super::{Fd, Result, call};

/// Something to wait for.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Poll {
    fd: i32,
    events: i16,
    happened: i16,
}

impl Poll {
    const IN: i16 = 1;
    const OUT: i16 = 4;
    /// Nothing.
    pub const NONE: Self = Self { fd: -1, events: 0, happened: 0 };

    /// For a descriptor to become readable or writable.
    pub fn new(fd: &Fd, readable: bool, writable: bool) -> Self {
        if !readable && !writable {
            return Self::NONE;
        }
        let events = if readable { Self::IN } else { 0 } | if writable { Self::OUT } else { 0 };
        Self { fd: fd.number(), events, happened: 0 }
    }

    /// For a descriptor that may be there to become readable.
    pub fn readable(fd: Option<&Fd>) -> Self {
        fd.map_or(Self::NONE, |fd| Self::new(fd, true, false))
    }

    /// Whether anything has happened, also an error or the end.
    pub fn happened(&self) -> bool {
        self.happened != 0
    }
}

/// Waits until something happens, or for so many nanoseconds if there is a limit.
pub fn poll(polls: &mut [Poll], limit: Option<i64>) -> Result<()> {
    const SECOND: i64 = 1_000_000_000;
    let time = limit.map(|limit| [limit.max(0) / SECOND, limit.max(0) % SECOND]);
    let time = time.as_ref().map_or(core::ptr::null(), |time| time.as_ptr());
    kernel!(PPOLL, polls.as_mut_ptr(), polls.len(), time, 0usize, 0usize).map(drop)
}
