//! Appends to a log: exactly once, within its bounds.
//!
//! The order of effects is what makes it exact: bytes move from their source to the end of a file in one system
//! call, and the length of the file says that they did; then an entry in the index says when. A writer that was
//! killed in between finds bytes without an entry, and makes one.
//!
//! A disk without space must never stop a container. Space for the entries is reserved before a byte is taken;
//! bytes that cannot be stored are counted, and a gap entry of their number takes their place in the log.

use crate::bounds::Bounds;
use crate::entry::{Entry, Header, Kind, number};
use crate::files::BOTH;
use crate::segment::Segment;
use crate::source::{CHUNK, Losses, Source};
use crate::view::{self, Shared};
use rustix::io::Errno;
use schema::log_collector::{LogMode, Record, Stream};
use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Entries of one stream that follow each other within this time are one: nanoseconds.
const TOGETHER: i64 = 1_000_000;
/// Bytes beyond which an entry is not extended.
const LONGEST: u32 = 1 << 30;

/// What came of an attempt to take bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Some were taken, or it was interrupted: there may be more.
    Some,
    /// There are none now, and the source has a writer.
    Nothing,
    /// There may be some, and they must wait: what would have to go for them is still needed. Or there are none, and
    /// who writes them is being replaced.
    Held,
    /// There will be no more.
    End,
}

/// The one writer of a log.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) bounds: Bounds,
    /// What becomes of bytes for which something would have to go that is still needed.
    pub(crate) mode: LogMode,
    /// Number of the run.
    pub(crate) run: u64,
    /// What exists, oldest first. The last one is `live`, if that is there.
    pub(crate) segments: VecDeque<view::Segment>,
    pub(crate) live: Option<Segment>,
    /// The position after the last byte.
    pub(crate) end: u64,
    /// Time of the last entry.
    pub(crate) at: i64,
    /// Lost bytes of this run, of either stream, that have an entry.
    pub(crate) accounted: [u64; 2],
    /// Whether the last attempt to store failed: said once, not for every chunk.
    pub(crate) failing: bool,
}

impl Writer {
    /// Takes what there is, at most a chunk. Whatever goes wrong, the source is not left full.
    pub(crate) fn take(&mut self, source: &mut dyn Source, stream: Stream, lost: &mut Losses) -> Taken {
        if self.mode == LogMode::Block && self.must_wait() {
            return Taken::Held;
        }
        self.take_at_once(source, stream, lost)
    }

    /// Whether the next byte makes the oldest segment go, and somebody still reads that. Two go if the last rotation was
    /// cut short by a kill.
    fn must_wait(&self) -> bool {
        let going = (self.segments.len() + 1).saturating_sub(self.bounds.files);
        let full = self.room() == 0 && going > 0;
        full && self.shared.holds.need(self.segments.get(going).map_or(self.end, |first| first.start))
    }

    /// The same, whoever is overtaken; in mode `drop`, nobody is.
    pub(crate) fn take_at_once(&mut self, source: &mut dyn Source, stream: Stream, lost: &mut Losses) -> Taken {
        let stored = match self.mode {
            LogMode::Drop if self.must_wait() => Err(Errno::NOBUFS),
            _ => self.store(source, stream, lost.totals()),
        };
        let taken = match stored {
            Ok(taken) => {
                self.recovered(taken > 0, lost);
                Ok(taken)
            }
            Err(error @ (Errno::AGAIN | Errno::INTR)) => Err(error),
            Err(error) => self.discard(source, stream, lost, error),
        };
        match taken {
            Ok(0) => Taken::End,
            Ok(_) => {
                self.publish();
                Taken::Some
            }
            Err(Errno::INTR) => Taken::Some,
            Err(_) => Taken::Nothing,
        }
    }

    /// Takes what was spilled: nothing else is appended meanwhile, not even gaps, so that the end of the log tells how much
    /// of it is there. In mode `drop`, it waits for room if it may.
    pub(crate) fn take_spilled(
        &mut self,
        source: &mut dyn Source,
        stream: Stream,
        lost: &mut Losses,
        may_wait: bool,
    ) -> Taken {
        if self.mode == LogMode::Drop && self.must_wait() {
            return if may_wait { Taken::Held } else { self.take_at_once(source, stream, lost) };
        }
        match self.store(source, stream, self.accounted) {
            Ok(0) => Taken::End,
            Ok(_) => {
                self.publish();
                Taken::Some
            }
            Err(Errno::INTR) => Taken::Some,
            Err(_) => self.take_at_once(source, stream, lost),
        }
    }

