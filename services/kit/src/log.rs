//! Tracing, to a file of bounded size under the state directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes after which a log is renamed to `.1`, replacing the previous one.
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
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(writer).finish();
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
        let mut previous = self.path.clone().into_os_string();
        previous.push(".1");
        fs::rename(&self.path, previous)?;
        *self = Self::open(self.path.clone())?;
        Ok(())
    }
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
