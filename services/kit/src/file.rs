//! Files that are whole or absent.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The ending of files that are being written. Whoever owns a directory removes them on start.
pub const TEMPORARY: &str = ".tmp";

/// Replaces a file's content so that a reader, also after a power cut, sees the old or the new content whole.
pub fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, |temporary| {
        let mut file = private(temporary)?;
        file.write_all(content)?;
        file.sync_all()
    })?;
    sync_parent(path)
}

/// Replaces a file's content so that a reader sees the old or the new content whole. What is written
/// survives the process, not a power cut.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, |temporary| private(temporary)?.write_all(content))
}

/// An empty file for the owner of this process alone.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Writes a temporary file and gives it the name. What could not be finished is removed: it may be that the disk is
/// full.
fn replace(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary_name(path);
    write(&temporary).and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
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
        assert!(write_atomically(&path, b"text").is_err() && write_durably(&path, b"text").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
