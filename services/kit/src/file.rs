//! Files that are whole or absent.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The ending of files that are being written. Whoever owns a directory removes them on start.
pub const TEMPORARY: &str = ".tmp";

/// Replaces a file's content so that a reader, also after a power cut, sees the old or the new content whole.
pub fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_name(path);
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Replaces a file's content so that a reader sees the old or the new content whole. What is written
/// survives the process, not a power cut.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_name(path);
    fs::write(&temporary, content)?;
    fs::rename(&temporary, path)
}

/// Removes a file, durably; done also if there is none.
pub fn remove_durably(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
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
