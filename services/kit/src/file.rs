//! Files that are whole or absent.

use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The ending of files that are being written. Whoever owns a directory removes them on start.
pub const TEMPORARY: &str = ".tmp";

/// Replaces a file's content so that a reader, also after a power cut, sees the old or the new content whole.
pub fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let write = |temporary: &Path| {
        let mut file = private(temporary)?;
        file.write_all(content)?;
        file.sync_all()
    };
    replace(path, write, take_name)?;
    sync_parent(path)
}

/// Replaces a file's content so that a reader sees the old or the new content whole. What is written
/// survives the process, not a power cut, which may take the old content, too.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, |temporary| private(temporary)?.write_all(content), exchange)
}

/// The same, but a power cut leaves the old content or the new: a filesystem that puts writing off does not do so with what takes
/// a name from another (ext4(5), `auto_da_alloc`).
pub fn write_in_order(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, |temporary| private(temporary)?.write_all(content), take_name)
}

/// An empty file for the owner of this process alone.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Writes a temporary file and gives it the name. What could not be finished is removed: it may be that the disk is
/// full.
fn replace(
    path: &Path,
    write: impl FnOnce(&Path) -> io::Result<()>,
    name: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = temporary_name(path);
    write(&temporary).and_then(|()| name(&temporary, path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

fn take_name(temporary: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temporary, path)
}

/// Gives a file its name; whatever had that is removed after it has the other. Where rename(2) would have ext4 write the content
/// out at once, which takes six times as long, this leaves it to the kernel (`RENAME_EXCHANGE`, Linux 3.15).
fn exchange(temporary: &Path, path: &Path) -> io::Result<()> {
    let exchange = || renameat_with(CWD, temporary, CWD, path, RenameFlags::EXCHANGE);
    if exchange().is_err() {
        // There is none yet, or the filesystem cannot.
        return take_name(temporary, path);
    }
    fs::remove_file(temporary).inspect_err(|_| {
        // It is a directory.
        let _ = exchange();
    })
}

/// Removes a file, durably; done also if there is none.
pub fn remove_durably(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a file without waiting for the disk; done also if there is none.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What lies in a directory, by name; nothing if there is none.
pub fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Makes the entries of the directory that holds `path` durable.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn temporary_name(path: &Path) -> std::path::PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(TEMPORARY);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_finished_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        // A name that a directory has cannot be given to a file.
        fs::create_dir(&path).unwrap();
        for write in [write_atomically, write_in_order, write_durably] {
            assert!(write(&path, b"text").is_err());
            assert!(path.is_dir());
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn the_new_content_is_all_that_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        for write in [write_atomically, write_in_order, write_durably] {
            for content in ["one", "a longer one", "two"] {
                write(&path, content.as_bytes()).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), content);
                assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
            }
        }
    }
}
