//! Finding and making things beneath a directory, as if it were `/`: whatever links there are, nothing
//! outside of it is reached.

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::{Errno, Result};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Links that may be followed on the way, as many as the kernel follows.
const MOST_LINKS: u32 = 40;
/// The kernel answers EAGAIN when something was renamed while it resolved a `..`.
const MOST_RETRIES: u32 = 64;
/// Bytes of a path that are given to the kernel at once, which takes 4095.
const LONGEST_PART: usize = 4000;
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Where a path leads: a name in an open directory, and what it names now, which is no link.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) parent: OwnedFd,
    pub(crate) name: OsString,
    pub(crate) found: Option<Stat>,
}

/// What to do where a directory is needed on the way and there is none: nothing of that name, or something
/// else. Gets the directory, the name and what is there.
pub(crate) type MakeDirectory<'a> = &'a mut dyn FnMut(BorrowedFd<'_>, &OsStr, Option<&Stat>) -> Result<()>;

/// Makes missing directories with mode 0755, and replaces nothing.
pub(crate) fn plain_directory(parent: BorrowedFd<'_>, name: &OsStr, found: Option<&Stat>) -> Result<()> {
    if found.is_some() {
        return Err(Errno::NOTDIR);
    }
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    // Not by name: a container may have put a link in its place meanwhile, which would be followed.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    rustix::fs::fchmod(made, Mode::from_raw_mode(0o755))
}

/// Opens a directory to begin from.
pub(crate) fn open_root(path: &Path) -> Result<OwnedFd> {
    rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())
}

