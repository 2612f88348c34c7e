//! Finding out, from the files alone, where a log stands.

use crate::bounds::Bounds;
use crate::bytes::Bytes;
use crate::entry::{Entry, Header, Kind, number};
use crate::files::{BOTH, Files};
use crate::index::Index;
use crate::segment::Segment;
use crate::view::{self, Shared};
use crate::writer::Writer;
use schema::log_collector::LogMode;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// The run that a writer serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunMark {
    /// Counts the runs of the container from 1.
    pub(crate) number: u64,
    /// Position of its first byte.
    pub(crate) first: u64,
}

/// A writer that goes on where the last one was killed. With `run` it knows what of that run was lost; without,
/// the log is only read.
pub(crate) fn recover(shared: &Arc<Shared>, bounds: Bounds, run: Option<RunMark>) -> io::Result<Writer> {
    let (segments, floor) = survey(shared)?;
    let mut writer = Writer {
        shared: Arc::clone(shared),
        bounds,
        mode: LogMode::Block,
        run: run.map_or(0, |run| run.number),
        live: None,
        end: floor,
        at: i64::MIN,
        accounted: [0; 2],
        failing: false,
        segments: segments.iter().map(|header| view::Segment { number: header.number, start: header.start }).collect(),
    };
    if let Some(newest) = segments.back() {
        writer.live = Segment::recover(&shared.files, newest.number)?;
        if writer.live.as_ref().is_some_and(Segment::is_cut) {
            let (log, number) = (shared.files.directory().display(), newest.number);
            tracing::error!(%log, number, "output that the index of a segment tells of is missing");
        }
        let index = match &writer.live {
            Some(live) => Some(live.index()?),
            // Compressed: a power cut took the segment after it.
            None => Index::of_sealed(&shared.files, newest.number)?,
        };
        if let Some(index) = index {
            writer.end = index.last()?.map_or(newest.start, |last| last.end()).max(floor);
            writer.at = last_time(&writer, &index)?;
            if let Some(run) = run {
                writer.accounted = accounted(&index, newest, run)?;
            }
        }
        writer.index_all()?;
    }
    writer.publish();
    if writer.segments.len() > 1 {
        shared.compress();
    }
    Ok(writer)
}

/// The intact segments, and a position before which the log does not end.
fn survey(shared: &Shared) -> io::Result<(VecDeque<Header>, u64)> {
    let _files = shared.turn.hold_files();
    let files = &shared.files;
    let (mut segments, mut floor) = (VecDeque::<Header>::new(), 0);
    for number in files.segments()? {
        let header = Index::of_sealed(files, number)?.map(|index| index.header()).transpose()?.flatten();
        match header.filter(|header| header.number == number && header.start >= floor) {
            Some(header) => {
                floor = header.start;
                segments.push_back(header);
            }
            None => floor = drop_damaged(files, number, segments.back(), floor)?,
        }
    }
    Ok((segments, floor))
}

/// Sets a segment aside whose header is not intact; answers a position behind it. Without data it is one that was
/// just begun when its writer was killed, and goes.
fn drop_damaged(files: &Files, number: u64, previous: Option<&Header>, floor: u64) -> io::Result<u64> {
    let mut bytes = 0;
    for stream in BOTH {
        bytes += Bytes::open(&files.data(number, stream))?.map_or(Ok(0), |data| data.length())?;
    }
    if bytes == 0 {
        files.remove(number)?;
        return Ok(floor);
    }
    let before = match previous {
        Some(header) => last_of(files, header.number)?.map_or(header.start, |last| last.end()),
        None => floor,
    };
    let kept = files.set_aside(number)?;
    tracing::error!(log = %files.directory().display(), number, bytes, kept = %kept.display(), "a damaged segment is set aside");
    Ok(before.max(floor) + bytes)
}

/// The last entry of a segment that nobody writes.
fn last_of(files: &Files, number: u64) -> io::Result<Option<Entry>> {
    Index::of_sealed(files, number)?.map_or(Ok(None), |index| index.last())
}

/// The time of the last entry, so that time never goes back in a log.
fn last_time(writer: &Writer, newest: &Index) -> io::Result<i64> {
    let previous = writer.segments.len().checked_sub(2).and_then(|place| writer.segments.get(place));
    let last = match (newest.last()?, previous) {
        (None, Some(previous)) => last_of(&writer.shared.files, previous.number)?,
        (last, _) => last,
    };
    Ok(last.map_or(i64::MIN, |last| last.at))
}

/// Lost bytes of this run, of either stream, that have an entry in the newest segment or before it.
fn accounted(newest: &Index, header: &Header, run: RunMark) -> io::Result<[u64; 2]> {
    let before = if header.run == run.number && header.start >= run.first { header.lost } else { [0; 2] };
    let mut found = [None; 2];
    for item in newest.backwards() {
        let (_, entry) = item?;
        if entry.start < run.first || found.iter().all(Option::is_some) {
            break;
        }
        if let Kind::Gap(stream) = entry.kind {
            found[number(stream)].get_or_insert(entry.offset + u64::from(entry.length));
        }
    }
    Ok([0, 1].map(|stream| found[stream].unwrap_or(before[stream])))
}
