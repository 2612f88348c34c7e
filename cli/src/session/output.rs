//! From a container's log to our stdout and stderr.

use super::gaps::{self, Gaps};
use crate::console;
use crate::engine::{Engine, patient_call};
use crate::error::{Error, Result};
use crate::render::time::now;
use schema::log_collector::{Chunk, Record, Stream};
use schema::{ContainerId, Failure};
use std::cell::Cell;

/// Bytes that one call answers at most.
const CHUNK: u32 = 1 << 20;
/// How long a call waits for output.
const WAIT_MS: u32 = 10_000;

/// Bytes, and where they go.
pub(crate) type Piece = (Stream, Vec<u8>);

/// A part of a container's output.
pub(crate) struct Output<'a> {
    /// Whose services.
    pub(crate) engine: &'a Engine,
    /// Whose output.
    pub(crate) id: &'a ContainerId,
    /// Where it begins.
    pub(crate) position: u64,
    /// The position at which it ends at the latest. May be found out meanwhile.
    pub(crate) until: &'a Cell<Option<u64>>,
    /// Only what was captured before this time: nanoseconds since the Unix epoch.
    pub(crate) before: Option<i64>,
    /// Whether to wait for more, until the container has ended.
    pub(crate) follow: bool,
    /// A random number of an attached client, whom the container waits for; 0: only looking on.
    pub(crate) reader: u64,
}

impl Output<'_> {
    /// Writes what `pick` makes of the records, and says where some are missing. While one chunk is written, the
    /// next one is read. Fails with `notFound` if the log is gone.
    pub(crate) async fn copy(&self, mut pick: impl FnMut(Record) -> Option<Piece>) -> Result {
        let (mut position, mut gaps) = (self.position, Gaps::default());
        let mut pieces: Vec<Piece> = Vec::new();
        while self.until.get().is_none_or(|until| position < until) {
            let read = async { Ok::<_, Error>(self.read(position).await?) };
            let (chunk, ()) = tokio::try_join!(read, write(std::mem::take(&mut pieces)))?;
            let done = chunk.ended || chunk.records.iter().any(|record| self.is_late(record));
            let idle = chunk.next == position && !self.waits();
            position = chunk.next;
            if chunk.lost > 0 {
                pieces.push(said(gaps::rotated(chunk.lost)));
            }
            for record in self.wanted(chunk) {
                let (from, dropped) = (record.stream, record.dropped);
                let Some((stream, bytes)) = pick(record) else { continue };
                gaps.add(from, dropped);
                if !bytes.is_empty() {
                    pieces.extend(gaps.tell().map(said));
                    pieces.push((stream, bytes));
                }
            }
            pieces.extend(gaps.tell_now_and_then().map(said));
            if done || idle {
                break;
            }
        }
        pieces.extend(gaps.tell().map(said));
        write(pieces).await
    }

    /// The records of a chunk up to where the output ends.
    fn wanted(&self, chunk: Chunk) -> impl Iterator<Item = Record> {
        let bytes: u64 = chunk.records.iter().map(|record| record.dropped + record.data.len() as u64).sum();
        let mut left = self.until.get().map_or(u64::MAX, |until| until.saturating_sub(chunk.next - bytes));
        let in_time = chunk.records.into_iter().take_while(|record| !self.is_late(record));
        in_time.map_while(move |mut record| {
            if left == 0 {
                return None;
            }
            record.dropped = record.dropped.min(left);
            left -= record.dropped;
            record.data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= record.data.len() as u64;
            Some(record)
        })
    }

    fn is_late(&self, record: &Record) -> bool {
        self.before.is_some_and(|before| record.at >= before)
    }

    fn waits(&self) -> bool {
        self.follow && self.before.is_none_or(|before| now() < before)
    }

    async fn read(&self, position: u64) -> Result<Chunk, Failure> {
        let left = self.before.map_or(i64::MAX, |before| before.saturating_sub(now()) / 1_000_000 + 1);
        let wait_ms = if self.waits() { u32::try_from(left).unwrap_or(WAIT_MS).min(WAIT_MS) } else { 0 };
        self.engine.logs.read_attached(&patient_call(), self.id, position, CHUNK, wait_ms, self.reader).await
    }
}

fn said(text: String) -> Piece {
    (Stream::Stderr, text.into_bytes())
}

/// Writes pieces in their order. A reader that is slow holds up nothing else.
async fn write(pieces: Vec<Piece>) -> Result {
    if pieces.is_empty() {
        return Ok(());
    }
    let writing = tokio::task::spawn_blocking(move || {
        pieces.iter().try_for_each(|(stream, bytes)| console::write(*stream, bytes))
    });
    writing.await.map_err(|error| Failure::internal(format_args!("writing output: {error}")))?
}
