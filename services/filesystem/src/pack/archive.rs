//! An archive of a part of a container, made piece by piece.

use super::cursor::{Cursor, Within};
use super::describe::{self, Described, Describer, has_names};
use super::parts::{Pair, Parts, SIZE};
use crate::beneath::{self, lookup};
use crate::layers::Pin;
use crate::look::{self, Found};
use crate::walk::{Entry, Walk, is_kernels};
use layer_archive::{END, MemberPath, header, padding};
use rustix::io::Errno;
use schema::Failure;
use schema::common::IdRange;
use schema::filesystem::{ArchiveChunk, ArchiveRequest};
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

/// Bytes that are handed on at a time: a single header may be longer.
const PIECE: usize = 256 << 10;

/// The archive, at one place in it.
pub(crate) struct Archive {
    number: u64,
    item: Found,
    walk: Option<Walk>,
    /// Empty for an export: else every name begins with it.
    prefix: Vec<u8>,
    describer: Describer,
    /// Members were archived that the describer has not seen.
    is_new: bool,
    last: Option<Vec<u8>>,
    /// A file whose data is being read.
    open: Option<(File, Within)>,
    /// What did not fit into the part before this.
    next: Option<(Vec<u8>, Described)>,
    /// The files in which its parts are handed over.
    parts: Option<Pair>,
    buffer: Vec<u8>,
    /// Keep mounted what is archived.
    _root: OwnedFd,
    _pins: Vec<Pin>,
}

impl Archive {
    /// Goes on behind a cursor; an empty one begins. Fails with `notFound` if there is nothing at the path.
    pub(crate) fn resume(
        (root, pins): (OwnedFd, Vec<Pin>),
        request: &ArchiveRequest,
        ids: Option<IdRange>,
        cursor: &[u8],
        number: u64,
    ) -> Result<Self, Failure> {
        let cursor = if cursor.is_empty() { Cursor::default() } else { Cursor::decode(cursor)? };
        let item = look::find(root.as_fd(), &request.path)?;
        let place = item.directory.as_ref().unwrap_or(&item.parent);
        let failed = |error: Errno| look::failed(&request.path, error);
        if is_kernels(place.as_fd()).map_err(failed)? {
            return Err(Failure::invalid(format_args!("{} shows the kernel's state, not files", request.path)));
        }
        let walk = match (&item.directory, &cursor.path) {
            (Some(directory), Some(last)) => Some(Walk::new(directory.as_fd(), last, None)?),
            _ => None,
        };
        let prefix = if request.export { Vec::new() } else { item.called.clone() };
        let mut archive = Self {
            number,
            item,
            walk,
            prefix,
            describer: Describer::of_container(ids),
            is_new: cursor.path.is_some(),
            last: cursor.path,
            open: None,
            next: None,
            parts: None,
            buffer: Vec::new(),
            _root: root,
            _pins: pins,
        };
        if let Some(within) = cursor.within {
            archive.open = Some((archive.reopen(within)?, within));
        }
        Ok(archive)
    }

    /// Gives it another number: that of the cursor behind the next part.
    pub(crate) fn renumber(&mut self, number: u64) {
        self.number = number;
    }

    /// Whether it is at this cursor.
    pub(super) fn is_at(&self, cursor: &[u8]) -> bool {
        self.cursor().encode() == cursor
    }

    /// The number in a cursor.
    pub(super) fn number_in(cursor: &[u8]) -> Option<u64> {
        Cursor::decode(cursor).ok().map(|cursor| cursor.archive)
    }

    /// The next part: `most` bytes, unless a single header is longer.
    pub(crate) fn read(&mut self, most: usize) -> Result<ArchiveChunk, Failure> {
        let mut data = Vec::with_capacity(most);
        let ended = self.fill(&mut data, most)?;
        Ok(ArchiveChunk { data, next: self.after(ended), ended, ..ArchiveChunk::default() })
    }

    /// The same in a file, if one can be had. The first part never is: most archives have no more.
    pub(crate) fn read_to_file(&mut self, parts: &Parts, most: usize) -> Result<ArchiveChunk, Failure> {
        if self.last.is_none() {
            return self.read(most);
        }
        let mut pair = match self.parts.take().map_or_else(|| parts.pair(), Ok) {
            Ok(pair) => pair,
            Err(error) => {
                tracing::debug!(%error, "there are no files for parts of an archive");
                return self.read(most);
            }
        };
        let (path, file) = pair.next();
        let (path, mut length, mut buffer) = (path.display().to_string(), 0, std::mem::take(&mut self.buffer));
        let ended = loop {
            buffer.clear();
            let ended = self.fill(&mut buffer, PIECE)?;
            let failed = |error: io::Error| Failure::io(format_args!("writing {path}"), &error);
            file.write_all_at(&buffer, length).map_err(failed)?;
            length += buffer.len() as u64;
            if ended || length + PIECE as u64 > SIZE as u64 {
                break ended;
            }
        };
        (self.parts, self.buffer) = (Some(pair), buffer);
        Ok(ArchiveChunk { next: self.after(ended), ended, path, length, ..ArchiveChunk::default() })
    }

    /// What is needed for longer than the archive.
    pub(crate) fn parts(self) -> Option<Pair> {
        self.parts
    }

    fn after(&self, ended: bool) -> Vec<u8> {
        if ended { Vec::new() } else { self.cursor().encode() }
    }

