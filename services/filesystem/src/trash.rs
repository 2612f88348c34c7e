//! Removing trees, however deep and whatever their modes: a container may have made them to be in the way.

use crate::beneath;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::{Errno, Result as OsResult};
use schema::Failure;
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory for what is to be removed. What has been moved there is gone for everybody else.
#[derive(Debug)]
pub(crate) struct Trash {
    directory: PathBuf,
    next: AtomicU64,
}

impl Trash {
    /// Opens or makes it, on the filesystem of what will be moved there.
    pub(crate) fn open(directory: PathBuf) -> Result<Self, Failure> {
        fs::create_dir_all(&directory)
            .map_err(|error| Failure::io(format_args!("making {}", directory.display()), &error))?;
        // Names of a process that was killed must not be in the way.
        let first = kit::process::now().cast_unsigned();
        Ok(Self { directory, next: AtomicU64::new(first) })
    }

    /// Moves something here, and tells where it is now; none if it was not there.
    pub(crate) fn take(&self, path: &Path) -> Result<Option<Taken>, Failure> {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        match fs::rename(path, self.directory.join(&name)) {
            Ok(()) => Ok(Some(Taken(name.into()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::io(format_args!("moving {} away", path.display()), &error)),
        }
    }

    /// All that is here. To be asked before anything is removed on another thread.
    pub(crate) fn left(&self) -> Result<Vec<Taken>, Failure> {
        let failed = |error| Failure::io(format_args!("reading {}", self.directory.display()), &error);
        let entries = fs::read_dir(&self.directory).map_err(failed)?;
        entries.map(|entry| Ok(Taken(entry.map_err(failed)?.file_name()))).collect()
    }

    /// Removes what was moved here.
    pub(crate) fn remove(&self, taken: &Taken) -> Result<(), Failure> {
        beneath::open_root(&self.directory).and_then(|directory| remove_tree(directory.as_fd(), &taken.0)).map_err(
            |error| Failure::io(format_args!("removing {}", self.directory.join(&taken.0).display()), &error.into()),
        )
    }

    /// Moves something here and removes it; done also if it is not there.
    pub(crate) fn discard(&self, path: &Path) -> Result<(), Failure> {
        self.take(path)?.map_or(Ok(()), |taken| self.remove(&taken))
    }
}

/// Something in the trash, by its name there.
#[derive(Debug)]
pub(crate) struct Taken(OsString);

/// Removes a directory and all that is in it; done also if it is gone. Directories in it that are not empty
/// are moved to its top and removed from there, so depth costs neither stack nor descriptors.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: &OsStr) -> OsResult<()> {
    let mut top = match open(parent, name) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => return gone(rustix::fs::unlinkat(parent, name, AtFlags::empty())),
        other => other?,
    };
    let mut moved: u64 = 0;
    loop {
        let below = entries(&mut top)?;
        for (child, kind) in &below {
            let child = OsStr::from_bytes(child.as_bytes());
            if *kind == FileType::Directory {
                flatten(top.fd()?, child, &mut moved)?;
            } else {
                gone(rustix::fs::unlinkat(top.fd()?, child, AtFlags::empty()))?;
            }
        }
        match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            // What was moved here meanwhile comes next.
            Err(Errno::NOTEMPTY | Errno::EXIST) if !below.is_empty() => top.rewind(),
            other => return gone(other),
        }
    }
}

/// Removes a directory at the top; what it has in it that is not empty becomes a directory at the top.
fn flatten(top: BorrowedFd<'_>, name: &OsStr, moved: &mut u64) -> OsResult<()> {
    let mut directory = match open(top, name) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    for (child, kind) in entries(&mut directory)? {
        let child = OsStr::from_bytes(child.as_bytes());
        if kind != FileType::Directory {
            gone(rustix::fs::unlinkat(directory.fd()?, child, AtFlags::empty()))?;
            continue;
        }
        match rustix::fs::unlinkat(directory.fd()?, child, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => move_up(directory.fd()?, child, top, moved)?,
            other => gone(other)?,
        }
    }
    gone(rustix::fs::unlinkat(top, name, AtFlags::REMOVEDIR))
}

fn move_up(from: BorrowedFd<'_>, name: &OsStr, top: BorrowedFd<'_>, moved: &mut u64) -> OsResult<()> {
    loop {
        let free = format!(".removing-{moved}");
        *moved += 1;
        match rustix::fs::renameat_with(from, name, top, free.as_str(), rustix::fs::RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            other => return gone(other),
        }
    }
}

/// Somebody else who removed it first did what was wanted.
fn gone(result: OsResult<()>) -> OsResult<()> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn open(parent: BorrowedFd<'_>, name: &OsStr) -> OsResult<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Dir::new(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// Names and types in a directory; none if it is gone.
fn entries(directory: &mut Dir) -> OsResult<Vec<(CString, FileType)>> {
    let mut all = Vec::new();
    while let Some(entry) = directory.read() {
        let entry = match entry {
            Err(Errno::NOENT) => break,
            other => other?,
        };
        let name = entry.file_name();
        match name.to_bytes() {
            b"." | b".." => {}
            bytes => {
                let kind = kind(directory.fd()?, OsStr::from_bytes(bytes), entry.file_type())?;
                all.push((name.to_owned(), kind));
            }
        }
    }
    Ok(all)
}

/// Some filesystems do not tell the type with the name.
fn kind(directory: BorrowedFd<'_>, name: &OsStr, told: FileType) -> OsResult<FileType> {
    if told != FileType::Unknown {
        return Ok(told);
    }
    let found = beneath::lookup(directory, name)?;
    Ok(found.map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn trash() -> (tempfile::TempDir, Trash) {
        let state = tempfile::tempdir().unwrap();
        let trash = Trash::open(state.path().join("trash")).unwrap();
        (state, trash)
    }

    #[test]
    fn trees_are_removed_whatever_is_in_them() {
        let (state, trash) = trash();
        let (tree, kept) = (state.path().join("tree"), state.path().join("kept"));
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::create_dir_all(tree.join(".removing-0/x")).unwrap();
        fs::write(tree.join("a/b/file"), "x").unwrap();
        fs::write(&kept, "x").unwrap();
        symlink(&kept, tree.join("a/link")).unwrap();
        fs::set_permissions(tree.join("a/b/c"), fs::Permissions::from_mode(0o0)).unwrap();
        trash.discard(&tree).unwrap();
        trash.discard(&tree).unwrap();
        assert_eq!(fs::read_dir(state.path().join("trash")).unwrap().count(), 0);
        assert!(kept.exists() && !tree.exists());
    }

    #[test]
    fn depth_costs_neither_stack_nor_descriptors() {
        let (state, trash) = trash();
        let mut at = beneath::open_root(state.path()).unwrap();
        for name in std::iter::once("tree").chain(std::iter::repeat_n("d", 3000)) {
            rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o700)).unwrap();
            at = rustix::fs::openat(&at, name, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        drop(at);
        trash.take(&state.path().join("tree")).unwrap();
        for taken in trash.left().unwrap() {
            trash.remove(&taken).unwrap();
        }
        assert_eq!(fs::read_dir(state.path().join("trash")).unwrap().count(), 0);
    }
}
