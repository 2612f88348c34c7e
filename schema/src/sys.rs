//! The one place of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that is watched by the runtime: open, and the same, as long as this lives.
#[derive(Debug)]
pub struct Watched(Arc<OwnedFd>);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Makes a descriptor something to wait for, until it can be read or written, by the runtime in whose context this is
/// called. Fails if it is watched already, or cannot be.
pub fn watch(descriptor: impl Into<Arc<OwnedFd>>, interest: Interest) -> io::Result<AsyncFd<Watched>> {
    // SAFETY: what is watched owns the descriptor, and never gives another.
    let watched = unsafe { AsyncFd::register_with_interest(Watched(descriptor.into()), interest) };
    watched.map_err(|error| error.into_parts().1)
}
