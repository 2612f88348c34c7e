//! Walking a tree in the byte order of its paths' components: a directory before what is in it.
//!
//! The walk can begin behind any path, so that whoever was interrupted goes on from the last path it knows.
//! The tree may be changed by a container meanwhile: what has gone is passed over, no link is followed, and
//! nothing outside the tree is reached.

use crate::beneath::{self, is_directory, lookup};
use rustix::fs::{Dir, Mode, OFlags, Stat};
use rustix::io::{Errno, Result as OsResult};
use schema::Failure;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

/// Directories on the way that are kept open; deeper ones are opened again when they are needed.
const MOST_OPEN: usize = 16;
/// How a directory is opened to be listed.
pub(crate) const LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Something in the tree.
#[derive(Debug)]
pub(crate) struct Entry {
    /// From the top of the walk: without a leading slash.
    pub(crate) path: Vec<u8>,
    pub(crate) parent: Arc<OwnedFd>,
    pub(crate) name: OsString,
    /// None: only [`More`] names it.
    pub(crate) found: Option<Stat>,
}

/// Names further entries of a directory, by its path.
pub(crate) type More = Box<dyn FnMut(&[u8]) -> OsResult<Vec<OsString>> + Send>;

/// The walk.
pub(crate) struct Walk {
    top: Arc<OwnedFd>,
    /// Of the directory whose entries are being given.
    path: Vec<u8>,
    frames: Vec<Frame>,
    more: Option<More>,
}

/// A directory on the way.
struct Frame {
    /// Of its path.
    length: usize,
    identity: (u64, u64),
    directory: Option<Arc<OwnedFd>>,
    names: std::vec::IntoIter<OsString>,
}

impl Walk {
    /// Of all that is in a directory, or of what comes after a path in it.
    pub(crate) fn new(top: BorrowedFd<'_>, after: &[u8], more: Option<More>) -> Result<Self, Failure> {
        let failed = |error: Errno| Failure::io("listing the container's files", &error.into());
        let top = Arc::new(beneath::open_exact(top, b"").map_err(failed)?);
        let mut walk = Self { top: Arc::clone(&top), path: Vec::new(), frames: Vec::new(), more };
        walk.enter(&[], top).map_err(failed)?;
        for name in after.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let Some(frame) = walk.frames.last_mut() else { break };
            let passed = frame.names.as_slice().partition_point(|known| known.as_bytes() <= name);
            drop(frame.names.by_ref().take(passed).last());
            let parent = frame.directory.clone();
            let opened = parent.map(|parent| open(parent.as_fd(), OsStr::from_bytes(name)));
            match opened.transpose().map(Option::flatten).map_err(failed)? {
                Some(directory) => walk.enter(name, directory).map_err(failed)?,
                None => break,
            }
        }
        Ok(walk)
    }

    /// The next entry; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Failure> {
        loop {
            let Some(frame) = self.frames.last_mut() else { return Ok(None) };
            match frame.names.next() {
                Some(name) => {
                    if let Some(entry) = self.visit(name).map_err(|error| self.failed(error))? {
                        return Ok(Some(entry));
                    }
                }
                None => self.leave().map_err(|error| self.failed(error))?,
            }
        }
    }

    fn failed(&self, error: Errno) -> Failure {
        Failure::io(format_args!("reading what is in /{}", self.path.escape_ascii()), &error.into())
    }

    fn visit(&mut self, name: OsString) -> OsResult<Option<Entry>> {
        let Some(parent) = self.frames.last().and_then(|frame| frame.directory.clone()) else { return Ok(None) };
        let found = lookup(parent.as_fd(), &name)?;
        if found.is_none() && self.more.is_none() {
            return Ok(None);
        }
        let mut path = self.path.clone();
        extend(&mut path, name.as_bytes());
        if found.as_ref().is_some_and(is_directory) {
            match open(parent.as_fd(), &name)? {
                Some(directory) => self.enter(name.as_bytes(), directory)?,
                // It was replaced meanwhile.
                None => return Ok(None),
            }
        }
        Ok(Some(Entry { path, parent, name, found }))
    }

    /// Goes into a directory of the current one; the top has no name.
    fn enter(&mut self, name: &[u8], directory: Arc<OwnedFd>) -> OsResult<()> {
        extend(&mut self.path, name);
        let stat = rustix::fs::fstat(&directory)?;
        let mut names =
            if !name.is_empty() && is_kernels(directory.as_fd())? { Vec::new() } else { names(directory.as_fd())? };
        if let Some(more) = &mut self.more {
            names.extend(more(&self.path)?);
        }
        names.sort_unstable();
        names.dedup();
        let depth = self.frames.len();
        if let Some(above) = self.frames.last_mut().filter(|_| depth > MOST_OPEN) {
            above.directory = None;
        }
        let frame = Frame {
            length: self.path.len(),
            identity: (stat.st_dev, stat.st_ino),
            directory: Some(directory),
            names: names.into_iter(),
        };
        self.frames.push(frame);
        Ok(())
    }

    /// Goes back to the directory above. If that is no longer there, nothing more of it is given.
    fn leave(&mut self) -> OsResult<()> {
        let left = self.frames.pop();
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        self.path.truncate(frame.length);
        if frame.directory.is_none() {
            let above = left.and_then(|left| left.directory).and_then(|below| above(below.as_fd(), frame.identity));
            frame.directory = match above {
                Some(above) => Some(Arc::new(above)),
                None => existing(beneath::open_exact(self.top.as_fd(), &self.path))?.map(Arc::new),
            };
        }
        Ok(())
    }
}

