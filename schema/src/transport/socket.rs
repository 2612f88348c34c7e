//! The two halves of a socket, of which the kernel tells only what is of interest.
//!
//! A socket of tokio is watched for room to write, too: each message that a peer takes wakes its sender, who has nothing to
//! say (unix(7) sockets tell of room whenever something was read). Here room is waited for when there was none.

use crate::sys::{Watched, watch};
use futures::io::{AsyncRead, AsyncWrite};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What the peer writes.
#[derive(Debug)]
pub struct Reader(Rc<AsyncFd<Watched>>);

/// What the peer reads. The connection ends for the peer when both halves are dropped.
#[derive(Debug)]
pub struct Writer {
    socket: Rc<AsyncFd<Watched>>,
    /// Tells of room, from when there was none until all is sent.
    room: Option<AsyncFd<Watched>>,
}

/// The halves of a connected stream socket, which must not block. Fails if it cannot be watched.
pub fn halves(socket: OwnedFd) -> io::Result<(Reader, Writer)> {
    let socket = Rc::new(watch(socket, Interest::READABLE)?);
    Ok((Reader(Rc::clone(&socket)), Writer { socket, room: None }))
}

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            match ready.try_io(|socket| Ok(recv(socket.get_ref(), &mut *buffer, RecvFlags::empty())?.0)) {
                Ok(Ok(read)) => {
                    // That was all: what comes now is told anew (epoll(7), "edge-triggered").
                    if 0 < read && read < buffer.len() {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(read));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl Writer {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.socket.get_ref(), bytes, SendFlags::NOSIGNAL)?)
    }

    /// Has the kernel tell of room, by another descriptor, since this one is watched already. Without one the connection is
    /// lost: whoever calls over it tries again.
    fn watch_room(&self) -> io::Result<AsyncFd<Watched>> {
        let socket = self.socket.get_ref().as_fd().try_clone_to_owned();
        socket
            .and_then(|socket| watch(socket, Interest::WRITABLE))
            .map_err(|error| io::Error::new(io::ErrorKind::ConnectionReset, error))
    }
}

impl AsyncWrite for Writer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.send(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.room.is_none() {
                        self.room = Some(self.watch_room()?);
                    }
                    if let Some(room) = &self.room {
                        // Before the next try: room that comes after it is told anew.
                        ready!(room.poll_write_ready(cx))?.clear_ready();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // All that there was is sent.
        self.room = None;
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(shutdown(self.socket.get_ref(), Shutdown::Write).map_err(io::Error::from))
    }
}
