//! Making what an archive describes.

use super::attributes::{make_opaque, set, set_at, set_new, set_time, set_time_of};
use super::service::Service;
use super::unreadable;
use crate::beneath::{self, is_directory, lookup};
use crate::ids::attribute_outside;
use crate::{trash, walk};
use layer_archive::{Kind, Member, MemberPath, Members, Piece, Whiteout};
use rustix::fs::{AtFlags, Dev, FileType, Mode, OFlags, Stat, makedev};
use rustix::io::{Errno, Result as OsResult};
use schema::Failure;
use schema::common::IdRange;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

const CHUNK: usize = 256 << 10;

/// What an archive is unpacked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A layer: whiteouts have their meaning, and a later member of a name takes the place of an earlier one.
    Layer,
    /// Files for a tree that exists. A directory and anything else do not take each other's place.
    Files {
        /// Where in the tree.
        below: MemberPath,
        /// Whether files belong to whom the archive says, or to root.
        keep_owner: bool,
        /// What the tree shows for the ids of the archive, if other ones.
        ids: Option<IdRange>,
    },
}

/// A directory that is being filled.
pub(super) struct Extractor<'s> {
    root: OwnedFd,
    /// Whom to ask for what it cannot do.
    service: &'s Service,
    purpose: Purpose,
    /// The directory that the last member was put in: the next one is likely to go there too.
    last: Option<(MemberPath, Rc<OwnedFd>)>,
    /// Directories get their time when nothing is put into them any more.
    times: HashMap<MemberPath, (i64, u32)>,
    buffer: Vec<u8>,
}

