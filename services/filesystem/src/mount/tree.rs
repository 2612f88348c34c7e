//! Something of the host that is to appear in a container: a volume, or a file of /etc.

use super::{ATTRIBUTES, Users};
use crate::beneath::{self, Place, is_directory};
use crate::sys;
use crate::xattrs::{self, KEPT_TIME};
use rustix::fs::{CWD, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, XattrFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use schema::Failure;
use schema::common::Volume;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A detached copy of a part of the host's tree, and where in the container it belongs.
#[derive(Debug)]
pub(crate) struct Tree {
    mount: OwnedFd,
    is_directory: bool,
    target: String,
    purpose: Purpose,
}

/// What a tree is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Volume,
    /// One of our own files. It must not leave a trace in a volume, which belongs to the host.
    Names,
}

/// Copies what a volume names, with all that is mounted there. What is missing becomes a directory of the container's root.
pub(super) fn of_volume(volume: &Volume, users: Option<&Users>) -> Result<Tree, Failure> {
    let Volume { source, target, read_only, idmap } = volume;
    let failed = |error: io::Error| Failure::io(format_args!("volume {source}"), &error);
    let found = match fs::metadata(source) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(source).map_err(failed)?;
            if let Some(Users { ids, .. }) = users.filter(|_| !idmap) {
                std::os::unix::fs::chown(source, Some(ids.base()), Some(ids.base())).map_err(failed)?;
            }
            fs::metadata(source)
        }
        other => other,
    };
    let is_directory = found.map_err(failed)?.is_dir();
    let read_only = if *read_only { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
    let users = users.filter(|_| *idmap);
    let mount = copy(Path::new(source), ATTRIBUTES | read_only, users).map_err(|error| match users {
        Some(_) if cannot_map(&error) => {
            Failure::unimplemented(format_args!("volume {source}: the user ids of its filesystem cannot be mapped"))
                .hint("leave out idmap, and let the container's users have the files; or use --userns host")
        }
        _ => failed(error),
    })?;
    Ok(Tree { mount, is_directory, target: target.clone(), purpose: Purpose::Volume })
}

/// A filesystem that was made for the container.
pub(super) fn of_filesystem(mount: OwnedFd, target: String) -> Tree {
    Tree { mount, is_directory: true, target, purpose: Purpose::Volume }
}

/// One of our own files, for a place in the container.
pub(crate) fn of_file(path: &Path, target: String, read_only: bool, users: Option<&Users>) -> Result<Tree, Failure> {
    let read_only = if read_only { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
    let mount = copy(path, ATTRIBUTES | read_only, users).map_err(|error| match users {
        Some(_) if cannot_map(&error) => unmappable(path),
        _ => Failure::io(path.display(), &error),
    })?;
    Ok(Tree { mount, is_directory: false, target, purpose: Purpose::Names })
}

/// A detached copy of a part of the host's tree; with a user namespace, files belong in there to whom they belong here.
pub(super) fn copy(path: &Path, attributes: MountAttrFlags, users: Option<&Users>) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, path, flags)?;
    match users {
        Some(users) => sys::map_ids(&tree, attributes, &users.namespace)?,
        None => sys::make_private(&tree, attributes)?,
    }
    Ok(tree)
}

/// Why a part of our state cannot be mounted for a container with user ids of its own.
pub(super) fn unmappable(path: &Path) -> Failure {
    Failure::unimplemented(format_args!("{}: the user ids of its filesystem cannot be mapped", path.display()))
        .hint("use --userns host, or keep the state on another filesystem: ext4, xfs or btrfs, say")
}

/// Whether an error says that ids cannot be mapped: by this kernel, or for this filesystem.
pub(super) fn cannot_map(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EPERM))
}

impl Tree {
    /// How many names lead to its place.
    pub(super) fn depth(&self) -> usize {
        Path::new(&self.target).components().count()
    }

