//! Handing out where it is what was captured, to callers that may open our files.

use crate::bytes::Bytes;
use crate::entry::number;
use crate::files::{Files, packed};
use crate::view::{Shared, View};
use crate::walk::{Gather, walk};
use schema::log_collector::{Part, PartFile, PartList, Stream};
use std::io;
use std::path::PathBuf;

/// Bytes of output that one answer tells of at most.
pub(crate) const LARGEST: u64 = 64 << 20;
/// Parts that one answer holds at most: it bounds the message, however small the parts are.
const MOST: usize = 16 << 10;

/// Where output is from `position` on, as far as this view goes. Blocks.
pub(crate) fn parts(shared: &Shared, view: &View, position: u64, max: u64) -> io::Result<PartList> {
    let mut parts = Parts::default();
    let walked = walk(shared, view, position, max.clamp(1, LARGEST), &mut parts)?;
    Ok(PartList { files: parts.files, parts: parts.parts, next: walked.next, lost: walked.lost, ended: false })
}

/// An answer in the making.
#[derive(Default)]
struct Parts {
    files: Vec<PartFile>,
    parts: Vec<Part>,
    segment: Option<(Files, u64)>,
    /// The file of each stream of the segment, once it was looked for: its place in the list and its length.
    streams: [Option<Option<(u32, u64)>>; 2],
}

impl Parts {
    /// The file of a stream; none: it is not there.
    fn file(&mut self, stream: Stream) -> io::Result<Option<(u32, u64)>> {
        let Some((files, segment)) = &self.segment else { return Ok(None) };
        if let Some(known) = self.streams[number(stream)] {
            return Ok(known);
        }
        let path = files.data(*segment, stream);
        let found = match Bytes::open(&path)? {
            Some(bytes) => {
                let (device, inode) = bytes.identity()?;
                let is_packed = matches!(bytes, Bytes::Packed(_));
                let path = if is_packed { packed(&path) } else { path };
                // In the directory of this log, which is in that of the service.
                let path: PathBuf = path.iter().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
                self.files.push(PartFile { path, device, inode, packed: is_packed });
                Some((self.files.len() as u32 - 1, bytes.length()?))
            }
            None => None,
        };
        self.streams[number(stream)] = Some(found);
        Ok(found)
    }
}

impl Gather for Parts {
    fn enter(&mut self, files: &Files, segment: u64) {
        self.segment = Some((files.clone(), segment));
        self.streams = [None, None];
    }

    fn data(&mut self, _at: i64, stream: Stream, offset: u64, wanted: u64, _room: u64) -> io::Result<u64> {
        let Some((file, length)) = self.file(stream)? else { return Ok(0) };
        let there = length.saturating_sub(offset).min(wanted);
        match self.parts.last_mut() {
            Some(last) if (last.stream, last.file, last.offset + last.length) == (stream, file, offset) => {
                last.length += there;
            }
            _ if there > 0 => self.parts.push(Part { stream, file, offset, length: there, dropped: 0 }),
            _ => {}
        }
        Ok(there)
    }

    fn gap(&mut self, _at: i64, stream: Stream, dropped: u64) {
        self.parts.push(Part { stream, file: 0, offset: 0, length: 0, dropped });
    }

    fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    fn has_room(&self) -> bool {
        self.parts.len() < MOST
    }
}
