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

/// Waits, without bound, until something happens.
pub fn poll(polls: &mut [Poll]) -> Result<()> {
    kernel!(PPOLL, polls.as_mut_ptr(), polls.len(), 0usize, 0usize, 0usize).map(drop)
}