impl<'s> Extractor<'s> {
    /// Fills this directory, which is empty, with a layer.
    pub(super) fn layer(root: OwnedFd, service: &'s Service) -> Result<Self, Failure> {
        rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755))
            .map_err(|error| Failure::io("preparing the layer's directory", &error.into()))?;
        Ok(Self::new(root, Purpose::Layer, service))
    }

    /// Adds to the tree beneath this root.
    pub(super) fn files(
        root: OwnedFd,
        below: MemberPath,
        keep_owner: bool,
        ids: Option<IdRange>,
        service: &'s Service,
    ) -> Self {
        Self::new(root, Purpose::Files { below, keep_owner, ids }, service)
    }

    fn new(root: OwnedFd, purpose: Purpose, service: &'s Service) -> Self {
        Self { root, service, purpose, last: None, times: HashMap::new(), buffer: vec![0; CHUNK] }
    }

    /// Makes a member. Its data is read from `members`.
    pub(super) fn add<R: Read>(&mut self, mut member: Member, members: &mut Members<R>) -> Result<(), Failure> {
        if let Purpose::Files { below, keep_owner, ids } = &self.purpose {
            // The directory that is filled stays as it is.
            if member.path.is_root() {
                return Ok(());
            }
            member.path = member.path.below(below);
            if let Kind::HardLink(target) = &mut member.kind {
                *target = target.below(below);
            }
            if !keep_owner {
                (member.uid, member.gid) = (0, 0);
            }
            if let Some(ids) = *ids {
                show(ids, &mut member)?;
            }
        } else {
            match member.path.whiteout().map_err(unreadable)? {
                Some(Whiteout::Bookkeeping) => return Ok(()),
                Some(Whiteout::Hide(path)) => return self.hide(&path).map_err(|error| failed(&path, error)),
                Some(Whiteout::Opaque(path)) => return self.opaque(&path).map_err(|error| failed(&path, error)),
                None => {}
            }
        }
        match &member.kind {
            Kind::File => self.file(&member, &[Piece { offset: 0, length: member.size }], members),
            Kind::Sparse(pieces) => self.file(&member, pieces, members),
            _ => self.special(&member).map_err(|error| failed(&member.path, error)),
        }
    }

    /// Sets the times of all directories.
    pub(super) fn finish(self) -> Result<(), Failure> {
        for (path, time) in &self.times {
            match self.directory_time(path, *time) {
                // It was replaced by something else.
                Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(failed(path, error)),
            }
        }
        Ok(())
    }

    fn directory_time(&self, path: &MemberPath, time: (i64, u32)) -> OsResult<()> {
        let Some((parent, name)) = path.split() else { return set_time_of(&self.root, time) };
        let parent = beneath::open_directory(self.root.as_fd(), parent.as_os_str())?;
        match lookup(parent.as_fd(), name)? {
            Some(stat) if is_directory(&stat) => set_time(parent.as_fd(), name, time),
            _ => Ok(()),
        }
    }

    /// A regular file, of which only the pieces are in the archive.
    fn file<R: Read>(&mut self, member: &Member, pieces: &[Piece], members: &mut Members<R>) -> Result<(), Failure> {
        let of_member = |error| failed(&member.path, error);
        let file = File::from(self.new_file(member).map_err(of_member)?);
        let writing = |error: std::io::Error| Failure::io(format_args!("writing {}", member.path), &error);
        for piece in pieces {
            let (mut at, end) = (piece.offset, piece.offset.saturating_add(piece.length));
            while at < end {
                let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
                let count = members.read(&mut self.buffer[..wanted]).map_err(unreadable)?;
                file.write_all_at(&self.buffer[..count], at).map_err(writing)?;
                at += count as u64;
            }
        }
        if matches!(member.kind, Kind::Sparse(_)) {
            rustix::fs::ftruncate(&file, member.size).map_err(of_member)?;
        }
        let set = if self.purpose == Purpose::Layer { set_new } else { set };
        set(file.as_fd(), member, self.service).and_then(|()| set_time_of(&file, member.mtime)).map_err(of_member)
    }

    /// An empty file, in the place of what may be there.
    fn new_file(&mut self, member: &Member) -> OsResult<OwnedFd> {
        let (parent, name) = member.path.split().ok_or(Errno::ISDIR)?;
        let parent = self.parent(&parent)?;
        // Nobody sees a layer before it is whole: its files have their modes from the beginning.
        let mode = if self.purpose == Purpose::Layer { member.mode & 0o777 } else { 0o600 };
        let make = || {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&*parent, name, flags, Mode::from_raw_mode(mode))
        };
        // It is rare that something is in its place.
        match make() {
            Err(Errno::EXIST) => {
                self.clear(parent.as_fd(), name)?;
                make()
            }
            made => made,
        }
    }

    fn special(&mut self, member: &Member) -> OsResult<()> {
        let path = &member.path;
        match &member.kind {
            Kind::Directory => self.directory(member),
            Kind::HardLink(target) => self.hard_link(path, target),
            Kind::Symlink(target) => {
                let (parent, name) = self.place(path)?;
                rustix::fs::symlinkat(target.as_slice(), &*parent, &name)?;
                set_at(parent.as_fd(), &name, member, true, self.service)
            }
            Kind::Character(major, minor) => self.node(member, FileType::CharacterDevice, makedev(*major, *minor)),
            Kind::Block(major, minor) => self.node(member, FileType::BlockDevice, makedev(*major, *minor)),
            Kind::Fifo => self.node(member, FileType::Fifo, 0),
            // Made by `file`.
            Kind::File | Kind::Sparse(_) => Ok(()),
        }
    }

    fn directory(&mut self, member: &Member) -> OsResult<()> {
        let Some((parent, name)) = member.path.split() else {
            self.times.insert(member.path.clone(), member.mtime);
            return set(self.root.as_fd(), member, self.service);
        };
        let parent = self.parent(&parent)?;
        let found = lookup(parent.as_fd(), name)?;
        if !found.as_ref().is_some_and(is_directory) {
            self.last = None;
            make_directory(parent.as_fd(), name, found.as_ref(), self.purpose == Purpose::Layer, self.service)?;
        }
        set(open_to_change(parent.as_fd(), name)?.as_fd(), member, self.service)?;
        self.times.insert(member.path.clone(), member.mtime);
        Ok(())
    }

    fn node(&mut self, member: &Member, kind: FileType, device: Dev) -> OsResult<()> {
        let (parent, name) = self.place(&member.path)?;
        rustix::fs::mknodat(&*parent, &name, kind, Mode::from_raw_mode(0o600), device)?;
        set_at(parent.as_fd(), &name, member, false, self.service)
    }

    /// Attributes belong to what is linked, and were set with it.
    fn hard_link(&mut self, path: &MemberPath, target: &MemberPath) -> OsResult<()> {
        let (from, from_name) = target.split().ok_or(Errno::PERM)?;
        let from = beneath::open_directory(self.root.as_fd(), from.as_os_str())?;
        let linked = lookup(from.as_fd(), from_name)?.ok_or(Errno::NOENT)?;
        if is_directory(&linked) {
            return Err(Errno::ISDIR);
        }
        let (parent, name) = path.split().ok_or(Errno::EXIST)?;
        let parent = self.parent(&parent)?;
        if lookup(parent.as_fd(), name)?.is_some_and(|there| same_file(&there, &linked)) {
            return Ok(());
        }
        self.clear(parent.as_fd(), name)?;
        rustix::fs::linkat(&from, from_name, &*parent, name, AtFlags::empty())
    }

    /// A whiteout is a character device 0/0 to overlayfs. It concerns lower layers only: what this layer
    /// itself has there stays.
    fn hide(&mut self, path: &MemberPath) -> OsResult<()> {
        let (parent, name) = path.split().ok_or(Errno::INVAL)?;
        let parent = self.parent(&parent)?;
        match lookup(parent.as_fd(), name)? {
            None => rustix::fs::mknodat(&*parent, name, FileType::CharacterDevice, Mode::empty(), 0),
            Some(stat) if is_directory(&stat) => make_opaque(open_to_change(parent.as_fd(), name)?, self.service),
            Some(_) => Ok(()),
        }
    }

    fn opaque(&mut self, path: &MemberPath) -> OsResult<()> {
        let Some((parent, name)) = path.split() else { return make_opaque(&self.root, self.service) };
        // Makes the directory if this is the first that is said of it.
        self.parent(path)?;
        let parent = self.parent(&parent)?;
        make_opaque(open_to_change(parent.as_fd(), name)?, self.service)
    }

    /// Where a member that is no directory is to be made: nothing is there any more.
    fn place(&mut self, path: &MemberPath) -> OsResult<(Rc<OwnedFd>, OsString)> {
        let (parent, name) = path.split().ok_or(Errno::ISDIR)?;
        let parent = self.parent(&parent)?;
        self.clear(parent.as_fd(), name)?;
        Ok((parent, name.to_owned()))
    }

    fn clear(&mut self, parent: BorrowedFd<'_>, name: &OsStr) -> OsResult<()> {
        match lookup(parent, name)? {
            None => Ok(()),
            Some(stat) if is_directory(&stat) && self.purpose != Purpose::Layer => Err(Errno::ISDIR),
            Some(stat) if is_directory(&stat) => {
                self.last = None;
                trash::remove_tree(parent, name)
            }
            Some(_) => {
                // It may have been a link on the way to the directory that is remembered.
                self.last = None;
                rustix::fs::unlinkat(parent, name, AtFlags::empty())
            }
        }
    }

    /// A directory for members, made if the archive did not.
    fn parent(&mut self, path: &MemberPath) -> OsResult<Rc<OwnedFd>> {
        match &self.last {
            Some((known, directory)) if known == path => Ok(Rc::clone(directory)),
            _ => {
                let service = self.service;
                let mut make = |parent: BorrowedFd<'_>, name: &OsStr, found: Option<&Stat>| {
                    make_directory(parent, name, found, false, service)
                };
                let directory = beneath::make_directories(self.root.as_fd(), path.as_os_str(), &mut make)?;
                if self.purpose != Purpose::Layer && walk::is_kernels(directory.as_fd())? {
                    return Err(Errno::OPNOTSUPP);
                }
                let directory = Rc::new(directory);
                self.last = Some((path.clone(), Rc::clone(&directory)));
                Ok(directory)
            }
        }
    }
}

