//! Reading extended attributes.

use rustix::io::{Errno, Result as OsResult};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Overlayfs's own, which belong to where a file lies, not to the file.
const OVERLAY: &[u8] = b"trusted.overlay.";
/// The time of a directory in which a mount point is being made that is to leave no trace: `seconds.nanoseconds`.
pub(crate) const KEPT_TIME: &str = "trusted.cctl.mtime";
/// Labels that this host's security modules keep: on another host, or in another container, they are wrong.
const LABELS: [&[u8]; 5] =
    [b"security.selinux", b"security.ima", b"security.evm", b"security.apparmor", b"security.SMACK64"];
/// The kernel's bounds, xattr(7).
const LONGEST_LIST: usize = 64 << 10;
const LONGEST_VALUE: usize = 64 << 10;

/// Names and values, sorted by name.
pub(crate) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// The attributes of what has this name in a directory, a link itself if it is one; without those that mean
/// something only where it lies.
pub(crate) fn of(parent: impl AsFd, name: &OsStr) -> OsResult<Attributes> {
    let path = through_descriptor(parent, name);
    all(list(|buffer| rustix::fs::llistxattr(&path, buffer)), |name, buffer| rustix::fs::lgetxattr(&path, name, buffer))
}

/// The same, of an open file.
pub(crate) fn of_file(file: impl AsFd) -> OsResult<Attributes> {
    let file = file.as_fd();
    all(list(|buffer| rustix::fs::flistxattr(file, buffer)), |name, buffer| rustix::fs::fgetxattr(file, name, buffer))
}

fn all(list: OsResult<Vec<u8>>, get: impl Fn(&OsStr, &mut [u8]) -> OsResult<usize>) -> OsResult<Attributes> {
    let list = match list {
        Err(Errno::NOTSUP | Errno::NOENT) => return Ok(Vec::new()),
        other => other?,
    };
    let mut all = Vec::new();
    for name in list.split(|byte| *byte == 0).filter(|name| is_portable(name)) {
        if let Some(value) = value(|buffer| get(OsStr::from_bytes(name), buffer))? {
            all.push((name.to_vec(), value));
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// One attribute, whatever its name; none if it is not there.
pub(crate) fn one(parent: impl AsFd, name: &OsStr, attribute: &str) -> OsResult<Option<Vec<u8>>> {
    let path = through_descriptor(parent, name);
    value(|buffer| rustix::fs::lgetxattr(&path, attribute, buffer))
}

/// The same, of an open file.
pub(crate) fn one_of_file(file: impl AsFd, attribute: &str) -> OsResult<Option<Vec<u8>>> {
    let file = file.as_fd();
    value(|buffer| rustix::fs::fgetxattr(file, attribute, buffer))
}

/// There is no call for attributes by directory and name before Linux 6.13: the directory is named by its
/// descriptor.
pub(crate) fn through_descriptor(parent: impl AsFd, name: &OsStr) -> PathBuf {
    Path::new("/proc/self/fd").join(parent.as_fd().as_raw_fd().to_string()).join(name)
}

fn is_portable(name: &[u8]) -> bool {
    !name.is_empty()
        && !name.starts_with(OVERLAY)
        && name != KEPT_TIME.as_bytes()
        && !LABELS.iter().any(|label| name.starts_with(label))
}

fn list(get: impl Fn(&mut [u8]) -> OsResult<usize>) -> OsResult<Vec<u8>> {
    // Most files have none, or few.
    let mut list = vec![0; 256];
    loop {
        match get(&mut list) {
            Err(Errno::RANGE) if list.len() < LONGEST_LIST => list.resize(LONGEST_LIST, 0),
            length => {
                list.truncate(length?);
                return Ok(list);
            }
        }
    }
}

fn value(get: impl Fn(&mut [u8]) -> OsResult<usize>) -> OsResult<Option<Vec<u8>>> {
    let mut value = vec![0; 256];
    loop {
        match get(&mut value) {
            Ok(length) => {
                value.truncate(length);
                return Ok(Some(value));
            }
            Err(Errno::RANGE) if value.len() < LONGEST_VALUE => value.resize(LONGEST_VALUE, 0),
            // Removed meanwhile, or on a filesystem that has none.
            Err(Errno::NODATA | Errno::NOTSUP | Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}
