//! Reading the index of a segment. Damaged entries are skipped: what they stood for counts as lost.

use crate::bytes::Bytes;
use crate::entry::{ENTRY, Entry, HEADER, Header};
use crate::files::Files;
use crate::view::{Shared, View};
use std::fs::File;
use std::io;

/// Entries that are read at once.
pub(crate) const BLOCK: u64 = 128;

/// The index of one segment, as far as it goes in a view.
pub(crate) struct Index {
    bytes: Bytes,
    count: u64,
    /// The last entry of the segment that is being written.
    last: Option<Entry>,
}

impl Index {
    /// Of the segment with this place in the view; none: it was rotated away.
    pub(crate) fn open(shared: &Shared, view: &View, place: usize) -> io::Result<Option<Self>> {
        let Some(segment) = view.segments.get(place) else { return Ok(None) };
        let Some(index) = Self::of_sealed(&shared.files, segment.number)? else { return Ok(None) };
        let is_last = place + 1 == view.segments.len();
        // A segment that is written may grow meanwhile.
        Ok(Some(if is_last { Self { count: index.count.min(view.entries), last: view.last, ..index } } else { index }))
    }

    /// Of a segment that nobody writes; none: there is none.
    pub(crate) fn of_sealed(files: &Files, segment: u64) -> io::Result<Option<Self>> {
        let Some(bytes) = Bytes::open(&files.index(segment))? else { return Ok(None) };
        let count = bytes.length()?.saturating_sub(HEADER) / ENTRY;
        Ok(Some(Self { bytes, count, last: None }))
    }

    /// Of an open file, with the entries that are whole.
    pub(crate) fn of(file: File, count: u64) -> Self {
        Self { bytes: Bytes::Raw(file), count, last: None }
    }

    /// How it begins; none: that is damaged.
    pub(crate) fn header(&self) -> io::Result<Option<Header>> {
        let mut bytes = [0; HEADER as usize];
        let length = self.bytes.read_at_most(&mut bytes, 0)?;
        Ok(Header::decode(&bytes[..length]))
    }

    /// Entries, damaged ones included.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Entries from `first` on, at most [`BLOCK`]; none in the place of a damaged one.
    pub(crate) fn block(&self, first: u64) -> io::Result<Vec<Option<Entry>>> {
        let count = self.count.saturating_sub(first).min(BLOCK);
        let mut bytes = vec![0; (count * ENTRY) as usize];
        let length = self.bytes.read_at_most(&mut bytes, HEADER + first * ENTRY)?;
        // What is missing was cut off: as good as damaged.
        let mut entries: Vec<_> = bytes[..length].chunks(ENTRY as usize).map(Entry::decode).collect();
        entries.resize(count as usize, None);
        if first + count == self.count
            && let (Some(last), Some(slot)) = (self.last, entries.last_mut())
        {
            *slot = Some(last);
        }
        Ok(entries)
    }

    /// The first intact entry at `from` or after it, before `to`, and its place.
    pub(crate) fn first_from(&self, from: u64, to: u64) -> io::Result<Option<(u64, Entry)>> {
        let mut at = from;
        while at < to {
            let block = self.block(at)?;
            let found =
                block.iter().enumerate().find_map(|(place, entry)| entry.map(|entry| (at + place as u64, entry)));
            if let Some((place, entry)) = found {
                return Ok((place < to).then_some((place, entry)));
            }
            at += BLOCK;
        }
        Ok(None)
    }

    /// The number of leading entries for which `holds`; it must hold for none after the first for which it
    /// does not.
    pub(crate) fn partition_point(&self, holds: impl Fn(&Entry) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.probe(middle, high)? {
                Some((place, entry)) if holds(&entry) => low = place + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// As [`first_from`](Self::first_from), but reads a single entry where that is intact.
    fn probe(&self, from: u64, to: u64) -> io::Result<Option<(u64, Entry)>> {
        if from + 1 == self.count && self.last.is_some() {
            return Ok(self.last.map(|last| (from, last)));
        }
        let mut bytes = [0; ENTRY as usize];
        let length = self.bytes.read_at_most(&mut bytes, HEADER + from * ENTRY)?;
        match Entry::decode(&bytes[..length]) {
            Some(entry) => Ok(Some((from, entry))),
            None => self.first_from(from + 1, to),
        }
    }

    /// The last intact entry.
    pub(crate) fn last(&self) -> io::Result<Option<Entry>> {
        Ok(self.backwards().next().transpose()?.map(|(_, entry)| entry))
    }

    /// The intact entries from the last to the first, with their places.
    pub(crate) fn backwards(&self) -> Backwards<'_> {
        Backwards { index: self, first: self.count, block: Vec::new() }
    }
}

/// See [`Index::backwards`].
pub(crate) struct Backwards<'a> {
    index: &'a Index,
    /// Place of the first entry of `block`.
    first: u64,
    block: Vec<Option<Entry>>,
}

impl Iterator for Backwards<'_> {
    type Item = io::Result<(u64, Entry)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while let Some(entry) = self.block.pop() {
                if let Some(entry) = entry {
                    return Some(Ok((self.first + self.block.len() as u64, entry)));
                }
            }
            if self.first == 0 {
                return None;
            }
            let first = self.first.saturating_sub(BLOCK);
            let wanted = (self.first - first) as usize;
            match self.index.block(first) {
                Ok(mut block) => {
                    block.truncate(wanted);
                    (self.first, self.block) = (first, block);
                }
                Err(error) => {
                    self.first = 0;
                    return Some(Err(error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Kind;
    use proptest::prelude::*;
    use schema::log_collector::Stream;
    use std::os::unix::fs::FileExt;

    /// An index of `count` entries of 10 bytes each, with some of them damaged.
    fn index(count: u64, damaged: &[u64]) -> Index {
        let file = tempfile::tempfile().unwrap();
        for place in 0..count {
            let entry =
                Entry { at: place as i64, start: place * 10, offset: 0, length: 10, kind: Kind::Gap(Stream::Stdout) };
            let mut bytes = entry.encode();
            bytes[3] ^= u8::from(damaged.contains(&place));
            file.write_all_at(&bytes, HEADER + place * ENTRY).unwrap();
        }
        Index::of(file, count)
    }

    proptest! {
        #[test]
        fn searching_finds_what_a_scan_finds(
            count in 0..300_u64,
            damaged in proptest::collection::vec(0..300_u64, 0..200),
            wanted in 0..3000_u64,
        ) {
            let index = index(count, &damaged);
            let place = index.partition_point(|entry| entry.end() <= wanted).unwrap();
            let found = index.first_from(place, count).unwrap().map(|(place, _)| place);
            let scanned = (0..count).find(|place| !damaged.contains(place) && place * 10 + 10 > wanted);
            prop_assert_eq!(found, scanned);
        }

        #[test]
        fn backwards_is_forwards_reversed(count in 0..300_u64, damaged in proptest::collection::vec(0..300_u64, 0..200)) {
            let index = index(count, &damaged);
            let places: Vec<u64> = index.backwards().map(|item| item.unwrap().0).collect();
            let expected: Vec<u64> = (0..count).rev().filter(|place| !damaged.contains(place)).collect();
            prop_assert_eq!(places, expected);
        }
    }

    #[test]
    fn missing_entries_are_damaged_ones() {
        let mut index = index(3, &[]);
        index.count = 5;
        assert_eq!(index.block(0).unwrap().iter().filter(|entry| entry.is_some()).count(), 3);
        assert_eq!(index.last().unwrap().map(|entry| entry.start), Some(20));
    }
}
