//! Tracing, to a file of bounded size under the state directory: an object of JSON a line. `cctl system logs` shows them to
//! people, and finds those of one request among all processes.

pub use schema::instance::previous_log as previous;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes after which a log is copied to `.1`, replacing what was there, and begun anew. Not renamed: its directory is
/// root's, and our process has perhaps nothing but the two files.
const LIMIT: u64 = 8 << 20;

/// Sends all tracing to `path`, and the message of a panic too, which then ends the process: a service is
/// restarted, never repaired in place. `CCTL_LOG` selects what is written (default `info`), in the syntax of
/// tracing's `EnvFilter`.
pub fn init(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let filter = EnvFilter::try_from_env("CCTL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let writer = Writer(Arc::new(Mutex::new(Rotating::open(path.to_owned())?)));
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_current_span(false)
        .with_span_list(true)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish();
    tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)?;
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(%panic, "a bug: this process ends");
        std::process::abort();
    }));
    Ok(())
}

struct Rotating {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Rotating {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let length = file.metadata()?.len();
        Ok(Self { path, file, length })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.length > LIMIT {
            self.rotate()?;
        }
        self.file.write_all(bytes)
    }

    fn rotate(&mut self) -> io::Result<()> {
        if copy(&self.path, &previous(&self.path)).is_err() {
            // On a full disk, what cannot be kept is lost, not the next lines.
            let _ = File::create(previous(&self.path));
        }
        self.file.set_len(0)?;
        self.length = 0;
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut copied = options.write(true).create(true).truncate(true).mode(0o600).open(to)?;
    io::copy(&mut File::open(from)?, &mut copied).map(drop)
}

/// A shared handle on the file.
struct Writer(Arc<Mutex<Rotating>>);

impl<'a> MakeWriter<'a> for Writer {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(Arc::clone(&self.0))
    }
}

/// Writes one event.
struct Line(Arc<Mutex<Rotating>>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // On a full disk a line is lost. Whoever was told would tell of it on stderr, which may be this very file, and
        // die of that.
        if log.append(bytes).is_ok() {
            log.length += bytes.len() as u64;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_bounded_and_the_one_before_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut log = Rotating::open(path.clone()).unwrap();
        let others = OpenOptions::new().append(true).open(&path).unwrap();
        log.append(b"first\n").unwrap();
        log.length = LIMIT + 1;
        log.append(b"second\n").unwrap();
        // Who has it open, too, goes on in the new one.
        (&others).write_all(b"other\n").unwrap();
        assert_eq!(fs::read(previous(&path)).unwrap(), b"first\n");
        assert_eq!(fs::read(&path).unwrap(), b"second\nother\n");
    }
}
