//! A process that unpacks, as the service sees it.

use super::WORKER;
use super::messages::{LONGEST, Message, Outcome, Request, may_be_asked_for};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::XattrFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, socketpair};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How long one may be silent before it is looked at.
const SILENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// One that was started. Dropping it ends it.
pub(super) struct Worker {
    process: Child,
    socket: OwnedFd,
}

/// How one has ended.
pub(super) enum Ended {
    /// It has said what became of its work.
    Done(Outcome),
    /// It was killed, in this way.
    Lost(String),
}

impl Worker {
    /// Starts one. It dies with the thread that does this.
    pub(super) fn start(program: &Path) -> io::Result<Self> {
        let (socket, its) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // The program may have the names of other services, too.
        let process = Command::new(program)
            .arg0(crate::IDENTITY.service)
            .arg(WORKER)
            .env_clear()
            .current_dir("/")
            .stdin(its)
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { process, socket })
    }

    /// Has it do something, to its end.
    pub(super) fn work(
        &mut self,
        request: &Request,
        archive: BorrowedFd<'_>,
        root: BorrowedFd<'_>,
    ) -> io::Result<Ended> {
        let message = serde_json::to_vec(request)?;
        let mut buffer = vec![0; LONGEST];
        match kit::passing::send(&self.socket, &[&message], &[archive, root], SendFlags::empty()) {
            Err(Errno::PIPE | Errno::CONNRESET) => return self.lost(),
            other => other?,
        }
        loop {
            if !self.wait()? {
                let _ = self.process.kill();
                return Ok(Ended::Lost("it was stopped".to_owned()));
            }
            let (message, descriptors) = match kit::passing::receive(&self.socket, &mut buffer, RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                Err(Errno::CONNRESET) => return self.lost(),
                other => other?,
            };
            match Message::decode(message) {
                Some(Message::Done(outcome)) => return Ok(Ended::Done(outcome)),
                Some(Message::Warning(text)) => tracing::warn!("{text}"),
                Some(Message::Attribute { name, value }) => {
                    let answer = set_attribute(&descriptors, &name, &value).map_or_else(Errno::raw_os_error, |()| 0);
                    match kit::passing::send(&self.socket, &[&answer.to_le_bytes()], &[], SendFlags::empty()) {
                        Err(Errno::PIPE | Errno::CONNRESET) => return self.lost(),
                        other => other?,
                    }
                }
                None if message.is_empty() => return self.lost(),
                None => return Err(io::Error::other("the process that unpacks says what makes no sense")),
            }
        }
    }

    /// Waits until it says something; no: it is stopped, and will not.
    fn wait(&self) -> io::Result<bool> {
        loop {
            let mut waiting = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut waiting, Some(&SILENCE)) {
                Ok(0) if is_stopped(self.process.id()) => return Ok(false),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn lost(&mut self) -> io::Result<Ended> {
        Ok(Ended::Lost(self.process.wait()?.to_string()))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has ended, or has nothing more to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a signal or a debugger holds a process (proc(5)).
fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['T', 't']))
}

/// Sets an attribute of what a worker has opened: it can open only what is in the directory that it fills.
fn set_attribute(of: &[OwnedFd], name: &[u8], value: &[u8]) -> Result<(), Errno> {
    let [of] = of else { return Err(Errno::INVAL) };
    if !may_be_asked_for(name, value) {
        return Err(Errno::PERM);
    }
    // It may have been opened with O_PATH, for which there is no other way.
    let path = PathBuf::from(format!("/proc/self/fd/{}", of.as_fd().as_raw_fd()));
    rustix::fs::setxattr(path, OsStr::from_bytes(name), value, XattrFlags::empty())
}
