//! From the container's log to our stdout and stderr.

use super::Session;
use crate::console;
use crate::engine::patient_call;
use crate::error::Result;
use schema::log_collector::{Record, Stream};
use schema::{Code, Failure};

/// Bytes that one call answers at most.
pub(crate) const CHUNK: u32 = 256 << 10;
/// How long a call waits for output.
pub(crate) const WAIT_MS: u32 = 10_000;

impl Session<'_> {
    /// Writes what the container writes, until it has ended and all is written.
    pub(super) async fn copy_output(&self) -> Result {
        let mut position = self.position;
        let call = patient_call();
        loop {
            let chunk = match self.engine.logs.read(&call, &self.container.id, position, CHUNK, WAIT_MS).await {
                // Removed with its log: whoever waits for it hears of that.
                Err(failure) if failure.code == Code::NotFound => return Ok(()),
                answer => answer?,
            };
            tell_lost(chunk.lost);
            let wanted = |record: &Record| match record.stream {
                Stream::Stdout => self.streams.stdout,
                Stream::Stderr => self.streams.stderr,
            };
            let pieces = chunk.records.into_iter().filter(wanted).map(|record| (record.stream, record.data));
            write(pieces.collect()).await?;
            position = chunk.next;
            if chunk.ended {
                return Ok(());
            }
        }
    }
}

/// Says that the reader was too slow for what is kept.
pub(crate) fn tell_lost(bytes: u64) {
    if bytes > 0 {
        console::note(format_args!("warning: {bytes} bytes of output were rotated away before they could be read"));
    }
}

/// Writes pieces in their order. A reader that is slow holds up nothing else.
pub(crate) async fn write(pieces: Vec<(Stream, Vec<u8>)>) -> Result {
    if pieces.is_empty() {
        return Ok(());
    }
    let writing = tokio::task::spawn_blocking(move || {
        pieces.iter().try_for_each(|(stream, bytes)| console::write(*stream, bytes))
    });
    writing.await.map_err(|error| Failure::internal(format_args!("writing output: {error}")))?
}
