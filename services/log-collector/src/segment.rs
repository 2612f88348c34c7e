//! The segment that is being written.

use crate::entry::{ENTRY, Entry, HEADER, Header, Kind, number};
use crate::files::{BOTH, Files, unless_gone};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use schema::log_collector::Stream;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

/// Bytes of index that are reserved at a time.
const RESERVE: u64 = 4 << 10;

/// Its files, open, and how far each goes.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Names its files.
    pub(crate) number: u64,
    /// Entries in its index.
    pub(crate) entries: u64,
    /// The last of them.
    pub(crate) last: Option<Entry>,
    index: File,
    /// Bytes of the index file for which the filesystem has promised space.
    reserved: u64,
    data: [Option<File>; 2],
    /// Bytes in the files of the streams: the commit record of what was captured.
    lengths: [u64; 2],
    /// Bytes of them that have an entry.
    indexed: [u64; 2],
}

fn open(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

impl Segment {
    /// Begins a segment. Fails, and leaves nothing, if there is no space for its index.
    pub(crate) fn create(files: &Files, header: Header) -> io::Result<Self> {
        let number = header.number;
        // A segment with this number is what is left of one that never got a whole header.
        files.remove(number)?;
        let mut segment = Self {
            number,
            entries: 0,
            last: None,
            index: open(&files.index(number))?,
            reserved: 0,
            data: [None, None],
            lengths: [0; 2],
            indexed: [0; 2],
        };
        let made = segment.reserve().and_then(|()| segment.index.write_all_at(&header.encode(), 0));
        if let Err(error) = made {
            files.remove(number)?;
            return Err(error);
        }
        Ok(segment)
    }

    /// Opens the newest segment after a restart: cuts a torn tail off its index, and finds how far it goes.
    /// Bytes without an entry are left to [`unindexed`](Self::unindexed). None: it is compressed, and not written
    /// any more.
    pub(crate) fn recover(files: &Files, number: u64) -> io::Result<Option<Self>> {
        let Some(index) = unless_gone(OpenOptions::new().read(true).write(true).open(files.index(number)))? else {
            return Ok(None);
        };
        let whole = index.metadata()?.len().saturating_sub(HEADER) / ENTRY;
        let reading = crate::index::Index::of(index.try_clone()?, whole);
        let mut backwards = reading.backwards();
        let last = backwards.next().transpose()?;
        let entries = last.map_or(0, |(place, _)| place + 1);
        index.set_len(HEADER + entries * ENTRY)?;
        let mut segment = Self {
            number,
            entries,
            last: last.map(|(_, entry)| entry),
            index,
            reserved: 0,
            data: [None, None],
            lengths: [0; 2],
            indexed: [0; 2],
        };
        segment.measure(files)?;
        segment.find_indexed(last.map(Ok).into_iter().chain(backwards))?;
        Ok(Some(segment))
    }

    fn measure(&mut self, files: &Files) -> io::Result<()> {
        for stream in BOTH {
            let path = files.data(self.number, stream);
            if path.try_exists()? {
                let file = open(&path)?;
                self.lengths[number(stream)] = file.metadata()?.len();
                self.data[number(stream)] = Some(file);
            }
        }
        Ok(())
    }

    fn find_indexed(&mut self, entries: impl Iterator<Item = io::Result<(u64, Entry)>>) -> io::Result<()> {
        // A stream without a file has no entry to look for; one whose file is empty has some if it was cut.
        let mut wanted = self.data.each_ref().map(Option::is_some);
        for item in entries {
            if wanted == [false; 2] {
                break;
            }
            let (_, entry) = item?;
            if let Kind::Data(stream) = entry.kind
                && std::mem::take(&mut wanted[number(stream)])
            {
                self.indexed[number(stream)] = entry.offset + u64::from(entry.length);
            }
        }
        Ok(())
    }

    /// Whether a file is shorter than its index says, as a power cut may leave it. Nothing can be appended then.
    pub(crate) fn is_cut(&self) -> bool {
        self.lengths.iter().zip(&self.indexed).any(|(length, indexed)| length < indexed)
    }

    /// Bytes of both streams.
    pub(crate) fn stored(&self) -> u64 {
        self.lengths.iter().sum()
    }

    /// Bytes of its index.
    pub(crate) fn index_length(&self) -> u64 {
        HEADER + self.entries * ENTRY
    }

    /// Its index, for reading.
    pub(crate) fn index(&self) -> io::Result<crate::index::Index> {
        Ok(crate::index::Index::of(self.index.try_clone()?, self.entries))
    }

    /// Makes sure that three entries can be appended: one for data, and one for a gap in each stream.
    pub(crate) fn reserve(&mut self) -> io::Result<()> {
        while self.index_length() + 3 * ENTRY > self.reserved {
            let from = self.reserved.max(self.index_length() / RESERVE * RESERVE);
            match rustix::fs::fallocate(&self.index, FallocateFlags::KEEP_SIZE, from, RESERVE) {
                Ok(()) => self.reserved = from + RESERVE,
                // This filesystem promises nothing.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.reserved = u64::MAX,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The file of a stream and its length. The next byte belongs there.
    pub(crate) fn target(&mut self, files: &Files, stream: Stream) -> io::Result<(&File, u64)> {
        let slot = &mut self.data[number(stream)];
        let file = match slot {
            Some(file) => file,
            None => slot.insert(open(&files.data(self.number, stream))?),
        };
        Ok((file, self.lengths[number(stream)]))
    }

    /// Bytes have been appended to the file of a stream.
    pub(crate) fn stored_more(&mut self, stream: Stream, bytes: u64) {
        self.lengths[number(stream)] += bytes;
    }

    /// Bytes of a stream that have no entry: their offset and number.
    pub(crate) fn unindexed(&self, stream: Stream) -> Option<(u64, u64)> {
        let (length, indexed) = (self.lengths[number(stream)], self.indexed[number(stream)]);
        (length > indexed).then(|| (indexed, length - indexed))
    }

    /// Appends an entry, or puts it in the place of the last one, which it extends.
    pub(crate) fn write(&mut self, entry: Entry, in_place: bool) -> io::Result<()> {
        let place = if in_place { self.entries.saturating_sub(1) } else { self.entries };
        self.index.write_all_at(&entry.encode(), HEADER + place * ENTRY)?;
        self.entries = place + 1;
        self.last = Some(entry);
        if let Kind::Data(stream) = entry.kind {
            self.indexed[number(stream)] = entry.offset + u64::from(entry.length);
        }
        Ok(())
    }
}
