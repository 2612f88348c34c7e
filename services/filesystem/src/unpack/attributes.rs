//! Owner, mode, extended attributes and times of what was unpacked, in the order in which they must be set:
//! a change of owner clears set-user-id and capabilities.

use crate::xattrs::through_descriptor;
use layer_archive::Member;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::{Errno, Result};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The attribute with which overlayfs hides what lower layers have in a directory.
const OPAQUE: &str = "trusted.overlay.opaque";

/// Sets all attributes of an open file or directory but a directory's time, which its content would change.
pub(super) fn set(file: impl AsFd, member: &Member) -> Result<()> {
    let file = file.as_fd();
    rustix::fs::fchown(file, Some(Uid::from_raw(member.uid)), Some(Gid::from_raw(member.gid)))?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(member.mode))?;
    for (name, value) in &member.xattrs {
        tolerate(member, name, rustix::fs::fsetxattr(file, OsStr::from_bytes(name), value, XattrFlags::empty()))?;
    }
    Ok(())
}

/// Sets all attributes of what cannot be opened: links, devices, FIFOs. A link has no mode.
pub(super) fn set_at(parent: BorrowedFd<'_>, name: &OsStr, member: &Member, is_link: bool) -> Result<()> {
    let owner = (Some(Uid::from_raw(member.uid)), Some(Gid::from_raw(member.gid)));
    rustix::fs::chownat(parent, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
    if !is_link {
        // Not by name: a container may have put a link in its place meanwhile, which would be followed.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let node = rustix::fs::openat(parent, name, flags, Mode::empty())?;
        let itself = Path::new("/proc/self/fd").join(node.as_raw_fd().to_string());
        rustix::fs::chmod(itself, Mode::from_raw_mode(member.mode))?;
    }
    for (attribute, value) in &member.xattrs {
        let path = through_descriptor(parent, name);
        let result = rustix::fs::lsetxattr(path, OsStr::from_bytes(attribute), value, XattrFlags::empty());
        tolerate(member, attribute, result)?;
    }
    set_time(parent, name, member.mtime)
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
pub(super) fn make_opaque(directory: impl AsFd) -> Result<()> {
    rustix::fs::fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty())
}

fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// An attribute that the filesystem does not have, or not for this kind of file, is left out with a warning,
/// as every tar does.
fn tolerate(member: &Member, attribute: &[u8], result: Result<()>) -> Result<()> {
    match result {
        Err(error @ (Errno::NOTSUP | Errno::PERM)) => {
            let attribute = OsString::from(OsStr::from_bytes(attribute));
            tracing::warn!(member = %member.path, ?attribute, %error, "an extended attribute is left out");
            Ok(())
        }
        // What does not fit is told in as many ways as there are filesystems: ext4 says that there is no space.
        Err(Errno::RANGE | Errno::NOSPC) => Err(Errno::TOOBIG),
        other => other,
    }
}