    fn recovered(&mut self, stored: bool, lost: &Losses) {
        if stored && std::mem::take(&mut self.failing) && self.mode == LogMode::Block {
            tracing::info!(log = %self.shared.files.directory().display(), lost = ?lost.totals(), "storing again");
        }
    }

    /// Moves bytes from the source into the live segment.
    fn store(&mut self, source: &mut dyn Source, stream: Stream, lost: [u64; 2]) -> Result<usize, Errno> {
        let room = self.prepare(lost).map_err(|error| errno(&error))?;
        let Some(live) = &mut self.live else { return Err(Errno::NOSPC) };
        let (file, length) = live.target(&self.shared.files, stream).map_err(|error| errno(&error))?;
        let taken = source.store(file, length, usize::try_from(room).unwrap_or(CHUNK).min(CHUNK))?;
        live.stored_more(stream, taken as u64);
        // Fails only where space could not be reserved: tried again before anything else is stored.
        if let Err(error) = self.index_all() {
            tracing::warn!(%error, "captured bytes wait for their index entry");
        }
        Ok(taken)
    }

    /// Sees to it that bytes may be stored: answers how many.
    pub(crate) fn prepare(&mut self, lost: [u64; 2]) -> io::Result<u64> {
        self.index_all()?;
        let room = self.room();
        if room == 0 {
            self.rotate()?;
        }
        self.account(lost)?;
        if let Some(live) = &mut self.live {
            live.reserve()?;
        }
        Ok(self.room())
    }

    fn room(&self) -> u64 {
        match &self.live {
            Some(live) if !live.is_cut() => self.bounds.room(live.stored(), live.index_length()),
            _ => 0,
        }
    }

    /// Makes entries for bytes that have none.
    pub(crate) fn index_all(&mut self) -> io::Result<()> {
        for stream in BOTH {
            while let Some((offset, bytes)) = self.live.as_ref().and_then(|live| live.unindexed(stream)) {
                let length = u32::try_from(bytes).unwrap_or(LONGEST).min(LONGEST);
                self.append(Kind::Data(stream), offset, length)?;
            }
        }
        Ok(())
    }

    /// Makes entries for the lost bytes of this run that have none: `lost` is the number of either stream in all.
    /// Where the index is as long as it may be, they wait for the next segment.
    pub(crate) fn account(&mut self, lost: [u64; 2]) -> io::Result<()> {
        for stream in BOTH {
            let (total, kind) = (lost[number(stream)], Kind::Gap(stream));
            while let (true, Some(live)) = (total > self.accounted[number(stream)], &self.live) {
                let is_last = live.last.is_some_and(|last| last.kind == kind);
                if !is_last && live.index_length() >= self.bounds.size {
                    break;
                }
                let accounted = self.accounted[number(stream)];
                let length = u32::try_from(total - accounted).unwrap_or(u32::MAX);
                self.append(kind, accounted, length)?;
                self.accounted[number(stream)] += u64::from(length);
            }
        }
        Ok(())
    }

    /// Appends bytes that were captured before.
    pub(crate) fn put(&mut self, record: &Record) -> io::Result<()> {
        let mut data = &record.data[..];
        while !data.is_empty() {
            let room = usize::try_from(self.prepare(self.accounted)?).unwrap_or(CHUNK).min(CHUNK);
            let Some(live) = &mut self.live else { return Err(Errno::NOSPC.into()) };
            let (file, length) = live.target(&self.shared.files, record.stream)?;
            let written = file.write_at(&data[..room.min(data.len())], length)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            live.stored_more(record.stream, written as u64);
            self.append_at(record.at, Kind::Data(record.stream), length, written as u32)?;
            data = &data[written..];
        }
        Ok(())
    }

    /// Says that bytes are missing here.
    pub(crate) fn leave_gap(&mut self, at: i64, stream: Stream, mut bytes: u64) -> io::Result<()> {
        while bytes > 0 {
            let full = self.live.as_ref().is_none_or(|live| {
                live.index_length() >= self.bounds.size && live.last.is_none_or(|last| last.kind != Kind::Gap(stream))
            });
            if full {
                self.rotate()?;
            }
            let length = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.append_at(at, Kind::Gap(stream), self.accounted[number(stream)], length)?;
            self.accounted[number(stream)] += u64::from(length);
            self.shared.dropped.fetch_add(u64::from(length), Ordering::Relaxed);
            bytes -= u64::from(length);
        }
        Ok(())
    }

