//! What carries the requests of an rtnetlink handle: whoever asks, on its own thread.
//!
//! The kernel answers inside `sendmsg`. A runtime with its epoll would wait for what is there already, with three times the
//! system calls, and cost as much again to begin and to end: each sandbox has a socket of its own for a moment.

use bytes::BufMut;
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::Handle;
use rtnetlink::proto::Connection;
use rtnetlink::sys::{AsyncSocket, Socket, SocketAddr};
use rustix::event::{PollFd, PollFlags, poll};
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A socket that tells nobody: what it does not have yet is pending until somebody looks again.
struct Plain(Socket);

/// Does what does not block, however often a signal comes between.
fn attempt<T>(mut action: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
    loop {
        match action() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            done => return Poll::Ready(done),
        }
    }
}

impl AsyncSocket for Plain {
    fn socket_ref(&self) -> &Socket {
        &self.0
    }

    fn socket_mut(&mut self) -> &mut Socket {
        &mut self.0
    }

    fn new(protocol: isize) -> io::Result<Self> {
        let socket = Socket::new(protocol)?;
        socket.set_non_blocking(true)?;
        Ok(Self(socket))
    }

    fn poll_send(&self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        attempt(|| self.0.send(bytes, 0))
    }

    fn poll_send_to(&self, _: &mut Context<'_>, bytes: &[u8], to: &SocketAddr) -> Poll<io::Result<usize>> {
        attempt(|| self.0.send_to(bytes, to, 0))
    }

    fn poll_recv<B: BufMut>(&self, _: &mut Context<'_>, buffer: &mut B) -> Poll<io::Result<()>> {
        attempt(|| self.0.recv(buffer, 0).map(drop))
    }

    fn poll_recv_from<B: BufMut>(&self, _: &mut Context<'_>, buffer: &mut B) -> Poll<io::Result<SocketAddr>> {
        attempt(|| self.0.recv_from(buffer, 0).map(|(_, from)| from))
    }

    fn poll_recv_from_full(&self, _: &mut Context<'_>) -> Poll<io::Result<(Vec<u8>, SocketAddr)>> {
        attempt(|| self.0.recv_from_full())
    }
}

/// Whether there is something to do without the kernel.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// A socket and what is under way on it.
pub(super) struct Driver {
    /// None: it has failed.
    connection: RefCell<Option<Connection<RouteNetlinkMessage, Plain>>>,
}

impl Driver {
    /// Opens a socket in the namespace of this thread.
    pub(super) fn open() -> io::Result<(Self, Handle)> {
        let (connection, handle, _) = rtnetlink::new_connection_with_socket::<Plain>()?;
        Ok((Self { connection: RefCell::new(Some(connection)) }, handle))
    }

    /// Whether the socket failed, for want of memory for one, and is of no use any more.
    pub(super) fn is_broken(&self) -> bool {
        self.connection.borrow().is_none()
    }

    /// Carries a request of the socket's handle to its end. Blocks.
    pub(super) fn run<T>(&self, request: impl Future<Output = T>) -> T {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let mut request = pin!(request);
        let mut connection = self.connection.borrow_mut();
        loop {
            while woken.0.swap(false, Ordering::AcqRel) {
                if let Poll::Ready(answer) = request.as_mut().poll(&mut context) {
                    return answer;
                }
                if connection.as_mut().is_some_and(|connection| carry(connection, &mut context).is_break()) {
                    // Whoever waits for an answer is woken, and told that there is none.
                    *connection = None;
                }
            }
            if let Some(connection) = connection.as_mut() {
                wait(connection.socket_mut().socket_ref());
            }
            woken.0.store(true, Ordering::Release);
        }
    }
}

/// Sends what was asked for, and passes on what has come. The kernel's answer is there when the request is sent; a connection
/// that is polled would look for it before that. Breaks if the socket has failed.
fn carry(connection: &mut Connection<RouteNetlinkMessage, Plain>, context: &mut Context<'_>) -> ControlFlow<()> {
    connection.poll_requests(context);
    connection.poll_send_messages(context);
    connection.poll_read_messages(context);
    connection.forward_unsolicited_messages();
    connection.forward_responses();
    if connection.should_shut_down() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Waits until a socket has something to read. A request is never waited for: the kernel has taken it when it is sent.
fn wait(socket: &Socket) {
    // If it fails, the next look says why.
    let _ = poll(&mut [PollFd::new(socket, PollFlags::IN)], None);
}
