//! Where archives go: stdout, or a file that is there whole or not at all.

use crate::console;
use crate::error::Result;
use schema::Failure;
use schema::log_collector::Stream;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that are read from a file at a time.
const CHUNK: usize = 256 << 10;
/// What a pipe holds, if it may: its reader and this process wait for each other less often.
const PIPE: usize = 1 << 20;

/// Bytes to be written.
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// As many from the beginning of a file, which somebody else writes again when this was written: it is copied, since
    /// what is spliced from a file is a part of it.
    File(File, u64),
}

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
            widen(rustix::stdio::stdout());
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
                let file = File::options().write(true).open(path).map_err(failed)?;
                widen(&file);
                return Ok(Self::Device(file, path.to_owned()));
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
    pub(super) async fn write(mut self, piece: Piece) -> Result<Self> {
        let writing = tokio::task::spawn_blocking(move || self.write_piece(piece).map(|()| self));
        writing.await.map_err(|error| Failure::internal(format_args!("writing: {error}")))?
    }

    fn write_piece(&mut self, piece: Piece) -> Result {
        let (file, length) = match piece {
            Piece::Bytes(bytes) => return self.write_now(&bytes),
            Piece::File(file, length) => (file, length),
        };
        let (mut buffer, mut at) = (vec![0; CHUNK], 0);
        while at < length {
            let wanted = usize::try_from(length - at).unwrap_or(CHUNK).min(CHUNK);
            file.read_exact_at(&mut buffer[..wanted], at)
                .map_err(|error| Failure::io("reading a part of the archive", &error))?;
            self.write_now(&buffer[..wanted])?;
            at += wanted as u64;
        }
        Ok(())
    }

    fn write_now(&mut self, bytes: &[u8]) -> Result {
        match self {
            Self::Stdout => console::write(Stream::Stdout, bytes)?,
            Self::Device(file, path) => file
                .write_all(bytes)
                .map_err(|error| Failure::io(format_args!("writing {}", path.display()), &error))?,
            Self::File(unfinished) => unfinished
                .file
                .write_all(bytes)
                .map_err(|error| Failure::io(format_args!("writing {}", unfinished.path.display()), &error))?,
        }
        Ok(())
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

/// Does nothing to what is no pipe.
fn widen(pipe: impl AsFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_of_a_file_is_written_as_was_said() {
        let directory = tempfile::tempdir().unwrap();
        let (source, path) = (directory.path().join("part"), directory.path().join("x.tar"));
        let content = vec![7; 2 * CHUNK + 100];
        std::fs::write(&source, &content).unwrap();
        let mut sink = Sink::open(Some(&path)).unwrap();
        for length in [CHUNK + 1, 0, content.len()] {
            sink.write_piece(Piece::File(File::open(&source).unwrap(), length as u64)).unwrap();
        }
        assert!(sink.write_piece(Piece::File(File::open(&source).unwrap(), 1 << 30)).is_err());
        sink.finish().unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(&content[..CHUNK + 1]));
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.tar");
        let mut sink = Sink::open(Some(&path)).unwrap();
        sink.write_now(b"half").unwrap();
        assert!(!path.exists());
        drop(sink);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let mut sink = Sink::open(Some(&path)).unwrap();
        sink.write_now(b"whole").unwrap();
        sink.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert!(Sink::open(Some(directory.path())).is_err());
    }
}