    fn append(&mut self, kind: Kind, offset: u64, length: u32) -> io::Result<()> {
        self.append_at(kit::process::now(), kind, offset, length)
    }

    fn append_at(&mut self, at: i64, kind: Kind, offset: u64, length: u32) -> io::Result<()> {
        let Some(live) = &mut self.live else { return Ok(()) };
        let at = at.max(self.at);
        let extended = live.last.and_then(|last| extend(last, at, kind, offset, length));
        let entry = extended.unwrap_or(Entry { at, start: self.end, offset, length, kind });
        live.write(entry, extended.is_some())?;
        self.end = entry.end();
        self.at = at;
        Ok(())
    }

    /// Begins the next segment, and removes the oldest if there are too many.
    fn rotate(&mut self) -> io::Result<()> {
        let live = match self.create() {
            // Perhaps there is space when what would go anyway is gone.
            Err(_) if self.segments.len() > 1 && self.segments.len() >= self.bounds.files => {
                self.remove_oldest();
                self.create()?
            }
            made => made?,
        };
        self.segments.push_back(view::Segment { number: live.number, start: self.end });
        self.live = Some(live);
        while self.segments.len() > self.bounds.files {
            self.remove_oldest();
        }
        self.publish();
        if self.segments.len() > 1 {
            self.shared.compress();
        }
        Ok(())
    }

    fn create(&self) -> io::Result<Segment> {
        let next = self.segments.back().map_or(1, |newest| newest.number + 1);
        let header = Header { number: next, start: self.end, run: self.run, lost: self.accounted };
        Segment::create(&self.shared.files, header)
    }

    fn remove_oldest(&mut self) {
        if let Some(oldest) = self.segments.pop_front() {
            // Readers must not look for it any more.
            self.publish();
            if let Err(error) = self.shared.remove(oldest.number) {
                tracing::error!(%error, segment = oldest.number, "cannot remove a rotated segment");
            }
        }
    }

    /// Makes the first segment while there is space for it, so that a gap can be written down when there is not.
    pub(crate) fn begin(&mut self) {
        if self.live.is_none()
            && let Err(error) = self.rotate()
        {
            tracing::warn!(%error, "cannot begin a log segment yet");
        }
    }

    fn discard(
        &mut self,
        source: &mut dyn Source,
        stream: Stream,
        lost: &mut Losses,
        error: Errno,
    ) -> Result<usize, Errno> {
        if !std::mem::replace(&mut self.failing, true) && self.mode == LogMode::Block {
            tracing::error!(%error, log = %self.shared.files.directory().display(), "cannot store output: it is lost");
        }
        let taken = source.discard(lost.of(stream))?;
        if let Err(error) = self.account(lost.totals()) {
            tracing::debug!(%error, "a gap waits for its entry");
        }
        Ok(taken)
    }

    /// Shows readers what there is.
    pub(crate) fn publish(&self) {
        let (entries, last) = self.live.as_ref().map_or((u64::MAX, None), |live| (live.entries, live.last));
        self.shared.view.send_modify(|view| {
            let same = view.segments.len() == self.segments.len()
                && view.segments.first() == self.segments.front()
                && view.segments.last() == self.segments.back();
            if !same {
                view.segments = self.segments.iter().copied().collect();
            }
            view.entries = entries;
            view.last = last;
            view.end = self.end;
        });
    }
}

/// The last entry, grown by bytes that follow it directly: data within a moment, gaps always.
fn extend(last: Entry, at: i64, kind: Kind, offset: u64, length: u32) -> Option<Entry> {
    let follows = last.kind == kind && last.offset + u64::from(last.length) == offset;
    let (soon, longest) = match kind {
        Kind::Gap(_) => (true, u32::MAX),
        Kind::Data(_) => (at.saturating_sub(last.at) < TOGETHER, LONGEST),
    };
    let grown = last.length.checked_add(length).filter(|grown| *grown <= longest)?;
    (follows && soon).then_some(Entry { length: grown, ..last })
}

fn errno(error: &io::Error) -> Errno {
    // What is not an error number must not look like "nothing to read".
    Errno::from_io_error(error).filter(|errno| !matches!(*errno, Errno::AGAIN | Errno::INTR)).unwrap_or(Errno::IO)
}
