//! How a container's files differ from its image's, as `docker diff` tells it: what is new or gone, what is
//! other, and the directory in which something is new or gone. A directory that is in the writable layer only
//! because something below it has changed is not told.

use super::image::Image;
use super::marks::{is_mount_point, is_opaque, is_whiteout, names_in};
use crate::beneath::{self, is_directory, lookup};
use crate::walk::{Entry, Walk};
use crate::{walk, xattrs};
use rustix::fs::{Mode, Stat};
use rustix::io::{Errno, Result as OsResult};
use schema::Failure;
use schema::filesystem::{Change, ChangeKind, ChangeList};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Changes of one answer, if the caller names no number.
const DEFAULT_COUNT: u32 = 10_000;
/// Bytes of paths in one answer.
const MOST_BYTES: usize = 4 << 20;

/// Those changes in a writable layer that come after a path. `image` is the root of all layers below, opened
/// twice.
pub(crate) fn changes(upper: &Path, image: [OwnedFd; 2], after: &[u8], most: u32) -> Result<ChangeList, Failure> {
    let failed = |error: Errno| Failure::io("comparing the container's files with its image", &error.into());
    let most = if most == 0 { DEFAULT_COUNT } else { most } as usize;
    let top = match beneath::open_root(upper) {
        // It was never mounted.
        Err(Errno::NOENT) => return Ok(ChangeList::default()),
        other => other.map_err(failed)?,
    };
    let [image, hidden] = image.map(Image::new);
    let (mut differ, mut list, mut bytes) = (Differ { image }, ChangeList::default(), 0);
    let after = after.strip_prefix(b"/").unwrap_or(after);
    let mut walk = Walk::new(top.as_fd(), after, Some(gone(top.try_clone().map_err(Failure::internal)?, hidden)))?;
    while let Some(entry) = walk.next()? {
        let Some(kind) = differ.kind(&entry).map_err(failed)? else { continue };
        if list.changes.len() >= most || bytes > MOST_BYTES {
            list.more = true;
            break;
        }
        bytes += entry.path.len();
        list.changes.push(Change { path: [b"/", entry.path.as_slice()].concat(), kind });
    }
    Ok(list)
}

/// An opaque directory in the place of one of the image hides what that one has.
fn gone(upper: OwnedFd, image: Image) -> walk::More {
    Box::new(move |path| {
        let is_opaque = match beneath::open_exact(upper.as_fd(), path) {
            Ok(directory) => !path.is_empty() && is_opaque(&directory, ".".as_ref())?,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => false,
            Err(error) => return Err(error),
        };
        if is_opaque { image.names(path) } else { Ok(Vec::new()) }
    })
}

struct Differ {
    image: Image,
}

impl Differ {
    fn kind(&mut self, entry: &Entry) -> OsResult<Option<ChangeKind>> {
        let Entry { path, parent, name, found } = entry;
        let was = self.image.lookup(path)?;
        let Some(now) = found else { return Ok(was.map(|_| ChangeKind::Deleted)) };
        if is_whiteout(parent.as_fd(), name, now)? {
            return Ok(was.map(|_| ChangeKind::Deleted));
        }
        if is_mount_point(path, parent.as_fd(), name, now, &mut self.image)? {
            return Ok(None);
        }
        let Some(was) = was else { return Ok(Some(ChangeKind::Added)) };
        if is_directory(&was) && is_directory(now) && !self.differs(entry, &was, now)? {
            return Ok(None);
        }
        Ok(Some(ChangeKind::Modified))
    }

    /// Whether a directory itself is other, or something in it is new or gone.
    fn differs(&mut self, entry: &Entry, was: &Stat, now: &Stat) -> OsResult<bool> {
        let facts = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime, stat.st_mtime_nsec);
        if facts(was) != facts(now) || is_opaque(&entry.parent, &entry.name)? {
            return Ok(true);
        }
        let attributes = self.image.attributes(&entry.path)?;
        Ok(attributes != xattrs::of(&entry.parent, &entry.name)? || self.has_new_entries(entry)?)
    }

    fn has_new_entries(&mut self, entry: &Entry) -> OsResult<bool> {
        let directory = match rustix::fs::openat(&entry.parent, &entry.name, walk::LIST, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
            other => other?,
        };
        for name in names_in(entry.parent.as_fd(), &entry.name)? {
            let path = [entry.path.as_slice(), name.as_encoded_bytes()].join(&b'/');
            let Some(stat) = lookup(directory.as_fd(), &name)? else { continue };
            let whiteout = is_whiteout(directory.as_fd(), &name, &stat)?;
            if self.image.lookup(&path)?.is_some() == whiteout
                && !is_mount_point(&path, directory.as_fd(), &name, &stat, &mut self.image)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Image {
    /// Extended attributes of a directory of the image.
    fn attributes(&mut self, path: &[u8]) -> OsResult<xattrs::Attributes> {
        match self.directory(path)? {
            Some(directory) => xattrs::of(directory, &OsString::from(".")),
            None => Ok(Vec::new()),
        }
    }
}
