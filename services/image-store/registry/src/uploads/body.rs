//! A part of a file as the body of a request.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

const PIECE: u64 = 128 << 10;

/// Reads as the connection takes: never more than a piece is in memory.
#[derive(Debug)]
pub(crate) struct FileBody {
    file: Arc<File>,
    next: u64,
    end: u64,
    sent: Counter,
}

/// Bytes that were taken from a body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl FileBody {
    pub(crate) fn new(file: Arc<File>, start: u64, end: u64) -> Self {
        Self { file, next: start, end, sent: Counter::default() }
    }

    pub(crate) fn counter(&self) -> Counter {
        self.sent.clone()
    }

    fn read(&mut self) -> io::Result<Bytes> {
        let length = PIECE.min(self.end - self.next);
        let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut piece, self.next)?;
        self.next += length;
        self.sent.0.fetch_add(length, Ordering::Relaxed);
        Ok(piece.into())
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.next == self.end {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(self.read().map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.next == self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.next)
    }
}
