//! What the image has beneath the writable layer.

use crate::beneath::{self, lookup};
use crate::walk;
use rustix::fs::Stat;
use rustix::io::{Errno, Result as OsResult};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// The image's root. Remembers the directory that was looked into last.
pub(super) struct Image {
    root: OwnedFd,
    last: Option<(Vec<u8>, Option<OwnedFd>)>,
}

impl Image {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self { root, last: None }
    }

    /// What the image has at this very path, through no link.
    pub(super) fn lookup(&mut self, path: &[u8]) -> OsResult<Option<Stat>> {
        let (parent, name) = split(path);
        match self.directory(parent)? {
            Some(directory) => lookup(directory.as_fd(), name),
            None => Ok(None),
        }
    }

    /// Names in a directory of the image; none if it is no directory there.
    pub(super) fn names(&self, path: &[u8]) -> OsResult<Vec<OsString>> {
        open(&self.root, path)?.map_or(Ok(Vec::new()), |directory| walk::names(directory.as_fd()))
    }

    /// The directory at this path; none if there is none.
    pub(super) fn directory(&mut self, path: &[u8]) -> OsResult<Option<&OwnedFd>> {
        if self.last.as_ref().is_none_or(|(known, _)| known != path) {
            self.last = Some((path.to_vec(), open(&self.root, path)?));
        }
        Ok(self.last.as_ref().and_then(|(_, directory)| directory.as_ref()))
    }
}

fn open(root: &OwnedFd, path: &[u8]) -> OsResult<Option<OwnedFd>> {
    match beneath::open_exact(root.as_fd(), path) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The path of the directory that holds something, and its name there.
pub(super) fn split(path: &[u8]) -> (&[u8], &OsStr) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], OsStr::from_bytes(&path[slash + 1..])),
        None => (b"", OsStr::from_bytes(path)),
    }
}
