//! Shelves: what keeps descriptors for a service while it restarts. Keeper and supervisor hold their sockets, and never
//! look at what is in them.

use kit::shelf::{IN, OUT};
use nix::sys::socket::{setsockopt, sockopt};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes of the kernel's that a shelf may take: some thousand sandboxes' worth.
const SPACE: usize = 16 << 20;

/// The sockets of all shelves, by the name of the service and which of the two it is.
#[derive(Debug, Default)]
pub(crate) struct Shelves(Vec<(String, OwnedFd)>);

impl Shelves {
    /// Makes empty ones, for those of these services that have none.
    pub(crate) fn add<'a>(&mut self, services: impl Iterator<Item = &'a str>) -> io::Result<()> {
        for service in services {
            if self.of(service)?.is_some() {
                continue;
            }
            let (into, out) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
            // The limit of others does not hold for whoever administers the network; a container's root may not.
            if setsockopt(&into, sockopt::SndBufForce, &SPACE).is_err() {
                setsockopt(&into, sockopt::SndBuf, &SPACE)?;
            }
            self.0.extend([(name(service, IN), into), (name(service, OUT), out)]);
        }
        Ok(())
    }

    /// Takes those that are among passed descriptors.
    pub(crate) fn take_from(passed: &mut Vec<(String, OwnedFd)>) -> Self {
        let is_shelf = |name: &str| [IN, OUT].iter().any(|end| name.ends_with(&format!(".{end}")));
        Self(passed.extract_if(.., |(name, _)| is_shelf(name)).collect())
    }

    /// All of them, by the names by which they are passed on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, BorrowedFd<'_>)> {
        self.0.iter().map(|(name, socket)| (name.as_str(), socket.as_fd()))
    }

    /// The shelf of a service, if there is one.
    pub(crate) fn of(&self, service: &str) -> io::Result<Option<[OwnedFd; 2]>> {
        let find = |end| self.0.iter().find(|(known, _)| *known == name(service, end)).map(|(_, socket)| socket);
        let (Some(into), Some(out)) = (find(IN), find(OUT)) else { return Ok(None) };
        Ok(Some([into.try_clone()?, out.try_clone()?]))
    }
}

fn name(service: &str, end: &str) -> String {
    format!("{service}.{end}")
}