/// Has a member say what the tree is to show.
fn show(ids: IdRange, member: &mut Member) -> Result<(), Failure> {
    let outside = |id: u32| {
        ids.outside(id).ok_or_else(|| {
            let (path, greatest) = (&member.path, IdRange::SIZE - 1);
            Failure::invalid(format_args!(
                "member {path}: it belongs to {id}, and the container has ids 0 to {greatest}"
            ))
            .hint("leave out -a: the files become root's")
        })
    };
    (member.uid, member.gid) = (outside(member.uid)?, outside(member.gid)?);
    for (name, value) in &mut member.xattrs {
        *value = attribute_outside(Some(ids), name, std::mem::take(value));
    }
    Ok(())
}

/// Makes a directory in the place of nothing, or of a whiteout, which makes it opaque: the lower layers'
/// directory of this name stays hidden. In the place of anything else only if `replace` says so.
fn make_directory(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    found: Option<&Stat>,
    replace: bool,
    service: &Service,
) -> OsResult<()> {
    let hidden = found.is_some_and(is_whiteout);
    if found.is_some() {
        if !hidden && !replace {
            return Err(Errno::NOTDIR);
        }
        rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
    }
    beneath::plain_directory(parent, name, None)?;
    if hidden { make_opaque(open_to_change(parent, name)?, service) } else { Ok(()) }
}

/// A directory, opened so that its attributes can be set.
fn open_to_change(parent: BorrowedFd<'_>, name: &OsStr) -> OsResult<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn same_file(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// What an error of the system means for a member: most say that the archive contradicts itself.
fn failed(path: &MemberPath, error: Errno) -> Failure {
    let invalid = |why: &str| Failure::invalid(format_args!("member {path}: {why}"));
    match error {
        Errno::NOTDIR => invalid("what should be its directory is none"),
        Errno::NOENT => invalid("what it links to is not there"),
        Errno::LOOP => invalid("too many links on the way to it"),
        Errno::ISDIR | Errno::EXIST => invalid("a directory is in its place"),
        Errno::NAMETOOLONG => invalid("its name is too long for the filesystem"),
        Errno::INVAL | Errno::FBIG => invalid("the filesystem cannot hold it"),
        Errno::TOOBIG => invalid("the filesystem cannot hold its extended attributes"),
        Errno::PERM => invalid("the kernel does not permit it"),
        Errno::XDEV => invalid("it is a link to a file of another filesystem"),
        Errno::MLINK => invalid("the filesystem has no more links for one file"),
        Errno::OPNOTSUPP => invalid("its directory shows the kernel's state, it is not for files"),
        Errno::ROFS => invalid("its directory is read-only"),
        _ => Failure::io(format_args!("making {path}"), &error.into()),
    }
}
