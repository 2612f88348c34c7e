//! Where captured bytes come from, and where those go that cannot be kept.

use crate::entry::number;
use crate::gate::{file, own};
use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use schema::log_collector::Stream;
use shim_protocol::layout;
use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Bytes that are taken at one go: what a pipe holds after we enlarged it.
pub(crate) const CHUNK: usize = 1 << 20;
const COPY: usize = 64 << 10;
/// Count what could not be kept.
const COUNTERS: [&CStr; 2] = [layout::STDOUT_LOST, layout::STDERR_LOST];

/// A source of bytes which consumes exactly what it has stored, at whatever instant it is killed.
pub(crate) trait Source {
    /// Moves at most `max` bytes to `offset` of `file`; 0: there will be no more; `AGAIN`: none now.
    fn store(&mut self, file: &File, offset: u64, max: usize) -> Result<usize, Errno>;

    /// Moves bytes to where they are only counted.
    fn discard(&mut self, lost: &mut Lost) -> Result<usize, Errno>;
}

/// The read end of a FIFO. Its bytes never pass through our memory.
#[derive(Debug)]
pub(crate) struct Pipe(pub(crate) OwnedFd);

fn pour(pipe: &OwnedFd, file: &File, offset: Option<&mut u64>, max: usize) -> Result<usize, Errno> {
    splice(pipe, None, file, offset, max.min(CHUNK), SpliceFlags::NONBLOCK | SpliceFlags::MOVE)
}

impl Source for Pipe {
    fn store(&mut self, file: &File, mut offset: u64, max: usize) -> Result<usize, Errno> {
        pour(&self.0, file, Some(&mut offset), max)
    }

    fn discard(&mut self, lost: &mut Lost) -> Result<usize, Errno> {
        lost.swallow(&self.0)
    }
}

/// What the sandbox's monitor took out of a FIFO because we were absent.
#[derive(Debug)]
pub(crate) struct Spill {
    file: File,
    offset: u64,
    length: u64,
}

impl Spill {
    /// Opens one, of which the first `taken` bytes are in the log; none: there is none, or it is all taken.
    /// `taken` is reduced by what this one accounts for.
    pub(crate) fn open(path: &Path, taken: &mut u64) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        let offset = length.min(*taken);
        *taken -= offset;
        Ok((offset < length).then_some(Self { file, offset, length }))
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

impl Source for Spill {
    fn store(&mut self, file: &File, offset: u64, max: usize) -> Result<usize, Errno> {
        let mut buffer = vec![0; max.min(COPY)];
        let read = self.file.read_at(&mut buffer, self.offset).map_err(|error| errno(&error))?;
        if read == 0 {
            return Ok(0);
        }
        let written = file.write_at(&buffer[..read], offset).map_err(|error| errno(&error))?;
        self.offset += written as u64;
        Ok(written)
    }

    fn discard(&mut self, lost: &mut Lost) -> Result<usize, Errno> {
        let rest = self.length.saturating_sub(self.offset);
        lost.count(rest);
        self.offset += rest;
        Ok(rest as usize)
    }
}

/// The counters of both streams of a run.
#[derive(Debug)]
pub(crate) struct Losses([Lost; 2]);

impl Losses {
    /// Opens or makes the counters in the sandbox's directory.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        own(directory)?;
        let [stdout, stderr] = COUNTERS.map(|name| Lost::open(&file(directory, name)));
        Ok(Self([stdout?, stderr?]))
    }

    /// The counter of a stream.
    pub(crate) fn of(&mut self, stream: Stream) -> &mut Lost {
        &mut self.0[number(stream)]
    }

    /// The monitor may have counted, too.
    pub(crate) fn refresh(&mut self) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|lost| {
            lost.length = lost.file.metadata()?.len();
            Ok(())
        })
    }

    /// Bytes of each stream that were lost since the run began.
    pub(crate) fn totals(&self) -> [u64; 2] {
        self.0.each_ref().map(|lost| lost.length)
    }
}

/// Counts the bytes of a stream of a run that could not be kept.
///
/// The count is the length of a file in our part of the sandbox's directory, which bytes are spliced into in the same exact
/// way as into the log; then a hole is punched, so that it takes no space. So the count survives a kill.
#[derive(Debug)]
pub(crate) struct Lost {
    file: File,
    length: u64,
}

impl Lost {
    /// Opens or makes the counter.
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(path)?;
        let length = file.metadata()?.len();
        let mut lost = Self { file, length };
        lost.empty();
        Ok(lost)
    }

    /// Where the file ends: further on than we know, if the monitor has counted since.
    fn end(&self) -> Result<u64, Errno> {
        self.file.metadata().map(|file| file.len()).map_err(|error| errno(&error))
    }

    fn swallow(&mut self, pipe: &OwnedFd) -> Result<usize, Errno> {
        let mut offset = self.end()?;
        match pour(pipe, &self.file, Some(&mut offset), COPY) {
            Ok(taken) => {
                self.length += taken as u64;
                self.empty();
                Ok(taken)
            }
            Err(Errno::AGAIN) => Err(Errno::AGAIN),
            Err(Errno::INTR) => Err(Errno::INTR),
            // Not even this file has room. The length of a file needs none.
            Err(_) => {
                let null = OpenOptions::new().write(true).open("/dev/null").map_err(|error| errno(&error))?;
                let taken = pour(pipe, &null, None, CHUNK)?;
                self.count(taken as u64);
                Ok(taken)
            }
        }
    }

    fn count(&mut self, bytes: u64) {
        self.length += bytes;
        let counted = self.end().and_then(|end| self.file.set_len(end + bytes).map_err(|error| errno(&error)));
        if let Err(error) = counted {
            tracing::error!(%error, bytes, "cannot count lost bytes durably");
        }
    }

    /// Frees the space, and keeps the length. Where the filesystem cannot, the space is freed with the sandbox.
    fn empty(&mut self) {
        if self.length > 0 {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let end = self.end().unwrap_or(self.length);
            if let Err(error) = rustix::fs::fallocate(&self.file, flags, 0, end) {
                tracing::debug!(%error, "cannot punch a hole");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_counter_counts_and_holds_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lost");
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut pipe = Pipe(reader);
        let mut lost = Lost::open(&path).unwrap();
        assert_eq!(pipe.discard(&mut lost), Err(Errno::AGAIN));
        File::from(writer).write_all(&[7; 5000]).unwrap();
        assert_eq!(pipe.discard(&mut lost), Ok(5000));
        assert_eq!(pipe.discard(&mut lost), Ok(0));
        lost.count(10);
        drop(lost);
        assert_eq!(Lost::open(&path).unwrap().length, 5010);
        assert!(std::fs::read(&path).unwrap()[..4096].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_spill_goes_on_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stdout.spill");
        std::fs::write(&path, b"0123456789").unwrap();
        let mut taken = 4;
        let mut spill = Spill::open(&path, &mut taken).unwrap().unwrap();
        assert_eq!(taken, 0);
        let target = directory.path().join("target");
        let file = File::create(&target).unwrap();
        assert_eq!(spill.store(&file, 0, 3), Ok(3));
        assert_eq!(spill.store(&file, 3, 100), Ok(3));
        assert_eq!(spill.store(&file, 6, 100), Ok(0));
        assert_eq!(std::fs::read(&target).unwrap(), b"456789");
        let mut taken = 15;
        assert!(Spill::open(&path, &mut taken).unwrap().is_none());
        assert_eq!(taken, 5);
        assert!(Spill::open(&directory.path().join("none"), &mut taken).unwrap().is_none());
    }
}
