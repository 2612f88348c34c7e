//! `import`.

use crate::args::Import;
use crate::console;
use crate::engine::{Engine, call, new_token};
use crate::error::Result;
use schema::image_store::ImportRequest;
use schema::{Call, Code, Failure};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::AsFd;
use std::time::Duration;

/// Bytes of one call.
const PIECE: usize = 512 << 10;
/// How long the archive may be read and checked.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Uploads an archive, makes an image of it, and prints the image's id.
pub(crate) async fn run(engine: &Engine, arguments: &Import) -> Result<u8> {
    let source = Source::open(&arguments.source)?;
    let upload = new_token()?;
    match import(engine, &upload, source, arguments).await {
        Ok(id) => {
            console::print_line(id)?;
            Ok(0)
        }
        Err(failure) => {
            // What is not removed now is removed in an hour.
            let _ = engine.images.abandon(&call().limited(Duration::from_secs(5)), &upload).await;
            Err(failure.into())
        }
    }
}

async fn import(engine: &Engine, upload: &str, source: Source, arguments: &Import) -> Result<String, Failure> {
    send(engine, upload, source).await?;
    let request = ImportRequest {
        reference: arguments.reference.clone(),
        source: arguments.source.clone(),
        message: String::new(),
        changes: Vec::new(),
        platform: String::new(),
    };
    let image = engine.images.import_upload(&Call::within(PATIENCE), upload, &request).await?;
    Ok(image.id.to_string())
}

/// Where an archive comes from.
struct Source {
    file: File,
    /// What the user calls it.
    name: String,
    /// Bytes read so far.
    offset: u64,
}

impl Source {
    fn open(source: &str) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| {
            let code = if error.kind() == std::io::ErrorKind::NotFound { Code::NotFound } else { Code::Internal };
            Failure::new(code, format_args!("cannot read {source}: {error}"))
        };
        if source == "-" {
            if crate::terminal::on_stdin() {
                return Err(Failure::invalid("stdin is a terminal, not an archive").hint(PIPE));
            }
            let file = rustix::stdio::stdin().try_clone_to_owned().map_err(cannot)?.into();
            return Ok(Self { file, name: "stdin".to_owned(), offset: 0 });
        }
        if source.starts_with("http://") || source.starts_with("https://") {
            return Err(Failure::unimplemented(format_args!("{source}: URLs are not supported"))
                .hint(format_args!("download it and pipe it: curl -fL {source} | cctl import -")));
        }
        let file = File::open(source).map_err(cannot)?;
        if file.metadata().map_err(cannot)?.is_dir() {
            return Err(Failure::invalid(format_args!("{source} is a directory")).hint(PIPE));
        }
        Ok(Self { file, name: source.to_owned(), offset: 0 })
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
            .hint("import from a file instead of a pipe, or try again")
        })?;
        self.offset = offset;
        Ok(())
    }
}

const PIPE: &str = "pack a directory with `tar -C DIRECTORY -c . | cctl import - NAME`";

/// Sends all of it, each piece until the image store says that it has it.
async fn send(engine: &Engine, upload: &str, mut source: Source) -> Result<(), Failure> {
    let mut buffer = vec![0; PIECE];
    loop {
        let offset = source.offset;
        let length = source.fill(&mut buffer)?;
        if length == 0 && offset > 0 {
            return Ok(());
        }
        let stored = match engine.images.upload(&call(), upload, offset, &buffer[..length]).await {
            // It has less than it said that it had: before a power cut, perhaps.
            Err(failure) if failure.code == Code::Conflict => engine.images.upload(&call(), upload, 0, &[]).await?,
            answer => answer?,
        };
        if stored != source.offset {
            source.seek(stored)?;
        } else if length == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_said() {
        let failure = |source: &str| Source::open(source).err().unwrap();
        assert!(failure("https://example.org/x.tar").hint.contains("curl -fL https://example.org/x.tar |"));
        assert!(failure("/").message.contains("is a directory"));
        assert_eq!(failure("/nonexistent.tar").code, Code::NotFound);
    }

    #[test]
    fn files_are_read_in_pieces_and_again() {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), b"0123456789").unwrap();
        let mut source = Source::open(path.path().to_str().unwrap()).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(source.fill(&mut buffer), Ok(8));
        assert_eq!(source.fill(&mut buffer), Ok(2));
        source.seek(4).unwrap();
        assert_eq!(source.fill(&mut buffer), Ok(6));
        assert_eq!(&buffer[..6], b"456789");
        assert_eq!(source.offset, 10);
    }
}
