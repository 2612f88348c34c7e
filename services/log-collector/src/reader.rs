//! Handing out what was captured.

use crate::bytes::Bytes;
use crate::entry::{Entry, Kind};
use crate::files::Files;
use crate::index::Index;
use crate::view::{Shared, View};
use schema::log_collector::{Chunk, Record, Stream};
use std::io;

/// Bytes of output that one answer holds at most.
pub(crate) const LARGEST: usize = 1 << 20;
/// Records that one answer holds at most: it bounds the message, however small the records are.
const MOST_RECORDS: usize = 8 << 10;
/// Bytes that are read ahead of the record that is asked for.
const AHEAD: usize = 256 << 10;

/// Output from `position` on, as far as this view goes. Blocks.
pub(crate) fn chunk(shared: &Shared, view: &View, position: u64, max: usize) -> io::Result<Chunk> {
    let mut answer = Answer { records: Vec::new(), at: position.min(view.end), lost: 0, room: max.clamp(1, LARGEST) };
    while answer.at < view.end && answer.has_room() {
        let next = view.segments.partition_point(|segment| segment.start <= answer.at);
        let (reached, end) = match next.checked_sub(1) {
            Some(place) => (add_segment(&mut answer, shared, view, place)?, view.end_of(place)),
            None => (true, view.start()),
        };
        // What a segment should hold and does not was rotated away, or damaged.
        if !reached || !answer.skip_to(end) {
            break;
        }
    }
    Ok(Chunk { records: answer.records, next: answer.at, lost: answer.lost, ended: false })
}

/// A chunk in the making.
struct Answer {
    records: Vec<Record>,
    /// The position after what it has.
    at: u64,
    lost: u64,
    room: usize,
}

impl Answer {
    fn has_room(&self) -> bool {
        self.room > 0 && self.records.len() < MOST_RECORDS
    }

    /// Leaves out what is not there. Only possible before the first record: else the answer must end.
    fn skip_to(&mut self, position: u64) -> bool {
        let missing = position.saturating_sub(self.at);
        if missing == 0 {
            return true;
        }
        if !self.records.is_empty() {
            return false;
        }
        self.lost += missing;
        self.at = position;
        true
    }

    fn push(&mut self, at: i64, stream: Stream, data: Vec<u8>) {
        self.at += data.len() as u64;
        self.room = self.room.saturating_sub(data.len());
        self.records.push(Record { at, stream, data, dropped: 0 });
    }

    fn push_gap(&mut self, at: i64, stream: Stream, dropped: u64) {
        self.at += dropped;
        self.records.push(Record { at, stream, data: Vec::new(), dropped });
    }
}

/// Adds what a segment has; false: the answer ends before the segment does.
fn add_segment(answer: &mut Answer, shared: &Shared, view: &View, place: usize) -> io::Result<bool> {
    let Some(index) = Index::open(shared, view, place)? else { return Ok(true) };
    let mut data = Data::of(&shared.files, view.segments[place].number);
    let mut next = index.partition_point(|entry| entry.end() <= answer.at)?;
    while next < index.count() {
        let block = index.block(next)?;
        next += block.len() as u64;
        for entry in block.into_iter().flatten() {
            if !add_entry(answer, &mut data, &entry)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Adds what an entry stands for; false: the answer ends before the entry does.
fn add_entry(answer: &mut Answer, data: &mut Data, entry: &Entry) -> io::Result<bool> {
    if entry.end() <= answer.at {
        return Ok(true);
    }
    if !answer.has_room() || !answer.skip_to(entry.start) {
        return Ok(false);
    }
    let skip = answer.at - entry.start;
    match entry.kind {
        Kind::Data(stream) => {
            let left = usize::try_from(u64::from(entry.length) - skip).unwrap_or(usize::MAX);
            let wanted = left.min(answer.room);
            let bytes = data.read(stream, entry.offset + skip, wanted, answer.room)?;
            let whole = bytes.len() == wanted;
            if !bytes.is_empty() {
                answer.push(entry.at, stream, bytes);
            }
            // What the file does not have is lost.
            if whole { Ok(wanted == left) } else { Ok(answer.skip_to(entry.end())) }
        }
        Kind::Gap(stream) => {
            answer.push_gap(entry.at, stream, u64::from(entry.length) - skip);
            Ok(true)
        }
    }
}

/// The data files of a segment, read in large pieces: neighbouring entries are neighbours in their file.
struct Data<'a> {
    files: &'a Files,
    number: u64,
    streams: [Option<Piece>; 2],
}

#[derive(Default)]
struct Piece {
    file: Option<Bytes>,
    offset: u64,
    bytes: Vec<u8>,
}

impl<'a> Data<'a> {
    fn of(files: &'a Files, number: u64) -> Self {
        Self { files, number, streams: [None, None] }
    }

    /// `wanted` bytes, or fewer if the file does not have them. At most `room` are read in all.
    fn read(&mut self, stream: Stream, offset: u64, wanted: usize, room: usize) -> io::Result<Vec<u8>> {
        let slot = &mut self.streams[crate::entry::number(stream)];
        let piece = match slot {
            Some(piece) => piece,
            None => {
                slot.insert(Piece { file: Bytes::open(&self.files.data(self.number, stream))?, ..Piece::default() })
            }
        };
        if let Some(bytes) = piece.get(offset, wanted) {
            return Ok(bytes.to_vec());
        }
        let Some(file) = &piece.file else { return Ok(Vec::new()) };
        piece.bytes.resize(wanted.max(room.min(AHEAD)), 0);
        let length = file.read_at_most(&mut piece.bytes, offset)?;
        piece.bytes.truncate(length);
        piece.offset = offset;
        Ok(piece.bytes[..length.min(wanted)].to_vec())
    }
}

impl Piece {
    fn get(&self, offset: u64, wanted: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        self.bytes.get(from..from.checked_add(wanted)?)
    }
}