    /// Adds the next bytes, to `most` of them unless a single header is longer. Whether these were the last.
    fn fill(&mut self, data: &mut Vec<u8>, most: usize) -> Result<bool, Failure> {
        while data.len() < most {
            if self.open.is_some() {
                self.copy(data, most)?;
                continue;
            }
            let Some((path, Described { member, data: file, inode })) = self.describe()? else {
                data.extend_from_slice(&END);
                return Ok(true);
            };
            let blocks = header(&member);
            if !data.is_empty() && data.len() + blocks.len() > most {
                self.next = Some((path, Described { member, data: file, inode }));
                break;
            }
            data.extend_from_slice(&blocks);
            if let Some(file) = file {
                self.open = Some((file, Within { offset: 0, size: member.size, inode }));
            }
            self.last = Some(path);
        }
        Ok(false)
    }

    fn cursor(&self) -> Cursor {
        let within = self.open.as_ref().map(|(_, within)| *within);
        Cursor { archive: self.number, path: self.last.clone(), within }
    }

    /// Data of the open file. A file that has become shorter is filled up with zeros, one that has become
    /// longer is cut: its header has been sent.
    fn copy(&mut self, data: &mut Vec<u8>, most: usize) -> Result<(), Failure> {
        let Some((file, mut within)) = self.open.take() else { return Ok(()) };
        let (start, left) = (data.len(), within.size - within.offset);
        let wanted = usize::try_from(left).unwrap_or(most).min(most - start);
        data.resize(start + wanted, 0);
        let mut filled = 0;
        while filled < wanted {
            match file.read_at(&mut data[start + filled..], within.offset + filled as u64) {
                Ok(0) => {
                    tracing::info!(path = ?self.last, "a file became shorter while it was archived");
                    break;
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(reading(self.last.as_deref().unwrap_or_default(), &error)),
            }
        }
        within.offset += wanted as u64;
        if within.offset == within.size {
            data.extend_from_slice(padding(within.size));
        } else {
            self.open = Some((file, within));
        }
        Ok(())
    }

    /// The next member that there still is.
    fn describe(&mut self) -> Result<Option<(Vec<u8>, Described)>, Failure> {
        if let Some(next) = self.next.take() {
            return Ok(Some(next));
        }
        if self.last.is_none() {
            let (path, parent, name, stat) = (self.name_of(&[])?, &self.item.parent, &self.item.name, &self.item.stat);
            let first = self.describer.describe(path, parent.as_fd(), name, stat)?;
            if let Some(directory) = &self.item.directory {
                self.walk = Some(Walk::new(directory.as_fd(), &[], None)?);
            }
            if let Some(first) = first {
                return Ok(Some((Vec::new(), first)));
            }
        }
        while let Some(entry) = self.walk.as_mut().map(Walk::next).transpose()?.flatten() {
            let Some(stat) = entry.found else { continue };
            let path = self.name_of(&entry.path)?;
            if self.is_new && has_names(&stat) {
                self.catch_up()?;
            }
            if let Some(described) = self.describer.describe(path, entry.parent.as_fd(), &entry.name, &stat)? {
                return Ok(Some((entry.path, described)));
            }
        }
        Ok(None)
    }

    fn name_of(&self, path: &[u8]) -> Result<MemberPath, Failure> {
        let name = [self.prefix.as_slice(), path].join(&b'/');
        MemberPath::parse(&name)
            .map_err(|error| Failure::invalid(error).hint("no program could unpack an archive with such a name"))
    }

    /// Learns the names of what was archived before this process began.
    fn catch_up(&mut self) -> Result<(), Failure> {
        self.is_new = false;
        let (Some(directory), Some(last)) = (&self.item.directory, &self.last) else { return Ok(()) };
        let mut walk = Walk::new(directory.as_fd(), &[], None)?;
        while let Some(Entry { path, found, .. }) = walk.next()? {
            if is_behind(&path, last) {
                break;
            }
            if let Some(stat) = found {
                let name = self.name_of(&path)?;
                self.describer.note(name, &stat);
            }
        }
        Ok(())
    }

    /// Opens the file again that another process has begun to read.
    fn reopen(&self, within: Within) -> Result<File, Failure> {
        let path = self.last.as_deref().unwrap_or_default();
        let again = || match (&self.item.directory, split(path)) {
            (Some(directory), (parent, name)) => {
                same(beneath::open_exact(directory.as_fd(), parent)?.as_fd(), name, within.inode)
            }
            (None, _) => same(self.item.parent.as_fd(), &self.item.name, within.inode),
        };
        match again() {
            Ok(Some(file)) => Ok(file),
            Ok(None) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                Err(Failure::conflict(format_args!("/{} was replaced while it was archived", path.escape_ascii()))
                    .hint("try again"))
            }
            Err(error) => Err(reading(path, &error.into())),
        }
    }
}

fn same(parent: BorrowedFd<'_>, name: &OsStr, inode: u64) -> Result<Option<File>, Errno> {
    let Some(stat) = lookup(parent, name)?.filter(|stat| stat.st_ino == inode) else { return Ok(None) };
    Ok(describe::open(parent, name, &stat)?.map(|(file, _)| file))
}

fn split(path: &[u8]) -> (&[u8], &OsStr) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], OsStr::from_bytes(&path[slash + 1..])),
        None => (b"", OsStr::from_bytes(path)),
    }
}

/// Whether a path comes after another in the order of a walk.
fn is_behind(path: &[u8], other: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').gt(other.split(|byte| *byte == b'/'))
}

fn reading(path: &[u8], error: &io::Error) -> Failure {
    Failure::io(format_args!("reading /{} of the container", path.escape_ascii()), error)
}