/// Opens the directory that a path leads to, with `O_PATH`.
pub(crate) fn open_directory(root: BorrowedFd<'_>, path: &OsStr) -> Result<OwnedFd> {
    let path = if path.is_empty() { OsStr::new(".") } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..MOST_RETRIES {
        match rustix::fs::openat2(root, path, DIRECTORY, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// Opens a directory that is at this very path, through no link, to be listed. The path may be longer than
/// the kernel takes at once.
pub(crate) fn open_exact(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    const LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
    let open = |from: BorrowedFd<'_>, part: &[u8], flags: OFlags| {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        loop {
            match rustix::fs::openat2(from, OsStr::from_bytes(part), flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
    };
    let mut here: Option<OwnedFd> = None;
    let mut left = path;
    while left.len() > LONGEST_PART {
        let slash = left[..LONGEST_PART].iter().rposition(|byte| *byte == b'/').ok_or(Errno::NAMETOOLONG)?;
        here = Some(open(here.as_ref().map_or(root, AsFd::as_fd), &left[..slash], DIRECTORY)?);
        left = &left[slash + 1..];
    }
    open(here.as_ref().map_or(root, AsFd::as_fd), if left.is_empty() { b"." } else { left }, LIST)
}

/// The same, and makes what is missing on the way.
pub(crate) fn make_directories(root: BorrowedFd<'_>, path: &OsStr, make: MakeDirectory<'_>) -> Result<OwnedFd> {
    match open_directory(root, path) {
        Err(Errno::NOENT | Errno::NOTDIR) => {}
        other => return other,
    }
    let place = locate(root, path, make)?;
    match &place.found {
        Some(stat) if is_directory(stat) => {}
        found => make(place.parent.as_fd(), &place.name, found.as_ref())?,
    }
    enter(place.parent.as_fd(), &place.name)
}

/// The names from the root to the directory that a path leads to; none of them is a link or a dot.
pub(crate) fn real_path(root: BorrowedFd<'_>, path: &OsStr) -> Result<Vec<u8>> {
    let mut walk = Walk { root, way: Vec::new(), here: root.try_clone_to_owned().map_err(from_io)?, links: 0 };
    let mut left: VecDeque<OsString> = components(path).collect();
    while let Some(name) = left.pop_front() {
        match lookup(walk.here.as_fd(), &name)? {
            _ if name == ".." => walk.up()?,
            Some(stat) if is_link(&stat) => walk.follow(&name, &mut left)?,
            Some(_) => walk.down(name)?,
            None => return Err(Errno::NOENT),
        }
    }
    Ok(walk.way.iter().map(|name| name.as_bytes()).collect::<Vec<_>>().join(&b'/'))
}

/// Finds where a path leads, through all links, also through a last one that leads to nothing. Directories
/// on the way are made.
pub(crate) fn locate(root: BorrowedFd<'_>, path: &OsStr, make: MakeDirectory<'_>) -> Result<Place> {
    let mut walk = Walk { root, way: Vec::new(), here: root.try_clone_to_owned().map_err(from_io)?, links: 0 };
    let mut left: VecDeque<OsString> = components(path).collect();
    while let Some(name) = left.pop_front() {
        if name == ".." {
            walk.up()?;
            continue;
        }
        let found = lookup(walk.here.as_fd(), &name)?;
        match &found {
            Some(stat) if is_link(stat) => walk.follow(&name, &mut left)?,
            _ if left.is_empty() => return Ok(Place { parent: walk.here, name, found }),
            Some(stat) if is_directory(stat) => walk.down(name)?,
            _ => {
                make(walk.here.as_fd(), &name, found.as_ref())?;
                walk.down(name)?;
            }
        }
    }
    let found = Some(rustix::fs::fstat(&walk.here)?);
    Ok(Place { parent: walk.here, name: ".".into(), found })
}

/// What has this name in a directory: links are not followed.
pub(crate) fn lookup(parent: BorrowedFd<'_>, name: &OsStr) -> Result<Option<Stat>> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether this is a directory.
pub(crate) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

fn enter(parent: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd> {
    rustix::fs::openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

fn components(path: &OsStr) -> impl DoubleEndedIterator<Item = OsString> {
    path.as_bytes()
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(|name| OsStr::from_bytes(name).to_owned())
}

fn from_io(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// A walk beneath a root, which holds one directory open however deep it is.
struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// Names from the root to `here`; none of them is a link.
    way: Vec<OsString>,
    here: OwnedFd,
    links: u32,
}

impl Walk<'_> {
    fn down(&mut self, name: OsString) -> Result<()> {
        self.here = enter(self.here.as_fd(), &name)?;
        self.way.push(name);
        Ok(())
    }

    /// Above the root is the root.
    fn up(&mut self) -> Result<()> {
        self.way.pop();
        let way: Vec<&[u8]> = self.way.iter().map(|name| name.as_bytes()).collect();
        self.here = open_directory(self.root, OsStr::from_bytes(&way.join(&b'/')))?;
        Ok(())
    }

    /// Replaces a link by the names in its target, which are to be walked next.
    fn follow(&mut self, link: &OsStr, left: &mut VecDeque<OsString>) -> Result<()> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Errno::LOOP);
        }
        let target = OsString::from_vec(rustix::fs::readlinkat(&self.here, link, Vec::new())?.into_bytes());
        if target.as_bytes().starts_with(b"/") {
            self.way.clear();
            self.here = open_directory(self.root, OsStr::new(""))?;
        }
        components(&target).rev().for_each(|name| left.push_front(name));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::{MetadataExt, symlink};

    /// A root with a secret beside it.
    fn root() -> (tempfile::TempDir, OwnedFd) {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir_all(outer.path().join("root/a/b")).unwrap();
        fs::create_dir(outer.path().join("secret")).unwrap();
        let fd = open_root(&outer.path().join("root")).unwrap();
        (outer, fd)
    }

    fn same(fd: &OwnedFd, path: &Path) -> bool {
        let (one, other) = (rustix::fs::fstat(fd).unwrap(), fs::metadata(path).unwrap());
        one.st_ino == other.ino()
    }

    #[test]
    fn links_and_dots_stay_beneath_the_root() {
        let (outer, fd) = root();
        let inside = outer.path().join("root");
        symlink("/a", inside.join("absolute")).unwrap();
        symlink("../../../../a/b", inside.join("a/up")).unwrap();
        symlink("../secret", inside.join("out")).unwrap();
        for (path, leads_to) in [("absolute/b", "a/b"), ("a/up", "a/b"), ("../../a", "a"), ("", ""), ("a/b/../..", "")]
        {
            assert!(same(&open_directory(fd.as_fd(), OsStr::new(path)).unwrap(), &inside.join(leads_to)), "{path}");
            let place = locate(fd.as_fd(), OsStr::new(path), &mut plain_directory).unwrap();
            let found = enter(place.parent.as_fd(), &place.name).unwrap();
            assert!(same(&found, &inside.join(leads_to)), "{path}");
        }
        assert_eq!(open_directory(fd.as_fd(), OsStr::new("out")).unwrap_err(), Errno::NOENT);
        let made = make_directories(fd.as_fd(), OsStr::new("out/x"), &mut plain_directory).unwrap();
        assert!(same(&made, &inside.join("secret/x")));
        assert_eq!(fs::read_dir(outer.path().join("secret")).unwrap().count(), 0);
    }

    #[test]
    fn a_dangling_link_is_followed_to_where_it_may_be_made() {
        let (outer, fd) = root();
        fs::create_dir(outer.path().join("root/etc")).unwrap();
        symlink("../run/resolve/stub.conf", outer.path().join("root/etc/resolv.conf")).unwrap();
        let place = locate(fd.as_fd(), OsStr::new("/etc/resolv.conf"), &mut plain_directory).unwrap();
        assert!(place.found.is_none());
        assert_eq!(place.name, "stub.conf");
        assert!(same(&place.parent, &outer.path().join("root/run/resolve")));
    }

    #[test]
    fn loops_end_and_files_are_no_directories() {
        let (outer, fd) = root();
        symlink("two", outer.path().join("root/one")).unwrap();
        symlink("one", outer.path().join("root/two")).unwrap();
        fs::write(outer.path().join("root/file"), "").unwrap();
        let make = |path: &str| make_directories(fd.as_fd(), OsStr::new(path), &mut plain_directory).unwrap_err();
        assert_eq!(make("one/x"), Errno::LOOP);
        assert_eq!(make("file/x"), Errno::NOTDIR);
        assert_eq!(make("file"), Errno::NOTDIR);
    }

    proptest! {
        #[test]
        fn no_path_and_no_link_leads_out(
            links in proptest::collection::vec(("[ab]", "(/|\\.\\./)?([abc]|\\.\\.)(/([abc]|\\.\\.)){0,3}"), 0..4),
            path in "/?([abc]|\\.\\.)(/([abc]|\\.\\.)){0,5}",
        ) {
            let (outer, fd) = root();
            let inside = outer.path().join("root");
            for (name, target) in &links {
                // Two links of one name, or a link in the place of `a`: the first stays.
                let _taken = symlink(target, inside.join(name)).or_else(|_| symlink(target, inside.join("a").join(name)));
            }
            if let Ok(place) = locate(fd.as_fd(), OsStr::new(&path), &mut plain_directory) {
                let parent = fs::read_link(format!("/proc/self/fd/{}", place.parent.as_raw_fd())).unwrap();
                prop_assert!(parent.starts_with(&inside), "{parent:?}");
                prop_assert!(place.name != "..");
            }
            prop_assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 2);
            prop_assert_eq!(fs::read_dir(outer.path().join("secret")).unwrap().count(), 0);
        }
    }

    #[test]
    fn depth_costs_no_descriptors() {
        let (_outer, fd) = root();
        let deep = "d/".repeat(1800);
        assert!(make_directories(fd.as_fd(), OsStr::new(&deep), &mut plain_directory).is_ok());
    }
}
