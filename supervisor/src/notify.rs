//! What services tell us, by the protocol of systemd's `sd_notify(3)`.

use crate::sockets;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::Pid;
use schema::calls::{self, Count};
use schema::{Failure, Instance};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixDatagram;
use tokio::io::Interest;

/// Longer messages are cut off.
const LONGEST: usize = 4096;

/// What a message says. Assignments that we do not know are ignored, as the protocol wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The service serves.
    pub(crate) ready: bool,
    /// Its main loop runs.
    pub(crate) alive: bool,
    /// Connections that it serves.
    pub(crate) connections: Option<u32>,
    /// Methods that it was called for, and how often, altogether.
    pub(crate) calls: Vec<(String, Count)>,
}

/// A service's notification socket.
#[derive(Debug)]
pub(crate) struct Inbox(tokio::net::UnixDatagram);

impl Inbox {
    /// Makes the socket in the file system.
    pub(crate) fn open(instance: &Instance, service: &str) -> Result<Self, Failure> {
        let socket = sockets::notification(instance, service)?;
        Self::from_socket(socket)
            .map_err(|error| Failure::io(format_args!("preparing the notification socket of {service}"), &error))
    }

    fn from_socket(socket: UnixDatagram) -> io::Result<Self> {
        set_socket_passcred(&socket, true)?;
        socket.set_nonblocking(true)?;
        Ok(Self(tokio::net::UnixDatagram::from_std(socket)?))
    }

    /// The next message, and by the kernel's word the process that sent it.
    pub(crate) async fn receive(&self) -> io::Result<(Option<Pid>, Notice)> {
        self.0.async_io(Interest::READABLE, || self.take()).await
    }

    fn take(&self) -> io::Result<(Option<Pid>, Notice)> {
        let mut text = [0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(&self.0, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let sender = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(credentials) => Some(credentials.pid),
            _ => None,
        });
        Ok((sender, parse(text.get(..received.bytes).unwrap_or_default())))
    }
}

fn parse(message: &[u8]) -> Notice {
    let mut notice = Notice::default();
    for line in message.split(|byte| *byte == b'\n') {
        match line {
            b"READY=1" => notice.ready = true,
            b"WATCHDOG=1" => notice.alive = true,
            other => notice.more(other),
        }
    }
    notice
}

impl Notice {
    /// What our own services say besides.
    fn more(&mut self, line: &[u8]) {
        match std::str::from_utf8(line).ok().and_then(|line| line.split_once('=')) {
            Some((calls::NOTE, text)) => {
                self.calls.extend(calls::read_note(text).map(|(method, count)| (method.to_owned(), count)));
            }
            Some((calls::CONNECTIONS, text)) => self.connections = text.parse().ok(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_have_several_lines() {
        assert_eq!(parse(b"STATUS=on its way\nREADY=1\n"), Notice { ready: true, ..Notice::default() });
        assert_eq!(parse(b"WATCHDOG=1"), Notice { alive: true, ..Notice::default() });
        assert_eq!(parse(b"READY=0\nREADY=10\nXREADY=1"), Notice::default());
        let count = Count { answered: 7, ..Count::default() };
        let text = format!("{}\n{}=3\n{}=wrong", calls::note("a.b", &count), calls::CONNECTIONS, calls::NOTE);
        let wanted = Notice { connections: Some(3), calls: vec![("a.b".to_owned(), count)], ..Notice::default() };
        assert_eq!(parse(text.as_bytes()), wanted);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            parse(&bytes);
        }
    }

    #[tokio::test]
    async fn the_sender_is_known() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let inbox = Inbox::from_socket(ours).unwrap();
        theirs.send(b"READY=1").unwrap();
        let (sender, notice) = inbox.receive().await.unwrap();
        assert_eq!(sender, Some(rustix::process::getpid()));
        assert!(notice.ready);
    }
}
