//! Processes that are held by descriptor, so that a reused id never means another one.

use crate::clock::Clock;
use crate::procfs::Status;
use crate::sys;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use schema::Failure;
use schema::common::SandboxRef;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;

/// A process that was alive when this was made. Clones mean the same.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    handle: Arc<OwnedFd>,
}

impl Process {
    /// Takes hold of a process by its id. None if there is no such process.
    pub(crate) fn open(pid: i32) -> io::Result<Option<Self>> {
        let Some(number) = Pid::from_raw(pid) else { return Ok(None) };
        match pidfd_open(number, PidfdFlags::NONBLOCK) {
            Ok(handle) => Ok(Some(Self { pid, handle: Arc::new(handle) })),
            // The id of a thread is that of no process, which newer kernels (seen: 6.18) say by NOENT.
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes hold of a child of another process. None if it has ended, or its id means another process now.
    pub(crate) fn child(pid: i32, parent: i32) -> io::Result<Option<Self>> {
        let process = Self::open(pid)?;
        Ok(process.filter(|_| Status::read(pid).number("PPid:") == u64::try_from(parent).ok()))
    }

    /// Takes hold of a process that was noted down. None if it has ended, or its id means another process now.
    pub(crate) fn noted(sandbox: SandboxRef) -> io::Result<Option<Self>> {
        let process = Self::open(sandbox.pid)?;
        Ok(process.filter(|_| kit::process::is_alive(sandbox.pid, sandbox.start_time)))
    }

    /// One whose descriptor is at hand: it was just started, or a predecessor of this program took hold of it. It may have
    /// ended since.
    pub(crate) fn of(pid: i32, handle: OwnedFd) -> Self {
        Self { pid, handle: Arc::new(handle) }
    }

    /// A descriptor to hand on.
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.handle.try_clone()
    }

    /// Sends a signal. Done also if it has ended.
    pub(crate) fn signal(&self, number: i32) -> Result<(), Failure> {
        match sys::signal(&*self.handle, number) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            other => other
                .map_err(|error| Failure::io(format_args!("sending signal {number} to process {}", self.pid), &error)),
        }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.poll(Duration::ZERO)
    }

    /// Waits for its end, blocking: whether it has come.
    pub(crate) fn wait_blocking(&self, limit: Duration) -> bool {
        self.poll(limit)
    }

    fn poll(&self, limit: Duration) -> bool {
        let mut polls = [PollFd::new(&*self.handle, PollFlags::IN)];
        let limit = rustix::event::Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        poll(&mut polls, Some(&limit)).is_ok_and(|count| count > 0)
    }

    /// Waits for its end. To be called inside a tokio runtime.
    pub(crate) async fn ended(&self) {
        match kit::watch(Arc::clone(&self.handle), Interest::READABLE) {
            Ok(watched) => drop(watched.readable().await),
            Err(error) => {
                tracing::warn!(%error, pid = self.pid, "cannot watch a process; asking instead");
                while !self.has_ended() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Reaps it, if it is our child.
    pub(crate) fn reap(&self) {
        // ECHILD: it was started before us, and somebody else reaps it.
        let _ = waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

/// Whether a process is the first one of a PID namespace below ours.
pub(crate) fn is_first(pid: i32) -> bool {
    let status = Status::read(pid);
    status.words("NSpid:").count() > 1 && status.words("NSpid:").next_back() == Some("1")
}

/// When a process was started, in nanoseconds since the Unix epoch, to the kernel's clock tick.
pub(crate) fn started_at(pid: i32) -> io::Result<i64> {
    Ok(Clock::read()?.time(kit::process::start_time(pid)?))
}
