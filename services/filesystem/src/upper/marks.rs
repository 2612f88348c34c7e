//! What entries of a writable layer mean: kernel, Documentation/filesystems/overlayfs.rst.

use super::image::Image;
use crate::beneath::{is_directory, lookup};
use crate::{names, walk, xattrs};
use rustix::fs::{FileType, Stat};
use rustix::io::{Errno, Result as OsResult};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};

const OPAQUE: &str = "trusted.overlay.opaque";
const WHITEOUT: &str = "trusted.overlay.whiteout";
/// Where the container's own file systems are mounted.
const MOUNT_POINTS: [&[u8]; 3] = [b"dev", b"proc", b"sys"];
const ETC: &[u8] = b"etc";

/// Whether this says that the image's entry of the same name is gone: a character device 0/0, or (since Linux
/// 6.7) an empty file with an attribute.
pub(super) fn is_whiteout(parent: BorrowedFd<'_>, name: &OsStr, stat: &Stat) -> OsResult<bool> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => Ok(stat.st_rdev == 0),
        FileType::RegularFile if stat.st_size == 0 => Ok(xattrs::one(parent, name, WHITEOUT)?.is_some()),
        _ => Ok(false),
    }
}

/// Whether nothing of the image's directory of this name shows through.
pub(super) fn is_opaque(parent: impl AsFd, name: &OsStr) -> OsResult<bool> {
    Ok(xattrs::one(parent, name, OPAQUE)?.as_deref() == Some(b"y"))
}

/// Whether this was made only so that something could be mounted there: it is none of the container's doing.
pub(super) fn is_mount_point(
    path: &[u8],
    parent: BorrowedFd<'_>,
    name: &OsStr,
    stat: &Stat,
    image: &mut Image,
) -> OsResult<bool> {
    let file = path.strip_prefix(b"etc/").is_some_and(|name| names::FILES.iter().any(|ours| ours.as_bytes() == name));
    let directory = MOUNT_POINTS.contains(&path);
    let is_ours = if file {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_size == 0
    } else if directory {
        is_directory(stat) && names_in(parent, name)?.is_empty()
    } else {
        path == ETC && is_directory(stat) && has_only_ours(parent, name)?
    };
    Ok(is_ours && image.lookup(path)?.is_none())
}

fn has_only_ours(parent: BorrowedFd<'_>, name: &OsStr) -> OsResult<bool> {
    let etc = rustix::fs::openat(parent, name, walk::LIST, rustix::fs::Mode::empty())?;
    let names = walk::names(etc.as_fd())?;
    for name in &names {
        let is_empty = lookup(etc.as_fd(), name)?.is_some_and(|stat| stat.st_size == 0 && !is_directory(&stat));
        if !is_empty || !names::FILES.iter().any(|ours| *ours == name) {
            return Ok(false);
        }
    }
    Ok(!names.is_empty())
}

/// What is in a directory; nothing if it is gone.
pub(super) fn names_in(parent: BorrowedFd<'_>, name: &OsStr) -> OsResult<Vec<std::ffi::OsString>> {
    match rustix::fs::openat(parent, name, walk::LIST, rustix::fs::Mode::empty()) {
        Ok(directory) => walk::names(directory.as_fd()),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
