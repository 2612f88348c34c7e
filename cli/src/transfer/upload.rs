//! Sending bytes to the image store.

use crate::console;
use crate::engine::{Engine, call};
use schema::{Code, Failure};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::AsFd;

/// Bytes of one call.
const PIECE: usize = 512 << 10;

/// Where bytes come from.
pub(crate) struct Source {
    file: File,
    /// What the user calls it.
    name: String,
    /// Bytes read so far.
    offset: u64,
}

impl Source {
    /// Of a file, or of `-`: stdin, which must be no terminal. `hint` says what else to do.
    pub(crate) fn open(source: &str, hint: &str) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| {
            let code = if error.kind() == std::io::ErrorKind::NotFound { Code::NotFound } else { Code::Internal };
            Failure::new(code, format_args!("cannot read {source}: {error}"))
        };
        if source == "-" {
            if crate::terminal::on_stdin() {
                return Err(Failure::invalid("stdin is a terminal, not an archive").hint(hint));
            }
            let file = rustix::stdio::stdin().try_clone_to_owned().map_err(cannot)?.into();
            return Ok(Self::of(file, "stdin"));
        }
        let file = File::open(source).map_err(cannot)?;
        if file.metadata().map_err(cannot)?.is_dir() {
            return Err(Failure::invalid(format_args!("{source} is a directory")).hint(hint));
        }
        Ok(Self::of(file, source))
    }

    /// Of something that is open.
    pub(crate) fn of(file: File, name: &str) -> Self {
        Self { file, name: name.to_owned(), offset: 0 }
    }

    /// Fills the buffer as far as there is something; answers how far.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let mut filled = 0;
        while filled < buffer.len() {
            let read = console::read(self.file.as_fd(), &mut buffer[filled..])
                .map_err(|errno| Failure::io(format_args!("reading {}", self.name), &errno.into()))?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        self.offset += filled as u64;
        Ok(filled)
    }

    /// Goes back. Fails where the source forgets what was read.
    fn seek(&mut self, offset: u64) -> Result<(), Failure> {
        self.file.seek(SeekFrom::Start(offset)).map_err(|error| {
            Failure::io(
                format_args!("the image store has lost a part of the upload, and reading {} again", self.name),
                &error,
            )
            .hint("use a file instead of a pipe, or try again")
        })?;
        self.offset = offset;
        Ok(())
    }
}

/// Sends all of it, each piece until the image store says that it has it; answers how many bytes. What blocks on the
/// source holds up nothing else.
pub(crate) async fn upload(engine: &Engine, upload: &str, mut source: Source) -> Result<u64, Failure> {
    let mut buffer = vec![0; PIECE];
    loop {
        let offset = source.offset;
        let length;
        (source, buffer, length) = read(source, buffer).await?;
        if length == 0 && offset > 0 {
            return Ok(offset);
        }
        let stored = match engine.images.upload(&call(), upload, offset, &buffer[..length]).await {
            // It has less than it said that it had: before a power cut, perhaps.
            Err(failure) if failure.code == Code::Conflict => engine.images.upload(&call(), upload, 0, &[]).await?,
            answer => answer?,
        };
        if stored != source.offset {
            source.seek(stored)?;
        } else if length == 0 {
            return Ok(offset);
        }
    }
}

async fn read(mut source: Source, mut buffer: Vec<u8>) -> Result<(Source, Vec<u8>, usize), Failure> {
    let reading = tokio::task::spawn_blocking(move || {
        let length = source.fill(&mut buffer)?;
        Ok((source, buffer, length))
    });
    reading.await.map_err(|error| Failure::internal(format_args!("reading: {error}")))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_said() {
        let failure = |source: &str| Source::open(source, "pack it").err().unwrap();
        assert!(failure("/").message.contains("is a directory"));
        assert_eq!(failure("/").hint, "pack it");
        assert_eq!(failure("/nonexistent.tar").code, Code::NotFound);
    }

    #[test]
    fn files_are_read_in_pieces_and_again() {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), b"0123456789").unwrap();
        let mut source = Source::open(path.path().to_str().unwrap(), "").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(source.fill(&mut buffer), Ok(8));
        assert_eq!(source.fill(&mut buffer), Ok(2));
        source.seek(4).unwrap();
        assert_eq!(source.fill(&mut buffer), Ok(6));
        assert_eq!(&buffer[..6], b"456789");
        assert_eq!(source.offset, 10);
    }
}
