//! A peer that does not read its answers is not read from: they would pile up here.

use futures::io::{AsyncRead, AsyncWrite};
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Whether the peer takes what is written.
#[derive(Debug, Default)]
pub(super) struct Gate {
    closed: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

/// Reads while the gate is open.
pub(super) struct Reader<R> {
    inner: R,
    gate: Rc<Gate>,
}

/// Writes, and closes the gate while it has to wait.
pub(super) struct Writer<W> {
    inner: W,
    gate: Rc<Gate>,
}

/// Both ends of a connection.
pub(super) fn gated<R, W>(reader: R, writer: W) -> (Reader<R>, Writer<W>) {
    let gate = Rc::new(Gate::default());
    (Reader { inner: reader, gate: Rc::clone(&gate) }, Writer { inner: writer, gate })
}

impl<R: AsyncRead + Unpin> AsyncRead for Reader<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.gate.closed.get() {
            *self.gate.waiting.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<W> Writer<W> {
    fn note<T>(&self, polled: Poll<T>) -> Poll<T> {
        self.gate.closed.set(polled.is_pending());
        if polled.is_ready()
            && let Some(waiting) = self.gate.waiting.borrow_mut().take()
        {
            waiting.wake();
        }
        polled
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Writer<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.note(polled)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
    use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

    #[tokio::test(flavor = "local")]
    async fn who_does_not_read_is_not_read_from() {
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        let (reader, writer) = ours.into_split();
        let (mut reader, mut writer) = gated(reader.compat(), writer.compat_write());
        let (their_reader, their_writer) = theirs.into_split();
        let (mut their_reader, mut their_writer) = (their_reader.compat(), their_writer.compat_write());
        their_writer.write_all(b"ab").await.unwrap();
        let mut byte = [0];
        reader.read_exact(&mut byte).await.unwrap();
        // More than the socket holds.
        let answer = vec![7; 4 << 20];
        let mut writing = Box::pin(writer.write_all(&answer));
        assert!(writing.as_mut().now_or_never().is_none());
        assert!(reader.read_exact(&mut byte).now_or_never().is_none());
        let mut taken = vec![0; answer.len()];
        let (written, read, next) =
            futures::join!(writing, their_reader.read_exact(&mut taken), reader.read_exact(&mut byte));
        written.and(read).and(next).unwrap();
        assert_eq!(byte, *b"b");
    }
}
