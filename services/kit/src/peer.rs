//! Who is at the other end of a socket.

use crate::sys;
use std::io;
use std::os::fd::AsFd;

/// A peer, by the kernel's word at the time of its connect (SO_PEERCRED and SO_PEERGROUPS, unix(7)). Groups that the user
/// database gives to its user, and that the process did not have, are none of its groups: as for a file's permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Process id.
    pub pid: i32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// All groups, `gid` among them.
    pub groups: Vec<u32>,
}

impl Peer {
    /// The peer of a connected unix socket.
    pub fn of(socket: impl AsFd) -> io::Result<Self> {
        let credentials = rustix::net::sockopt::socket_peercred(&socket)?;
        let (uid, gid) = (credentials.uid.as_raw(), credentials.gid.as_raw());
        // Root's are of no interest.
        let mut groups = if uid == 0 { Vec::new() } else { sys::peer_groups(socket.as_fd())? };
        if !groups.contains(&gid) {
            groups.push(gid);
        }
        Ok(Self { pid: credentials.pid.as_raw_nonzero().get(), uid, gid, groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_its_groups() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = Peer::of(&one).unwrap();
        assert_eq!(peer.pid, rustix::process::getpid().as_raw_nonzero().get());
        assert_eq!((peer.uid, peer.gid), (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()));
        let own = rustix::process::getgroups().unwrap();
        let asked = sys::peer_groups(one.as_fd()).unwrap();
        assert_eq!(asked, own.iter().map(|group| group.as_raw()).collect::<Vec<_>>());
    }
}
