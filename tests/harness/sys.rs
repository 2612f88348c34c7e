//! The one place of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Makes a child the leader of a new session whose terminal is its standard input.
pub(crate) fn own_terminal(command: &mut Command) {
    // SAFETY: setsid and ioctl(TIOCSCTTY) are async-signal-safe, and the closure allocates nothing.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
            Ok(())
        });
    }
}
