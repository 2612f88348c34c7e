//! The one place of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};

/// First descriptor that a starter passes (sd_listen_fds(3)).
const FIRST_PASSED: i32 = 3;

/// Takes the one descriptor that was passed to this process by the protocol of sd_listen_fds(3). None if
/// `LISTEN_PID` and `LISTEN_FDS` do not say that it was. To be called once, before anything else is opened.
pub(crate) fn passed_socket() -> Option<OwnedFd> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) || number("LISTEN_FDS") != Some(1) {
        return None;
    }
    // SAFETY: the starter says that it passed this descriptor, to this very process; it is taken only here,
    // and this function is called once, so nobody else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(FIRST_PASSED) })
}