/// The directory above, if it still is the one that is meant.
fn above(below: BorrowedFd<'_>, identity: (u64, u64)) -> Option<OwnedFd> {
    let above = rustix::fs::openat(below, "..", LIST, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&above).ok()?;
    ((stat.st_dev, stat.st_ino) == identity).then_some(above)
}

/// A directory in a directory; none if it is gone or something else.
fn open(parent: BorrowedFd<'_>, name: &OsStr) -> OsResult<Option<Arc<OwnedFd>>> {
    Ok(existing(rustix::fs::openat(parent, name, LIST, Mode::empty()))?.map(Arc::new))
}

fn existing<T>(result: OsResult<T>) -> OsResult<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error),
    }
}

fn extend(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() && !name.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// Whether a directory shows the kernel's state (/proc, /sys), not files.
pub(crate) fn is_kernels(directory: BorrowedFd<'_>) -> OsResult<bool> {
    // linux/magic.h: proc, sysfs, cgroup, cgroup2, debugfs, tracefs, securityfs, bpf, efivarfs, configfs,
    // selinux, devpts, mqueue.
    const MAGIC: [i64; 13] = [
        0x9fa0,
        0x6265_6572,
        0x0027_e0eb,
        0x6367_7270,
        0x6462_6720,
        0x7472_6163,
        0x7363_6673,
        0xcafe_4a11,
        0xde5e_81e4,
        0x6265_6570,
        0xf97c_ff8c,
        0x1cd1,
        0x1980_0202,
    ];
    let kind = rustix::fs::fstatfs(directory)?.f_type;
    #[allow(clippy::unnecessary_cast)] // its type depends on the machine
    Ok(MAGIC.contains(&(kind as i64)))
}

/// What is in a directory, in no order.
pub(crate) fn names(directory: BorrowedFd<'_>) -> OsResult<Vec<OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut names = Vec::new();
    for entry in Dir::new(rustix::fs::openat(directory, OsStr::new("."), flags, Mode::empty())?)? {
        let entry = entry?;
        match entry.file_name().to_bytes() {
            b"." | b".." => {}
            name => names.push(OsString::from_vec(name.to_vec())),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::path::Path;

    fn paths(root: &Path, after: &str) -> Vec<String> {
        let top = beneath::open_root(root).unwrap();
        let mut walk = Walk::new(top.as_fd(), after.as_bytes(), None).unwrap();
        let mut all = Vec::new();
        while let Some(entry) = walk.next().unwrap() {
            all.push(String::from_utf8(entry.path).unwrap());
        }
        all
    }

    #[test]
    fn paths_come_in_the_order_of_their_components() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::create_dir(root.path().join("a-")).unwrap();
        for file in ["a/b/x", "a/c", "a-/z", "b"] {
            fs::write(root.path().join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("..", root.path().join("up")).unwrap();
        let all = ["a", "a/b", "a/b/x", "a/c", "a-", "a-/z", "b", "up"];
        assert_eq!(paths(root.path(), ""), all);
        for (count, after) in all.iter().enumerate() {
            assert_eq!(paths(root.path(), after), all[count + 1..], "{after}");
        }
        // What is not there, or no longer a directory, is a place too.
        assert_eq!(paths(root.path(), "a/b/w"), all[2..]);
        assert_eq!(paths(root.path(), "a/c/gone"), all[4..]);
        assert_eq!(paths(root.path(), "zz"), [""; 0]);
    }

    #[test]
    fn depth_costs_no_descriptors() {
        let root = tempfile::tempdir().unwrap();
        let mut at = beneath::open_root(root.path()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, "d", Mode::from_raw_mode(0o700)).unwrap();
            rustix::fs::mkdirat(&at, "e", Mode::from_raw_mode(0o700)).unwrap();
            at = rustix::fs::openat(&at, "d", LIST, Mode::empty()).unwrap();
        }
        let top = beneath::open_root(root.path()).unwrap();
        let mut walk = Walk::new(top.as_fd(), b"", None).unwrap();
        let mut count = 0;
        while walk.next().unwrap().is_some() {
            count += 1;
            assert!(walk.frames.iter().filter(|frame| frame.directory.is_some()).count() < 70);
        }
        assert_eq!(count, 6000);
        crate::trash::remove_tree(top.as_fd(), OsStr::new("d")).unwrap();
    }

    proptest! {
        #[test]
        fn an_interrupted_walk_goes_on(files in proptest::collection::vec("[a-c]{1,2}(/[a-c]{1,2}){0,3}", 1..12)) {
            let root = tempfile::tempdir().unwrap();
            for file in &files {
                // Something may be both a file and a directory: the first counts.
                let path = root.path().join(file);
                let _taken = fs::create_dir_all(path.parent().unwrap()).and_then(|()| fs::write(path, ""));
            }
            let all = paths(root.path(), "");
            for (count, after) in all.iter().enumerate() {
                prop_assert_eq!(&paths(root.path(), after)[..], &all[count + 1..]);
            }
        }
    }
}
