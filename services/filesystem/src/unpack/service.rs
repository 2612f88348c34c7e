//! The service, as a process sees it that unpacks for it.

use super::messages::{LONGEST, Message, Request, may_be_asked_for};
use rustix::io::{Errno, Result as OsResult};
use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A connection to it.
pub(super) struct Service(OwnedFd);

impl Service {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// What is to be done, the archive, and the root.
    pub(super) fn request(&self) -> io::Result<(Request, OwnedFd, OwnedFd)> {
        let mut buffer = vec![0; LONGEST];
        let (message, descriptors) = kit::passing::receive(&self.0, &mut buffer, RecvFlags::empty())?;
        let [archive, root] =
            descriptors.try_into().map_err(|_| io::Error::other("it needs an archive and a root to unpack"))?;
        Ok((serde_json::from_slice(message)?, archive, root))
    }

    /// Has an attribute set that needs a capability which is not there. `of` may be opened with `O_PATH`.
    pub(super) fn set_attribute(&self, of: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> OsResult<()> {
        if !may_be_asked_for(name, value) {
            return Err(Errno::PERM);
        }
        self.say(&Message::Attribute { name: name.to_vec(), value: value.to_vec() }, &[of])?;
        let mut answer = [0; 4];
        match kit::passing::receive(&self.0, &mut answer, RecvFlags::empty())?.0.len() {
            4 => match i32::from_le_bytes(answer) {
                0 => Ok(()),
                error => Err(Errno::from_raw_os_error(error)),
            },
            _ => Err(Errno::PIPE),
        }
    }

    /// Has something logged.
    pub(super) fn warn(&self, text: String) {
        // Without a service, there is nobody to be warned.
        let _ = self.say(&Message::Warning(text), &[]);
    }

    /// Says something.
    pub(super) fn say(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> OsResult<()> {
        kit::passing::send(self.0.as_fd(), &[&message.encode()], descriptors, SendFlags::empty())
    }
}
