//! Handing out what was captured.

use crate::bytes::Bytes;
use crate::entry::number;
use crate::files::Files;
use crate::view::{Shared, View};
use crate::walk::{Gather, walk};
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
    let mut records = Records { records: Vec::new(), data: None };
    let walked = walk(shared, view, position, max.clamp(1, LARGEST) as u64, &mut records)?;
    Ok(Chunk { records: records.records, next: walked.next, lost: walked.lost, ended: false })
}

/// A chunk in the making.
struct Records {
    records: Vec<Record>,
    /// Of the segment that it is at.
    data: Option<Data>,
}

impl Gather for Records {
    fn enter(&mut self, files: &Files, segment: u64) {
        self.data = Some(Data { files: files.clone(), number: segment, streams: [None, None] });
    }

    fn data(&mut self, at: i64, stream: Stream, offset: u64, wanted: u64, room: u64) -> io::Result<u64> {
        let Some(data) = &mut self.data else { return Ok(0) };
        let data = data.read(stream, offset, wanted as usize, room as usize)?;
        let there = data.len() as u64;
        if there > 0 {
            self.records.push(Record { at, stream, data, dropped: 0 });
        }
        Ok(there)
    }

    fn gap(&mut self, at: i64, stream: Stream, dropped: u64) {
        self.records.push(Record { at, stream, data: Vec::new(), dropped });
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn has_room(&self) -> bool {
        self.records.len() < MOST_RECORDS
    }
}

/// The data files of a segment, read in large pieces: neighbouring entries are neighbours in their file.
struct Data {
    files: Files,
    number: u64,
    streams: [Option<Piece>; 2],
}

#[derive(Default)]
struct Piece {
    file: Option<Bytes>,
    offset: u64,
    bytes: Vec<u8>,
}

impl Data {
    /// `wanted` bytes, or fewer if the file does not have them. At most `room` are read in all.
    fn read(&mut self, stream: Stream, offset: u64, wanted: usize, room: usize) -> io::Result<Vec<u8>> {
        let slot = &mut self.streams[number(stream)];
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
        if wanted >= AHEAD {
            // All of what is read is handed out.
            let mut bytes = vec![0; wanted];
            let length = file.read_at_most(&mut bytes, offset)?;
            bytes.truncate(length);
            return Ok(bytes);
        }
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
