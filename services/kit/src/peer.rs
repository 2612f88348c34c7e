//! Who is at the other end of a socket.

use std::io;
use std::os::fd::AsFd;

/// A peer, by the kernel's word at the time of its connect (SO_PEERCRED, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Peer {
    /// The peer of a connected unix socket.
    pub fn of(socket: impl AsFd) -> io::Result<Self> {
        let credentials = rustix::net::sockopt::socket_peercred(socket)?;
        Ok(Self {
            pid: credentials.pid.as_raw_nonzero().get(),
            uid: credentials.uid.as_raw(),
            gid: credentials.gid.as_raw(),
        })
    }

    /// Whether it may speak to us: root, our own user, and these.
    pub fn may_connect(&self, callers: &[u32]) -> bool {
        self.uid == 0 || self.uid == rustix::process::geteuid().as_raw() || callers.contains(&self.uid)
    }
}
