//! The one place of these tests with `unsafe`.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::net::UnixListener;

/// Takes a listening socket that was passed to this process.
pub(crate) fn take(number: RawFd) -> UnixListener {
    // SAFETY: called once, for a descriptor that the supervisor has passed and that nobody else uses.
    unsafe { UnixListener::from_raw_fd(number) }
}
