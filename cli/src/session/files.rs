//! The files of a log, which root may open: bytes by the hundred megabytes need not come through the collector.
//!
//! What they are called is the word of a process with fewer privileges than ours. So they are looked for beneath its own
//! directory only, and must be what it says.

use crate::console;
use crate::error::Result;
use packed::Packed;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use schema::Instance;
use schema::log_collector::{PartFile, SERVICE, Stream};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

/// Shorter parts are read ahead, so that one call fetches many of them.
const SHORT: u64 = 16 << 10;
/// Bytes that are read ahead.
const AHEAD: usize = 256 << 10;

/// The directory of the collector, and the files that were of use last.
#[derive(Debug)]
pub(super) struct Files {
    directory: OwnedFd,
    open: Vec<Arc<Source>>,
}

/// Why a file is of no use.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It was replaced or rotated away since: whoever named it knows more now.
    Moved,
    /// It is not for us to open.
    Forbidden,
}

/// A file with output.
#[derive(Debug)]
pub(super) struct Source {
    identity: (u64, u64),
    content: Content,
}

#[derive(Debug)]
enum Content {
    Raw { file: File, ahead: Mutex<Ahead> },
    Packed(Mutex<Packed>),
}

/// A piece of a file that was read.
#[derive(Debug, Default)]
struct Ahead {
    offset: u64,
    bytes: Vec<u8>,
}

impl Files {
    /// Those of an instance; none: this process may not open them.
    pub(super) fn of(instance: &Instance) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(instance.state(SERVICE), flags, Mode::empty());
        let is_root = rustix::process::geteuid().is_root();
        directory.ok().filter(|_| is_root).map(|directory| Self { directory, open: Vec::new() })
    }

    /// Opens these; those that are open are used again, all others closed.
    pub(super) fn open(&mut self, named: &[PartFile]) -> Result<&[Arc<Source>], Unusable> {
        let known = std::mem::take(&mut self.open);
        for one in named {
            let again = known.iter().find(|source| source.identity == (one.device, one.inode)).cloned();
            let source = again.map_or_else(|| Source::open(&self.directory, one).map(Arc::new), Ok)?;
            self.open.push(source);
        }
        Ok(&self.open)
    }
}

impl Source {
    fn open(directory: &OwnedFd, named: &PartFile) -> Result<Self, Unusable> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let file = match rustix::fs::openat2(directory, &named.path, flags, Mode::empty(), resolve) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Err(Unusable::Moved),
            Err(_) => return Err(Unusable::Forbidden),
        };
        let found = file.metadata().map_err(|_| Unusable::Forbidden)?;
        let identity = (found.dev(), found.ino());
        if identity != (named.device, named.inode) {
            return Err(Unusable::Moved);
        }
        if FileType::from_raw_mode(found.mode()) != FileType::RegularFile {
            return Err(Unusable::Forbidden);
        }
        let content = if named.packed {
            Content::Packed(Mutex::new(Packed::open(file).map_err(|_| Unusable::Forbidden)?))
        } else {
            Content::Raw { file, ahead: Mutex::default() }
        };
        Ok(Self { identity, content })
    }

    /// Writes a part of the content; answers how many bytes there were. Blocks.
    pub(super) fn write(&self, stream: Stream, offset: u64, length: u64) -> Result<u64> {
        match &self.content {
            Content::Raw { file, .. } if length >= SHORT => console::send(stream, file, offset, length),
            Content::Raw { file, ahead } => {
                let mut ahead = ahead.lock().unwrap_or_else(PoisonError::into_inner);
                let bytes = ahead.get(file, offset, length as usize).unwrap_or_default();
                console::write(stream, bytes).map(|()| bytes.len() as u64)
            }
            Content::Packed(packed) => {
                let packed = packed.lock().unwrap_or_else(PoisonError::into_inner);
                let mut written = Ok(());
                let shown = packed.each(offset, length, |bytes| {
                    written = console::write(stream, bytes);
                    if written.is_ok() { Ok(()) } else { Err(io::ErrorKind::Other.into()) }
                });
                written?;
                // What cannot be read is not there.
                Ok(shown.unwrap_or_default())
            }
        }
    }
}

impl Ahead {
    /// So many bytes, or fewer if the file has no more.
    fn get(&mut self, file: &File, offset: u64, length: usize) -> io::Result<&[u8]> {
        let has = |this: &Self| {
            let from = usize::try_from(offset.checked_sub(this.offset)?).ok()?;
            (from + length <= this.bytes.len()).then_some(from)
        };
        let from = match has(self) {
            Some(from) => from,
            None => {
                self.bytes.resize(AHEAD.max(length), 0);
                let read = packed::read_at_most(file, &mut self.bytes, offset);
                self.bytes.truncate(read.as_ref().copied().unwrap_or_default());
                self.offset = offset;
                read?;
                0
            }
        };
        Ok(&self.bytes[from..self.bytes.len().min(from + length)])
    }
}
