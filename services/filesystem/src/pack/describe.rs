//! What an archive says of a file.

use crate::{ids, xattrs};
use layer_archive::{Kind, Member, MemberPath};
use rustix::fs::{FileType, Mode, OFlags, Stat, major, minor};
use rustix::io::{Errno, Result as OsResult};
use schema::Failure;
use schema::common::IdRange;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

/// Knows under which name each file with several names was archived first.
#[derive(Debug, Default)]
pub(crate) struct Describer {
    links: HashMap<(u64, u64), MemberPath>,
    /// Of what files are looked at through, if it shows the host's ids of a container.
    ids: Option<IdRange>,
}

/// A member, and the file with its data if it has any.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) member: Member,
    pub(crate) data: Option<File>,
    /// Of what is described.
    pub(crate) inode: u64,
}

impl Describer {
    /// Of files that a container with these ids on the host has, by its own ids.
    pub(crate) fn of_container(ids: Option<IdRange>) -> Self {
        Self { ids, ..Self::default() }
    }

    /// Describes what has this name in a directory. None if it is gone or replaced, and for a socket: it is
    /// nothing without the process that listens on it, and no archive can hold one.
    pub(crate) fn describe(
        &mut self,
        path: MemberPath,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        stat: &Stat,
    ) -> Result<Option<Described>, Failure> {
        let shown = path.clone();
        self.look(path, parent, name, stat)
            .map_err(|error| Failure::io(format_args!("reading {shown} of the container"), &error.into()))
    }

    /// Notes a file that was archived before.
    pub(crate) fn note(&mut self, path: MemberPath, stat: &Stat) {
        if has_names(stat) {
            self.links.entry((stat.st_dev, stat.st_ino)).or_insert(path);
        }
    }

    fn look(
        &mut self,
        path: MemberPath,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        stat: &Stat,
    ) -> OsResult<Option<Described>> {
        let mut member = Member {
            kind: Kind::File,
            size: 0,
            mode: stat.st_mode & 0o7777,
            uid: ids::inside(self.ids, stat.st_uid),
            gid: ids::inside(self.ids, stat.st_gid),
            mtime: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            xattrs: Vec::new(),
            path,
        };
        if let Some(first) = has_names(stat).then(|| self.links.get(&(stat.st_dev, stat.st_ino))).flatten() {
            member.kind = Kind::HardLink(first.clone());
            return Ok(Some(Described { member, data: None, inode: stat.st_ino }));
        }
        let mut data = None;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let Some((file, size)) = open(parent, name, stat)? else { return Ok(None) };
                (data, member.size) = (Some(file), size);
            }
            FileType::Directory => member.kind = Kind::Directory,
            FileType::Symlink => match rustix::fs::readlinkat(parent, name, Vec::new()) {
                Ok(target) => member.kind = Kind::Symlink(target.into_bytes()),
                Err(Errno::NOENT | Errno::INVAL) => return Ok(None),
                Err(error) => return Err(error),
            },
            FileType::CharacterDevice => member.kind = Kind::Character(major(stat.st_rdev), minor(stat.st_rdev)),
            FileType::BlockDevice => member.kind = Kind::Block(major(stat.st_rdev), minor(stat.st_rdev)),
            FileType::Fifo => member.kind = Kind::Fifo,
            FileType::Socket | FileType::Unknown => {
                tracing::info!(path = %member.path, "a socket is left out of the archive");
                return Ok(None);
            }
        }
        let attributes = match &data {
            Some(file) => xattrs::of_file(file)?,
            None => xattrs::of(parent, name)?,
        };
        let attributes = attributes.into_iter();
        member.xattrs = attributes
            .map(|(name, value)| {
                let value = ids::attribute_inside(self.ids, &name, value);
                (name, value)
            })
            .collect();
        if has_names(stat) {
            self.note(member.path.clone(), stat);
        }
        Ok(Some(Described { member, data, inode: stat.st_ino }))
    }
}

/// Whether a file may have further names: hard links.
pub(super) fn has_names(stat: &Stat) -> bool {
    stat.st_nlink > 1 && FileType::from_raw_mode(stat.st_mode) != FileType::Directory
}

/// Opens a regular file, if it still is the one that was seen. What it may have been replaced by has no say:
/// nothing waits for a FIFO, and no link is followed.
pub(crate) fn open(parent: BorrowedFd<'_>, name: &OsStr, seen: &Stat) -> OsResult<Option<(File, u64)>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(parent.as_fd(), name, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(None),
        other => other?,
    };
    let now = rustix::fs::fstat(&file)?;
    let is_same = (now.st_dev, now.st_ino) == (seen.st_dev, seen.st_ino);
    let is_file = FileType::from_raw_mode(now.st_mode) == FileType::RegularFile;
    Ok((is_same && is_file).then(|| (File::from(file), u64::try_from(now.st_size).unwrap_or(0))))
}
