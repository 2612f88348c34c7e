//! What the keeper waits for: signals, and signs of life of its supervisor.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

/// What the keeper is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A child has ended.
    ChildEnded,
    /// Somebody wants the end.
    ToEnd,
    /// Somebody wants the installed programs to be run.
    ToReload,
    /// The supervisor lives.
    Alive,
    /// Nothing, until the deadline.
    Nothing,
}

/// The queues in which it waits for us.
#[derive(Debug)]
pub(crate) struct Events {
    signals: SignalFd,
    notices: Option<UnixDatagram>,
}

impl Events {
    /// Blocks the signals and queues them. To be called while the process has one thread.
    pub(crate) fn signals() -> io::Result<Self> {
        let mask: SigSet = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { signals, notices: None })
    }

    /// The same, and whatever comes on the supervisor's notification socket is a sign of life.
    pub(crate) fn open(notices: UnixDatagram) -> io::Result<Self> {
        notices.set_nonblocking(true)?;
        Ok(Self { notices: Some(notices), ..Self::signals()? })
    }

    /// Waits for the next event, or for the deadline.
    pub(crate) fn next(&self, deadline: Instant) -> io::Result<Told> {
        loop {
            if let Some(told) = self.signal()? {
                return Ok(told);
            }
            if self.sign_of_life()? {
                return Ok(Told::Alive);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Told::Nothing);
            }
            // Rounded up, or the last millisecond would be spent turning.
            let timeout = PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
            let watched = std::iter::once(self.signals.as_fd()).chain(self.notices.as_ref().map(AsFd::as_fd));
            let mut sources: Vec<_> = watched.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            match poll(&mut sources, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn signal(&self) -> io::Result<Option<Told>> {
        while let Some(signal) = self.signals.read_signal()? {
            match i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                Some(Signal::SIGCHLD) => return Ok(Some(Told::ChildEnded)),
                Some(Signal::SIGTERM | Signal::SIGINT) => return Ok(Some(Told::ToEnd)),
                // A terminal that is closed is no reason to end; and to reload does no harm.
                Some(Signal::SIGHUP) => return Ok(Some(Told::ToReload)),
                _ => {}
            }
        }
        Ok(None)
    }

    fn sign_of_life(&self) -> io::Result<bool> {
        let Some(notices) = &self.notices else { return Ok(false) };
        let mut heard = false;
        loop {
            match notices.recv(&mut [0; 64]) {
                Ok(_) => heard = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(heard),
                Err(error) => return Err(error),
            }
        }
    }
}