    /// Mounts it beneath a root, in the namespace that the thread is in. What is missing on the way is made.
    pub(super) fn attach(&self, root: BorrowedFd<'_>) -> Result<(), Failure> {
        let failed = |error: Errno| self.failed(error);
        let root_stat = rustix::fs::fstat(root).map_err(failed)?;
        let place = beneath::locate(root, OsStr::new(&self.target), &mut beneath::plain_directory).map_err(failed)?;
        match &place.found {
            Some(stat) if same_file(stat, &root_stat) => return Err(self.invalid("it is the root itself")),
            Some(stat) if is_directory(stat) && !self.is_directory => {
                return Err(self.invalid("it is a directory, and a file is to be mounted there"));
            }
            Some(stat) if !is_directory(stat) && self.is_directory => {
                return Err(self.invalid("it is a file, and a directory is to be mounted there"));
            }
            Some(_) if self.purpose == Purpose::Names && self.is_ours(&place, &root_stat)? => {
                let directory = open(&place).map_err(failed)?;
                if let Some(time) = kept_time(&directory).map_err(failed)? {
                    restore_time(&directory, time).map_err(failed)?;
                }
            }
            Some(_) => {}
            None if self.purpose == Purpose::Names && !self.is_ours(&place, &root_stat)? => {
                tracing::info!(target = self.target, "not mounted: it would have to be made in a volume");
                return Ok(());
            }
            None => self.make(&place).map_err(failed)?,
        }
        move_mount(&self.mount, "", &place.parent, &place.name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(failed)
    }

    /// Whether a place is in the container's own filesystem.
    fn is_ours(&self, place: &Place, root: &Stat) -> Result<bool, Failure> {
        let parent = rustix::fs::fstat(&place.parent).map_err(|error| self.failed(error))?;
        Ok(parent.st_dev == root.st_dev)
    }

    /// Makes the mount point. That one of our own files is mounted is no change of the container's: the time of
    /// the directory stays. Somebody may kill us after it has changed: it is written down before.
    fn make(&self, place: &Place) -> Result<(), Errno> {
        if self.purpose == Purpose::Volume {
            return self.make_point(place);
        }
        let directory = open(place)?;
        let time = match kept_time(&directory)? {
            Some(time) => time,
            None => keep_time(&directory)?,
        };
        self.make_point(place)?;
        restore_time(&directory, time)
    }

    fn make_point(&self, place: &Place) -> Result<(), Errno> {
        if self.is_directory {
            return beneath::plain_directory(place.parent.as_fd(), &place.name, None);
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let file = rustix::fs::openat(&place.parent, &place.name, flags, mode)?;
        rustix::fs::fchmod(file, mode)
    }

    fn invalid(&self, why: &str) -> Failure {
        Failure::invalid(format_args!("{} cannot be a mount point in the container: {why}", self.target))
            .hint("choose another path in the container")
    }

    fn failed(&self, error: Errno) -> Failure {
        match error {
            Errno::NOTDIR => self.invalid("a part of the path is a file"),
            Errno::LOOP => self.invalid("too many links"),
            Errno::NAMETOOLONG => self.invalid("the path is too long"),
            Errno::ROFS => self.invalid("it does not exist, and what it would be in is read-only"),
            _ => Failure::io(format_args!("mounting at {} in the container", self.target), &error.into()),
        }
    }
}

/// The directory that a place is in.
fn open(place: &Place) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(&place.parent, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The time that a directory had before a mount point was made there, if somebody was cut off in between.
fn kept_time(directory: &OwnedFd) -> Result<Option<Timespec>, Errno> {
    let kept = xattrs::one_of_file(directory, KEPT_TIME)?;
    Ok(kept.and_then(|kept| {
        let (seconds, nanoseconds) = std::str::from_utf8(&kept).ok()?.split_once('.')?;
        let time = Timespec { tv_sec: seconds.parse().ok()?, tv_nsec: nanoseconds.parse().ok()? };
        (0..1_000_000_000).contains(&time.tv_nsec).then_some(time)
    }))
}

/// Writes down the time of a directory, and tells it.
fn keep_time(directory: &OwnedFd) -> Result<Timespec, Errno> {
    let stat = rustix::fs::fstat(directory)?;
    let text = format!("{}.{}", stat.st_mtime, stat.st_mtime_nsec);
    // Not to write it down is no reason not to start: a full disk says so when the mount point is made.
    let _ = rustix::fs::fsetxattr(directory, KEPT_TIME, text.as_bytes(), XattrFlags::empty());
    Ok(Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec.cast_signed() })
}

/// Gives a directory the time that it had before.
fn restore_time(directory: &OwnedFd, time: Timespec) -> Result<(), Errno> {
    let unchanged = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    rustix::fs::futimens(directory, &Timestamps { last_access: unchanged, last_modification: time })?;
    match rustix::fs::fremovexattr(directory, KEPT_TIME) {
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
        other => other,
    }
}

fn same_file(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}
