//! Where archives go: stdout, or a file that is there whole or not at all.

use crate::console;
use crate::error::Result;
use schema::Failure;
use schema::log_collector::Stream;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Takes bytes in order.
pub(super) enum Sink {
    Stdout,
    /// An existing device or pipe.
    Device(File, PathBuf),
    /// A file that is put in its place at the end.
    File(Unfinished),
}

/// A file that is removed unless it gets its name.
pub(super) struct Unfinished {
    file: File,
    beside: PathBuf,
    path: PathBuf,
    finished: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody else knows its name.
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}

impl Sink {
    /// A file, or stdout, which must be no terminal. Fails with `invalidArgument`, or if the file cannot be made.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            super::import::refuse_terminal()?;
            return Ok(Self::Stdout);
        };
        let failed = |error: std::io::Error| Failure::io(format_args!("cannot write {}", path.display()), &error);
        match path.metadata() {
            Ok(facts) if facts.is_dir() => {
                return Err(
                    Failure::invalid(format_args!("{} is a directory", path.display())).hint("name a file in it")
                );
            }
            Ok(facts) if !facts.is_file() => {
                return Ok(Self::Device(File::options().write(true).open(path).map_err(failed)?, path.to_owned()));
            }
            _ => {}
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.part", std::process::id()));
        let beside = PathBuf::from(beside);
        let file = File::options().write(true).create(true).truncate(true).open(&beside).map_err(failed)?;
        Ok(Self::File(Unfinished { file, beside, path: path.to_owned(), finished: false }))
    }

    /// Writes all of it. A reader that is slow holds up nothing else.
    pub(super) async fn write(self, bytes: Vec<u8>) -> Result<Self> {
        let writing = tokio::task::spawn_blocking(move || self.write_now(&bytes));
        writing.await.map_err(|error| Failure::internal(format_args!("writing: {error}")))?
    }

    fn write_now(mut self, bytes: &[u8]) -> Result<Self> {
        match &mut self {
            Self::Stdout => console::write(Stream::Stdout, bytes)?,
            Self::Device(file, path) => file
                .write_all(bytes)
                .map_err(|error| Failure::io(format_args!("writing {}", path.display()), &error))?,
            Self::File(unfinished) => unfinished
                .file
                .write_all(bytes)
                .map_err(|error| Failure::io(format_args!("writing {}", unfinished.path.display()), &error))?,
        }
        Ok(self)
    }

    /// Puts a file in its place.
    pub(super) fn finish(self) -> Result<(), Failure> {
        if let Self::File(mut unfinished) = self {
            std::fs::rename(&unfinished.beside, &unfinished.path)
                .map_err(|error| Failure::io(format_args!("writing {}", unfinished.path.display()), &error))?;
            unfinished.finished = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.tar");
        let sink = Sink::open(Some(&path)).unwrap().write_now(b"half").unwrap();
        assert!(!path.exists());
        drop(sink);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        Sink::open(Some(&path)).unwrap().write_now(b"whole").unwrap().finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert!(Sink::open(Some(directory.path())).is_err());
    }
}
