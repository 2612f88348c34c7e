//! Owner, mode, extended attributes and times of what was unpacked, in the order in which they must be set:
//! a change of owner clears set-user-id and capabilities.

use super::service::Service;
use layer_archive::Member;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::{Errno, Result};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The attribute with which overlayfs hides what lower layers have in a directory.
pub(super) const OPAQUE: &str = "trusted.overlay.opaque";

/// Sets all attributes of an open file or directory but a directory's time, which its content would change.
pub(super) fn set(file: BorrowedFd<'_>, member: &Member, service: &Service) -> Result<()> {
    rustix::fs::fchown(file, Some(Uid::from_raw(member.uid)), Some(Gid::from_raw(member.gid)))?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(member.mode))?;
    for (name, value) in &member.xattrs {
        let result = match rustix::fs::fsetxattr(file, OsStr::from_bytes(name), value, XattrFlags::empty()) {
            Err(Errno::PERM) => service.set_attribute(file, name, value),
            other => other,
        };
        tolerate(member, name, result, service)?;
    }
    Ok(())
}

/// The same, of a file that was just made, and is not what it should be only if its directory, or a list of who may
/// access what is made there, says so.
pub(super) fn set_new(file: BorrowedFd<'_>, member: &Member, service: &Service) -> Result<()> {
    let stat = rustix::fs::fstat(file)?;
    let is_right = (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == (member.mode, member.uid, member.gid);
    if is_right && member.xattrs.is_empty() { Ok(()) } else { set(file, member, service) }
}

/// Sets all attributes of what cannot be opened: links, devices, FIFOs. A link has no mode.
pub(super) fn set_at(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    member: &Member,
    is_link: bool,
    service: &Service,
) -> Result<()> {
    let owner = (Some(Uid::from_raw(member.uid)), Some(Gid::from_raw(member.gid)));
    rustix::fs::chownat(parent, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
    if !is_link || !member.xattrs.is_empty() {
        // Not by name: a container may have put a link in its place meanwhile, which would be followed.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let node = rustix::fs::openat(parent, name, flags, Mode::empty())?;
        let itself = by_descriptor(&node);
        if !is_link {
            rustix::fs::chmod(&itself, Mode::from_raw_mode(member.mode))?;
        }
        for (attribute, value) in &member.xattrs {
            let result = match rustix::fs::setxattr(&itself, OsStr::from_bytes(attribute), value, XattrFlags::empty()) {
                Err(Errno::PERM) => service.set_attribute(node.as_fd(), attribute, value),
                other => other,
            };
            tolerate(member, attribute, result, service)?;
        }
    }
    set_time(parent, name, member.mtime)
}

/// The name of what is open, whatever it is: the working directory of a process that unpacks shows its descriptors.
fn by_descriptor(descriptor: impl AsFd) -> PathBuf {
    descriptor.as_fd().as_raw_fd().to_string().into()
}

/// Sets the time of last change.
pub(super) fn set_time(parent: BorrowedFd<'_>, name: &OsStr, mtime: (i64, u32)) -> Result<()> {
    rustix::fs::utimensat(parent, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
}

/// The same, of an open file.
pub(super) fn set_time_of(file: impl AsFd, mtime: (i64, u32)) -> Result<()> {
    rustix::fs::futimens(file, &times(mtime))
}

/// Hides what lower layers have in this directory.
pub(super) fn make_opaque(directory: impl AsFd, service: &Service) -> Result<()> {
    service.set_attribute(directory.as_fd(), OPAQUE.as_bytes(), b"y")
}

fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// An attribute that the filesystem does not have, or not for this kind of file, is left out with a warning,
/// as every tar does.
fn tolerate(member: &Member, attribute: &[u8], result: Result<()>, service: &Service) -> Result<()> {
    match result {
        Err(error @ (Errno::NOTSUP | Errno::PERM)) => {
            let attribute = OsString::from(OsStr::from_bytes(attribute));
            service.warn(format!("member {}: the extended attribute {attribute:?} is left out: {error}", member.path));
            Ok(())
        }
        // What does not fit is told in as many ways as there are filesystems: ext4 says that there is no space.
        Err(Errno::RANGE | Errno::NOSPC) => Err(Errno::TOOBIG),
        other => other,
    }
}
