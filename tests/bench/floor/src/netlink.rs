//! As much of rtnetlink(7) as a network of a container needs.

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, bind, recv, send, socket};
use std::io;
use std::os::fd::OwnedFd;

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE: u16 = 0x400;

/// Kinds of messages.
pub mod kind {
    /// Makes or changes an interface.
    pub const NEW_LINK: u16 = 16;
    /// Removes one.
    pub const DELETE_LINK: u16 = 17;
    /// Gives an address.
    pub const NEW_ADDRESS: u16 = 20;
    /// Adds a route.
    pub const NEW_ROUTE: u16 = 24;
}

/// A message in the making.
pub struct Message(Vec<u8>);

impl Message {
    /// A message of a kind, with the header of its family.
    pub fn new(kind: u16, header: &[u8]) -> Self {
        let mut bytes = vec![0; 16];
        bytes[4..6].copy_from_slice(&kind.to_le_bytes());
        let create = if kind == kind::DELETE_LINK { 0 } else { CREATE };
        bytes[6..8].copy_from_slice(&(REQUEST | ACK | create).to_le_bytes());
        bytes.extend_from_slice(header);
        Self(bytes)
    }

    /// The header of a message on interfaces: its number (0: by name), and which flags are set.
    pub fn link(kind: u16, index: u32, flags: u32) -> Self {
        let mut header = [0; 16];
        header[4..8].copy_from_slice(&index.to_le_bytes());
        header[8..12].copy_from_slice(&flags.to_le_bytes());
        header[12..16].copy_from_slice(&flags.to_le_bytes());
        Self::new(kind, &header)
    }

    /// With an attribute.
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.put(kind, value);
        self
    }

    /// With attributes in an attribute.
    pub fn nested(mut self, kind: u16, head: &[u8], inner: impl FnOnce(Self) -> Self) -> Self {
        let inner = inner(Self(head.to_vec()));
        self.put(kind, &inner.0);
        self
    }

    fn put(&mut self, kind: u16, value: &[u8]) {
        self.0.extend_from_slice(&(value.len() as u16 + 4).to_le_bytes());
        self.0.extend_from_slice(&kind.to_le_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// A socket of the network namespace in which it was opened.
pub struct Netlink(OwnedFd);

impl Netlink {
    /// Opens one.
    pub fn open() -> io::Result<Self> {
        let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self(socket))
    }

    /// Sends messages in one go, and waits until each is done.
    pub fn ask<const N: usize>(&self, messages: [Message; N]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for mut message in messages {
            let length = message.0.len() as u32;
            message.0[0..4].copy_from_slice(&length.to_le_bytes());
            bytes.append(&mut message.0);
        }
        send(&self.0, &bytes, SendFlags::empty())?;
        let mut done = 0;
        while done < N {
            let mut answer = [0; 8192];
            let (read, _) = recv(&self.0, &mut answer[..], RecvFlags::empty())?;
            let mut rest = &answer[..read];
            while rest.len() >= 20 {
                let length = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
                match i32::from_le_bytes([rest[16], rest[17], rest[18], rest[19]]) {
                    0 => done += 1,
                    error => return Err(io::Error::from_raw_os_error(-error)),
                }
                rest = &rest[length.next_multiple_of(4).min(rest.len())..];
            }
        }
        Ok(())
    }
}
