//! What others do to the packet filter. The kernel tells of every change, and by whom; one of our table is undone.

use crate::message::{attribute, text};
use crate::netfilter::Port;
use crate::netlink::{BUFFER, Refused, messages};
use crate::ruleset::{INET, nfta};
use kit::Watched;
use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use std::io;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Whom the kernel tells of changes of nftables (`NFNLGRP_NFTABLES` of linux/netfilter/nfnetlink.h).
const GROUP: u32 = 7;
/// The attribute that names the table is the first of each kind of object.
const TABLE: u16 = nfta::TABLE_NAME;

/// A socket on which the kernel tells of changes.
#[derive(Debug)]
pub(crate) struct Watch {
    socket: AsyncFd<Watched>,
    table: String,
    buffer: Vec<u8>,
}

impl Watch {
    /// Begins to watch, in the namespace of this thread, what is done to a table.
    pub(crate) fn open(table: &str) -> Result<Self, Refused> {
        let open = || {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(NETFILTER))?;
            bind(&socket, &SocketAddrNetlink::new(0, 1 << (GROUP - 1)))?;
            kit::watch(socket, Interest::READABLE)
        };
        let socket = open().map_err(|error| Refused::failed("watching nftables", &error))?;
        Ok(Self { socket, table: table.to_owned(), buffer: vec![0; BUFFER] })
    }

    /// Waits until another socket than `ours` has changed the table, or may have.
    pub(crate) async fn changed(&mut self, ours: &Port) -> io::Result<()> {
        loop {
            // Cleared first: what is told while this reads makes it ready again.
            self.socket.readable().await?.clear_ready();
            if self.drain(ours)? {
                return Ok(());
            }
        }
    }

    /// Reads all that has been told, and says whether any of it is such a change.
    pub(crate) fn drain(&mut self, ours: &Port) -> io::Result<bool> {
        let mut is_concerned = false;
        loop {
            match recv(self.socket.get_ref(), &mut self.buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => {
                    is_concerned |= concerns(&self.buffer[..length], &self.table, ours.number());
                }
                Err(Errno::AGAIN) => return Ok(is_concerned),
                Err(Errno::INTR) => {}
                // More was told than fits: it may have been about anything.
                Err(Errno::NOBUFS) => is_concerned = true,
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// Whether any message of these tells of a change of the table by another socket than `ours`.
fn concerns(datagram: &[u8], table: &str, ours: u32) -> bool {
    messages(datagram).any(|(header, body)| {
        let named = body.get(INET.len()..).and_then(|list| attribute(list, TABLE)).map(text);
        header.port != ours && named.as_deref() == Some(table)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::ruleset::nft_type;

    fn told(table: &str, port: u32) -> Vec<u8> {
        let message = Message::new(nft_type(libc::NFT_MSG_DELTABLE), 0, &INET, "a test");
        let mut datagram = Vec::new();
        message.with(|list| list.text(TABLE, table)).frame(&mut datagram, 0, 1);
        datagram[12..16].copy_from_slice(&port.to_ne_bytes());
        datagram
    }

    #[test]
    fn what_others_do_to_our_table_concerns_us() {
        assert!(concerns(&told("cctl", 7), "cctl", 8));
        assert!(!concerns(&told("cctl", 8), "cctl", 8), "that was us");
        assert!(!concerns(&told("cctl2", 7), "cctl", 8));
        assert!(!concerns(&told("filter", 7), "cctl", 8));
        let several = [told("filter", 7), told("cctl", 7)].concat();
        assert!(concerns(&several, "cctl", 8));
        assert!(!concerns(&several[..several.len() - 8], "cctl", 8), "what is cut off says nothing");
    }
}
