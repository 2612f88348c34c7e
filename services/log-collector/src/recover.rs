//! Finding out, from the files alone, where a log stands.

use crate::bounds::Bounds;
use crate::entry::{HEADER, Header, Kind};
use crate::files::{BOTH, Files};
use crate::index::{Index, read_at_most};
use crate::segment::Segment;
use crate::view::{self, Shared};
use crate::writer::Writer;
use std::collections::VecDeque;
use std::fs::{self, File};
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
    let (segments, floor) = survey(&shared.files)?;
    let mut writer = Writer {
        shared: Arc::clone(shared),
        bounds,
        run: run.map_or(0, |run| run.number),
        live: None,
        end: floor,
        at: i64::MIN,
        accounted: 0,
        failing: false,
        segments: segments.iter().map(|header| view::Segment { number: header.number, start: header.start }).collect(),
    };
    if let Some(newest) = segments.back() {
        let live = Segment::recover(&shared.files, newest.number)?;
        writer.end = live.last.map_or(newest.start, |last| last.end()).max(floor);
        writer.at = last_time(&writer, &live)?;
        if let Some(run) = run {
            writer.accounted = accounted(&live, newest, run)?;
        }
        writer.live = Some(live);
        writer.index_all()?;
    }
    writer.publish();
    Ok(writer)
}

/// The intact segments, and a position before which the log does not end.
fn survey(files: &Files) -> io::Result<(VecDeque<Header>, u64)> {
    let (mut segments, mut floor) = (VecDeque::<Header>::new(), 0);
    for number in files.segments()? {
        match read_header(files, number)?.filter(|header| header.number == number && header.start >= floor) {
            Some(header) => {
                floor = header.start;
                segments.push_back(header);
            }
            None => floor = drop_damaged(files, number, segments.back(), floor)?,
        }
    }
    Ok((segments, floor))
}

fn read_header(files: &Files, number: u64) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER as usize];
    let length = read_at_most(&File::open(files.index(number))?, &mut bytes, 0)?;
    Ok(Header::decode(&bytes[..length]))
}

/// Removes a segment whose header is not intact; answers a position behind it. Without data it is one that was
/// just begun when its writer was killed.
fn drop_damaged(files: &Files, number: u64, previous: Option<&Header>, floor: u64) -> io::Result<u64> {
    let bytes: u64 =
        BOTH.iter().map(|stream| fs::metadata(files.data(number, *stream)).map_or(0, |data| data.len())).sum();
    if bytes == 0 {
        files.remove(number)?;
        return Ok(floor);
    }
    tracing::error!(log = %files.directory().display(), number, bytes, "a segment's index is damaged: it is lost");
    let before = match previous {
        Some(header) => {
            let index = File::open(files.index(header.number))?;
            let count = index.metadata()?.len().saturating_sub(HEADER) / crate::entry::ENTRY;
            Index::of(index, count).last()?.map_or(header.start, |last| last.end())
        }
        None => floor,
    };
    files.remove(number)?;
    Ok(before.max(floor) + bytes)
}

/// The time of the last entry, so that time never goes back in a log.
fn last_time(writer: &Writer, live: &Segment) -> io::Result<i64> {
    if let Some(last) = live.last {
        return Ok(last.at);
    }
    let Some(previous) = writer.segments.len().checked_sub(2).and_then(|place| writer.segments.get(place)) else {
        return Ok(i64::MIN);
    };
    let index = File::open(writer.shared.files.index(previous.number))?;
    let count = index.metadata()?.len().saturating_sub(HEADER) / crate::entry::ENTRY;
    Ok(Index::of(index, count).last()?.map_or(i64::MIN, |last| last.at))
}

/// Lost bytes of this run that have an entry in the newest segment or before it.
fn accounted(live: &Segment, header: &Header, run: RunMark) -> io::Result<u64> {
    let index = live.index()?;
    for item in index.backwards() {
        let (_, entry) = item?;
        if entry.start < run.first {
            break;
        }
        if entry.kind == Kind::Gap {
            return Ok(entry.offset + u64::from(entry.length));
        }
    }
    Ok(if header.run == run.number && header.start >= run.first { header.lost } else { 0 })
}
