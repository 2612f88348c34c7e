//! Going through a log from a position on, whoever wants it for what.

use crate::entry::{Entry, Kind};
use crate::files::Files;
use crate::index::Index;
use crate::view::{Shared, View};
use schema::log_collector::Stream;
use std::io;

/// What is made of a part of a log.
pub(crate) trait Gather {
    /// What comes is in this segment.
    fn enter(&mut self, files: &Files, segment: u64);
    /// Adds bytes of a stream, which begin at `offset` in its file; answers how many of those that are wanted there are.
    /// `room` is what may follow them.
    fn data(&mut self, at: i64, stream: Stream, offset: u64, wanted: u64, room: u64) -> io::Result<u64>;
    /// Adds that bytes of a stream were dropped.
    fn gap(&mut self, at: i64, stream: Stream, dropped: u64);
    /// Whether it has nothing yet.
    fn is_empty(&self) -> bool;
    /// Whether it can have more.
    fn has_room(&self) -> bool;
}

/// How far it went.
#[derive(Debug)]
pub(crate) struct Walked {
    /// The position after what was gathered.
    pub(crate) next: u64,
    /// Bytes before it that are not there.
    pub(crate) lost: u64,
}

/// Gathers from `position` on, as far as this view goes, at most `max` bytes. Blocks.
pub(crate) fn walk(
    shared: &Shared,
    view: &View,
    position: u64,
    max: u64,
    gather: &mut impl Gather,
) -> io::Result<Walked> {
    let mut walk = Walk { gather, at: position.min(view.end), lost: 0, room: max };
    while walk.at < view.end && walk.has_room() {
        let next = view.segments.partition_point(|segment| segment.start <= walk.at);
        let (reached, end) = match next.checked_sub(1) {
            Some(place) => (walk.segment(shared, view, place)?, view.end_of(place)),
            None => (true, view.start()),
        };
        // What a segment should hold and does not was rotated away, or damaged.
        if !reached || !walk.skip_to(end) {
            break;
        }
    }
    Ok(Walked { next: walk.at, lost: walk.lost })
}

struct Walk<'a, G> {
    gather: &'a mut G,
    /// The position after what was gathered.
    at: u64,
    lost: u64,
    room: u64,
}

impl<G: Gather> Walk<'_, G> {
    fn has_room(&self) -> bool {
        self.room > 0 && self.gather.has_room()
    }

    /// Leaves out what is not there. Only possible before anything was gathered: else this is the end.
    fn skip_to(&mut self, position: u64) -> bool {
        let missing = position.saturating_sub(self.at);
        if missing == 0 {
            return true;
        }
        if !self.gather.is_empty() {
            return false;
        }
        self.lost += missing;
        self.at = position;
        true
    }

    /// Gathers what a segment has; false: it ends before the segment does.
    fn segment(&mut self, shared: &Shared, view: &View, place: usize) -> io::Result<bool> {
        let Some(index) = Index::open(shared, view, place)? else { return Ok(true) };
        self.gather.enter(&shared.files, view.segments[place].number);
        let mut next = index.partition_point(|entry| entry.end() <= self.at)?;
        while next < index.count() {
            let block = index.block(next)?;
            next += block.len() as u64;
            for entry in block.into_iter().flatten() {
                if !self.entry(&entry)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Gathers what an entry stands for; false: it ends before the entry does.
    fn entry(&mut self, entry: &Entry) -> io::Result<bool> {
        if entry.end() <= self.at {
            return Ok(true);
        }
        if !self.has_room() || !self.skip_to(entry.start) {
            return Ok(false);
        }
        let skip = self.at - entry.start;
        let left = u64::from(entry.length) - skip;
        match entry.kind {
            Kind::Data(stream) => {
                let wanted = left.min(self.room);
                let there = self.gather.data(entry.at, stream, entry.offset + skip, wanted, self.room)?;
                self.at += there;
                self.room -= there;
                // What the file does not have is lost.
                if there == wanted { Ok(wanted == left) } else { Ok(self.skip_to(entry.end())) }
            }
            Kind::Gap(stream) => {
                self.gather.gap(entry.at, stream, left);
                self.at += left;
                Ok(true)
            }
        }
    }
}
