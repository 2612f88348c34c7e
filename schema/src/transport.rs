//! How an RPC system speaks over a socket: what it has to say at one time goes in one write.
//!
//! `capnp_rpc` flushes after each message, and a write wakes the peer: a client's first messages, or an answer and what
//! follows it, would each cost a turn of both processes. Here a flush is due, and [`drive`] does it when the system has
//! said all that it can say now.

mod socket;

use capnp::message::ReaderOptions;
use capnp_rpc::{RpcSystem, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use futures::FutureExt;
use futures::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

pub use crate::sys::{Watched, watch};
pub use socket::{Reader, Writer, halves};

/// Bytes of the buffers between RPC system and socket.
const SOCKET_BUFFER: usize = 32 << 10;
/// Bytes in flight in one stream; the default of 64 KiB costs two thirds of the throughput.
const STREAM_WINDOW: usize = 1 << 20;
/// Turns that a system has before what it said is sent: it gives way to others after some of its tasks, though more of them
/// could go on. A turn in which none can costs next to nothing.
const TURNS: usize = 4;

/// What an RPC system has said and its peer has not been sent yet.
pub struct Outgoing<W>(Rc<Shared<W>>);

struct Shared<W> {
    writer: RefCell<BufWriter<W>>,
    /// The system waits in a write. Who else waited at the socket would be woken in its place.
    writes: Cell<bool>,
}

/// A network of two for an RPC system, over both halves of a socket. [`drive`] it with what is answered besides.
pub fn network<R, W>(
    reader: R,
    writer: W,
    side: Side,
    options: ReaderOptions,
) -> (VatNetwork<BufReader<R>>, Outgoing<W>)
where
    R: AsyncRead + Unpin + 'static,
    W: AsyncWrite + Unpin + 'static,
{
    let writer = RefCell::new(BufWriter::with_capacity(SOCKET_BUFFER, writer));
    let shared = Rc::new(Shared { writer, writes: Cell::new(false) });
    let reader = BufReader::with_capacity(SOCKET_BUFFER, reader);
    let mut network = VatNetwork::new(reader, Outgoing(Rc::clone(&shared)), side, options);
    network.set_window_size(STREAM_WINDOW);
    (network, Outgoing(shared))
}

/// Runs an RPC system over its [`network`] until its peer is gone. Fails as the system does, or as the socket.
pub async fn drive<W: AsyncWrite + Unpin>(mut system: RpcSystem<Side>, outgoing: Outgoing<W>) -> capnp::Result<()> {
    let disconnector = system.get_disconnector();
    let conversation = poll_fn(|cx| {
        for _ in 0..TURNS {
            if let Poll::Ready(ended) = system.poll_unpin(cx) {
                return Poll::Ready(Ok(ended));
            }
        }
        match outgoing.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    });
    match conversation.await {
        Ok(ended) => {
            let sent = poll_fn(|cx| outgoing.poll_last(cx)).await;
            ended.and(sent.map_err(capnp::Error::from))
        }
        Err(error) => {
            // The calls in flight have to learn of it.
            let _ = futures::join!(disconnector, system);
            Err(error.into())
        }
    }
}

impl<W: AsyncWrite + Unpin> Outgoing<W> {
    fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.writes.get() { Poll::Pending } else { self.poll_last(cx) }
    }

    /// Sends what a system has said that does not write any more.
    fn poll_last(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.writer.borrow_mut()).poll_flush(cx)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Outgoing<W> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.0.writer.borrow_mut()).poll_write(cx, bytes);
        self.0.writes.set(written.is_pending());
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // `drive` does, in this turn of the same task.
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.writer.borrow_mut()).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::common_capnp::service;
    use crate::link::reader_options;
    use futures::future::{join_all, try_join_all};
    use tokio::net::UnixStream;

    struct Named(String);

    impl service::Server for Named {
        async fn hello(
            self: Rc<Self>,
            _: service::HelloParams,
            mut results: service::HelloResults,
        ) -> Result<(), capnp::Error> {
            results.get().init_about().set_version(&self.0);
            Ok(())
        }
    }

    /// Counts the writes.
    struct Counted<W>(W, Rc<Cell<u32>>);

    impl<W: AsyncWrite + Unpin> AsyncWrite for Counted<W> {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.1.set(self.1.get() + 1);
            Pin::new(&mut self.0).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_close(cx)
        }
    }

    /// One end, its writes, and what runs it.
    fn end(
        stream: UnixStream,
        side: Side,
        serves: Option<service::Client>,
    ) -> (service::Client, Rc<Cell<u32>>, impl Future<Output = capnp::Result<()>>) {
        let (reader, writer) = halves(stream.into_std().unwrap().into()).unwrap();
        let writes = Rc::new(Cell::new(0));
        let writer = Counted(writer, Rc::clone(&writes));
        let (network, outgoing) = network(reader, writer, side, reader_options());
        let mut system = RpcSystem::new(Box::new(network), serves.map(|client| client.client));
        (
            system.bootstrap(if side == Side::Client { Side::Server } else { Side::Client }),
            writes,
            drive(system, outgoing),
        )
    }

    async fn version(client: &service::Client) -> capnp::Result<usize> {
        let answer = client.hello_request().send().promise.await?;
        Ok(answer.get()?.get_about()?.get_version()?.len())
    }

    #[tokio::test(flavor = "local")]
    async fn what_is_said_at_one_time_is_one_write() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (client, requests, asking) = end(ours, Side::Client, None);
        let mut asking = Box::pin(asking);
        let mut asked = Box::pin(try_join_all([version(&client), version(&client), version(&client)]));
        assert!(asked.as_mut().now_or_never().is_none());
        assert!(asking.as_mut().now_or_never().is_none());
        assert_eq!(requests.get(), 1);
        // All of it was there when they read.
        let (_, answers, serving) = end(theirs, Side::Server, Some(capnp_rpc::new_client(Named("1".into()))));
        tokio::task::spawn_local(serving);
        tokio::task::spawn_local(asking);
        assert_eq!(asked.await.unwrap(), [1, 1, 1]);
        assert!(answers.get() < 4, "{}", answers.get());
    }

    #[tokio::test(flavor = "local")]
    async fn more_than_a_socket_holds_goes_both_ways_at_a_time() {
        const SIZE: usize = 1 << 20;
        let (ours, theirs) = UnixStream::pair().unwrap();
        let named = || Some(capnp_rpc::new_client(Named("x".repeat(SIZE))));
        let (them, _, serving) = end(theirs, Side::Server, named());
        tokio::task::spawn_local(serving);
        let (us, _, asking) = end(ours, Side::Client, named());
        tokio::task::spawn_local(asking);
        let all = join_all((0..32).map(|turn| version(if turn % 2 == 0 { &us } else { &them })));
        for answer in tokio::time::timeout(std::time::Duration::from_secs(60), all).await.unwrap() {
            assert_eq!(answer.unwrap(), SIZE);
        }
    }

    #[tokio::test(flavor = "local")]
    async fn it_ends_when_the_peer_is_gone() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (client, _, asking) = end(ours, Side::Client, None);
        let asked = tokio::task::spawn_local(async move { version(&client).await });
        let driven = tokio::task::spawn_local(asking);
        drop(theirs);
        assert!(asked.await.unwrap().is_err());
        let _ = driven.await.unwrap();
    }
}
