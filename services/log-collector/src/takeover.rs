//! Taking over what the sandbox's monitor has spilled, exactly once, at whatever instant we are killed.
//!
//! One file after the other: where it begins in the log is recorded, it is renamed, so that the monitor begins
//! another, it is copied to the end of the log, and removed. As long as the renamed file is there, the log's end says how
//! much of it was copied.

use crate::files::{BOTH, name, unless_gone};
use crate::gate::file;
use crate::record::LogRecord;
use crate::run::Place;
use crate::source::{Losses, Spill};
use crate::writer::{Taken, Writer};
use schema::Failure;
use schema::log_collector::Stream;
use shim_protocol::layout;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const TAKING: &str = "taking";
/// Chunks that are copied in one turn: the monitor wants turns, too, while there is much to be taken over.
const CHUNKS: usize = 8;

/// The directory in a log's own where the monitor may spill.
pub(crate) fn place_of(place: &Place) -> PathBuf {
    place.shared.files.directory().join("spill")
}

/// What there may be of a stream, in the order in which it was written.
fn sources(place: &Place, record: &LogRecord) -> impl Iterator<Item = (Stream, PathBuf)> + use<> {
    let (early, late) = (place_of(place), record.spec.directory.clone());
    BOTH.into_iter().flat_map(move |stream| {
        let last = match stream {
            Stream::Stdout => layout::STDOUT_SPILL,
            Stream::Stderr => layout::STDERR_SPILL,
        };
        [(stream, early.join(name(stream))), (stream, file(&late, last))]
    })
}

fn renamed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(TAKING);
    name.into()
}

/// Whether a spilled file is half copied: until all of it is, nothing else may be appended.
pub(crate) fn is_begun(place: &Place, record: &LogRecord) -> bool {
    sources(place, record).any(|(_, path)| renamed(&path).exists())
}

/// Appends all that is spilled: of stdout, then of stderr. In our turn; blocks. Answers whether all of it is there: if it
/// may wait for room, it is to be called again before anything else is appended.
pub(crate) fn take_over(
    place: &Place,
    record: &mut LogRecord,
    writer: &mut Writer,
    lost: &mut Losses,
    may_wait: bool,
) -> Result<bool, Failure> {
    // What was begun goes first: in the log, it stands at the end.
    for (stream, path) in sources(place, record) {
        if renamed(&path).exists() && !go_on(place, record, writer, lost, stream, &path, may_wait)? {
            return Ok(false);
        }
    }
    for (stream, path) in sources(place, record) {
        // One that cannot be opened stays where it is.
        if Spill::open(&path, &mut 0).map_err(|error| Failure::io(path.display(), &error))?.is_none() {
            continue;
        }
        record.spilled_from = Some(writer.end);
        place.put(record)?;
        fs::rename(&path, renamed(&path)).map_err(|error| Failure::io(path.display(), &error))?;
        if !go_on(place, record, writer, lost, stream, &path, may_wait)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn go_on(
    place: &Place,
    record: &mut LogRecord,
    writer: &mut Writer,
    lost: &mut Losses,
    stream: Stream,
    path: &Path,
    may_wait: bool,
) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::io(path.display(), &error);
    let mut taken = record.spilled_from.map_or(0, |from| writer.end.saturating_sub(from));
    if let Some(mut spill) = Spill::open(&renamed(path), &mut taken).map_err(failed)? {
        let (mut taken, mut chunks) = (Taken::Some, 0);
        while taken == Taken::Some {
            if may_wait && chunks == CHUNKS {
                return Ok(false);
            }
            taken = writer.take_spilled(&mut spill, stream, lost, may_wait);
            chunks += 1;
        }
        if taken == Taken::Held {
            return Ok(false);
        }
        tracing::info!(id = %place.id, file = %path.display(), "took over what was spilled");
    }
    unless_gone(fs::remove_file(renamed(path))).map_err(failed)?;
    Ok(true)
}
