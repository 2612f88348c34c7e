//! Finding the position at which a part of a log begins.

use crate::bytes::Bytes;
use crate::entry::Kind;
use crate::index::Index;
use crate::view::{Shared, View};
use schema::log_collector::From;
use std::io;

/// Bytes that are searched at once.
const BLOCK: u64 = 64 << 10;

/// The position at which a part of the log begins. Blocks.
pub(crate) fn locate(shared: &Shared, view: &View, from: From) -> io::Result<u64> {
    match from {
        From::Start => Ok(view.start()),
        From::End => Ok(view.end),
        From::LastLines(lines) => last_lines(shared, view, lines),
        From::Since(time) => since(shared, view, time),
    }
}

/// The first entry that was captured at this time or later: times do not go back in a log.
fn since(shared: &Shared, view: &View, time: i64) -> io::Result<u64> {
    for place in 0..view.segments.len() {
        let Some(index) = Index::open(shared, view, place)? else { continue };
        if index.last()?.is_none_or(|last| last.at < time) {
            continue;
        }
        let first = index.partition_point(|entry| entry.at < time)?;
        if let Some((_, entry)) = index.first_from(first, index.count())? {
            return Ok(entry.start);
        }
    }
    Ok(view.end)
}

/// Searches backwards, block by block, for the end of the line before the lines that are wanted.
fn last_lines(shared: &Shared, view: &View, lines: u64) -> io::Result<u64> {
    let mut search = LineSearch::new(lines);
    if lines == 0 {
        return Ok(view.end);
    }
    for place in (0..view.segments.len()).rev() {
        let Some(index) = Index::open(shared, view, place)? else { return Ok(view.end_of(place)) };
        let number = view.segments[place].number;
        let mut files = [None, None];
        for item in index.backwards() {
            let (_, entry) = item?;
            let Kind::Data(stream) = entry.kind else { continue };
            let slot = &mut files[crate::entry::number(stream)];
            if slot.is_none() {
                *slot = Bytes::open(&shared.files.data(number, stream))?;
            }
            let Some(file) = slot else { continue };
            if let Some(found) = search_entry(&mut search, file, entry.start, entry.offset, entry.length.into())? {
                return Ok(found);
            }
        }
    }
    Ok(view.start())
}

fn search_entry(
    search: &mut LineSearch,
    file: &Bytes,
    start: u64,
    offset: u64,
    length: u64,
) -> io::Result<Option<u64>> {
    let mut left = length;
    while left > 0 {
        let size = left.min(BLOCK);
        left -= size;
        let mut bytes = vec![0; size as usize];
        let read = file.read_at_most(&mut bytes, offset + left)?;
        if let Some(found) = search.feed(start + left, &bytes[..read]) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Counts lines from the end of a text that comes in pieces, the last one first. A line is text ended by a
/// newline; at the end of all, also text without one. Pure.
struct LineSearch {
    wanted: u64,
    /// Nothing was seen yet: a newline here ends the last line, it does not begin one.
    at_end: bool,
}

impl LineSearch {
    fn new(wanted: u64) -> Self {
        Self { wanted, at_end: true }
    }

    /// Takes the piece before the last one; answers the position at which the wanted lines begin, if that is
    /// in it or right after it.
    fn feed(&mut self, position: u64, piece: &[u8]) -> Option<u64> {
        for (place, byte) in piece.iter().enumerate().rev() {
            let is_final = std::mem::take(&mut self.at_end);
            if *byte != b'\n' || is_final {
                continue;
            }
            self.wanted = self.wanted.saturating_sub(1);
            if self.wanted == 0 {
                return Some(position + place as u64 + 1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(text: &[u8], lines: usize) -> u64 {
        let all: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        all[..all.len().saturating_sub(lines)].iter().map(|line| line.len() as u64).sum()
    }

    proptest! {
        #[test]
        fn lines_are_counted_from_the_end(
            text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'x')], 0..100),
            lines in 1..20_usize,
            piece in 1..10_usize,
        ) {
            let mut search = LineSearch::new(lines as u64);
            let mut end = text.len();
            let mut found = None;
            while end > 0 && found.is_none() {
                let begin = end.saturating_sub(piece);
                found = search.feed(begin as u64, &text[begin..end]);
                end = begin;
            }
            prop_assert_eq!(found.unwrap_or(0), naive(&text, lines));
        }
    }
}
