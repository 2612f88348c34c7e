//! From a container's log to our stdout and stderr.

use crate::console;
use crate::engine::{Engine, patient_call};
use crate::error::{Error, Result};
use schema::log_collector::{Chunk, Record, Stream};
use schema::{ContainerId, Failure};

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
    /// Where it ends at the latest; none: with the container.
    pub(crate) until: Option<u64>,
    /// A random number of an attached client, whom the container waits for; 0: only looking on.
    pub(crate) reader: u64,
}

impl Output<'_> {
    /// Writes what `pick` makes of the records. While one chunk is written, the next one is read. Fails with
    /// `notFound` if the log is gone.
    pub(crate) async fn copy(&self, mut pick: impl FnMut(Record) -> Option<Piece>) -> Result {
        let mut position = self.position;
        let mut pieces: Vec<Piece> = Vec::new();
        while self.until.is_none_or(|until| position < until) {
            let read = async { Ok::<_, Error>(self.read(position).await?) };
            let (chunk, ()) = tokio::try_join!(read, write(std::mem::take(&mut pieces)))?;
            let Chunk { records, next, lost, ended } = chunk;
            if lost > 0 {
                console::note(format_args!(
                    "warning: {lost} bytes of output were rotated away before they could be read"
                ));
            }
            pieces.extend(records.into_iter().filter_map(&mut pick));
            let nothing = next == position;
            position = next;
            if ended || (nothing && self.until.is_some()) {
                break;
            }
        }
        write(pieces).await
    }

    async fn read(&self, position: u64) -> Result<Chunk, Failure> {
        let wait_ms = if self.until.is_none() { WAIT_MS } else { 0 };
        self.engine.logs.read_attached(&patient_call(), self.id, position, CHUNK, wait_ms, self.reader).await
    }
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
