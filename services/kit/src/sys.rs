//! The one place of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// First descriptor that a starter passes (sd_listen_fds(3)).
const FIRST_PASSED: i32 = 3;

/// Takes the descriptors that were passed to this process by the protocol of sd_listen_fds(3), with their names. None
/// if `LISTEN_PID` and `LISTEN_FDS` do not say that there are some. To be called once, before anything else is opened.
pub(crate) fn passed() -> Option<Vec<(String, OwnedFd)>> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let count = number("LISTEN_FDS").filter(|count| *count > 0)?;
    if number("LISTEN_PID") != Some(std::process::id()) {
        return None;
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.split(':').map(str::to_owned).chain(std::iter::repeat(String::new()));
    // SAFETY: the starter says that it passed these descriptors, to this very process; they are taken only here,
    // and this function is called once, so nobody else owns them.
    let passed = (FIRST_PASSED..).zip(names).map(|(number, name)| (name, unsafe { OwnedFd::from_raw_fd(number) }));
    let passed: Vec<(String, OwnedFd)> = passed.take(count as usize).collect();
    for (_, descriptor) in &passed {
        // What this process executes is not meant. It can fail only if the starter has passed nothing there.
        let _ = rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC);
    }
    Some(passed)
}

/// Gives memory that was allocated and is free back to the kernel, as far as the C library can do that.
pub(crate) fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called at any time, by any thread, and touches only what nobody uses.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The supplementary groups that the peer of a connected unix socket had when it connected (SO_PEERGROUPS, Linux 4.13).
pub(crate) fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; 64];
    loop {
        let mut length = libc::socklen_t::try_from(size_of_val(groups.as_slice())).map_err(io::Error::other)?;
        let room = length;
        // SAFETY: `groups` has room for `length` bytes, and any bytes are valid numbers; both are ours alone.
        let answer = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = length as usize / size_of::<u32>();
        if answer == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // Then `length` says how much it takes.
        if error.raw_os_error() != Some(libc::ERANGE) || length <= room {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}
