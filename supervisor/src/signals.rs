//! Signals as a queue to wait on, for the keeper.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

/// What the keeper is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A child has ended.
    ChildEnded,
    /// Somebody wants the end.
    ToEnd,
    /// Nothing, until the deadline.
    Nothing,
}

/// The signals that wait for us; they are blocked otherwise.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals and queues them. To be called while the process has one thread.
    pub(crate) fn open() -> io::Result<Self> {
        let mask: SigSet = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        mask.thread_block()?;
        Ok(Self(SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// Waits for the next signal, or for the deadline.
    pub(crate) fn next(&self, deadline: Option<Instant>) -> io::Result<Told> {
        loop {
            while let Some(signal) = self.0.read_signal()? {
                match i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                    Some(Signal::SIGCHLD) => return Ok(Told::ChildEnded),
                    Some(Signal::SIGTERM | Signal::SIGINT) => return Ok(Told::ToEnd),
                    // A terminal that is closed is no reason to end.
                    _ => {}
                }
            }
            let timeout = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => PollTimeout::NONE,
                Some(left) if left.is_zero() => return Ok(Told::Nothing),
                // Rounded up, or the last millisecond would be spent turning.
                Some(left) => PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX),
            };
            match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
