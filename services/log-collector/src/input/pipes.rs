//! The pipes and the journal file of a container's stdin, in the sandbox's directory.

use super::journal::Journal;
use crate::gate::own;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use tokio::net::unix::pipe::Sender;

const JOURNAL: &str = "input";
/// Bytes of the journal's file: one page, so that it is written whole or not at all.
const PAGE: usize = 4096;
/// Bytes that a client may send at once, and that the staging pipe should hold.
pub(crate) const LARGEST_WRITE: usize = 64 << 10;
/// Bytes that the container's pipe should hold.
const STDIN: usize = 256 << 10;

/// The container's ends of things.
#[derive(Debug)]
pub(crate) struct Pipes {
    journal: File,
    stage: OwnedFd,
    /// None: stdin has ended for us.
    stdin: RefCell<Option<Rc<Sender>>>,
    close: PathBuf,
}

/// How the draining of the staging pipe came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// All is in the container's pipe.
    All,
    /// Nobody will ever read it.
    NoReader,
}

fn widen(pipe: &OwnedFd, size: usize) {
    if let Err(error) = rustix::pipe::fcntl_setpipe_size(pipe, size) {
        tracing::debug!(%error, size, "a pipe stays as it is");
    }
}

fn open_journal(path: &Path) -> io::Result<(File, Journal)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if text.is_empty() {
        return Ok((file, Journal::default()));
    }
    let damaged = |error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()));
    let journal = serde_json::from_str(text.trim_end()).map_err(damaged)?;
    Ok((file, journal))
}

fn fifo(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let named = |error: Errno| io::Error::new(io::Error::from(error).kind(), format!("{}: {error}", path.display()));
    let flags = flags | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(named)?;
    if FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode) != FileType::Fifo {
        return Err(io::Error::other(format!("{} is not a FIFO", path.display())));
    }
    Ok(opened)
}

impl Pipes {
    /// Opens the journal and the FIFOs in the sandbox's directory; answers what the journal says. The write end
    /// of stdin is opened only if it is still needed: as long as we hold it, the container does not see the end.
    /// Needs the main loop. Fails with `InvalidData` if the journal cannot be read.
    pub(crate) fn open(directory: &Path) -> io::Result<(Self, Journal)> {
        let (file, journal) = open_journal(&own(directory)?.join(JOURNAL))?;
        let stage = fifo(&directory.join("stdin.stage"), OFlags::RDWR)?;
        widen(&stage, LARGEST_WRITE);
        let pipes = Self { journal: file, stage, stdin: RefCell::new(None), close: directory.join("stdin.close") };
        if !journal.is_closed() || pipes.staged()? > 0 {
            let stdin = fifo(&directory.join("stdin"), OFlags::WRONLY)?;
            // However short, what one splice moves takes a page's place in the pipe.
            widen(&stdin, STDIN);
            *pipes.stdin.borrow_mut() = Some(Sender::from_owned_fd(stdin)?.into());
        }
        Ok((pipes, journal))
    }

    /// Replaces what the journal's file says. It survives a kill; the sandbox itself does not survive more.
    pub(crate) fn put(&self, journal: &Journal) -> io::Result<()> {
        let mut text = serde_json::to_vec(journal)?;
        if text.len() >= PAGE {
            return Err(io::Error::other(format!("a journal of {} bytes does not fit a page", text.len())));
        }
        text.resize(PAGE - 1, b' ');
        text.push(b'\n');
        self.journal.write_all_at(&text, 0)
    }

    /// Bytes in the staging pipe.
    pub(crate) fn staged(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(&self.stage)?)
    }

    /// Writes a piece into the staging pipe, which must be empty: answers how much of it went in.
    pub(crate) fn fill(&self, piece: &[u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < piece.len() {
            match rustix::io::write(&self.stage, &piece[done..]) {
                Ok(written) => done += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    /// Moves all from the staging pipe to the container's, at the pace at which the container reads.
    pub(crate) async fn drain(&self) -> io::Result<Drained> {
        let stdin = self.stdin.borrow().clone();
        while self.staged()? > 0 {
            let Some(stdin) = &stdin else { return Ok(Drained::NoReader) };
            stdin.writable().await?;
            let moved =
                stdin.try_io(|| Ok(splice(&self.stage, None, stdin, None, LARGEST_WRITE, SpliceFlags::NONBLOCK)?));
            match moved {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Drained::NoReader),
                Err(error) => return Err(error),
            }
        }
        Ok(Drained::All)
    }

    /// Ends stdin: lets go of our write end, and tells the monitor to let go of its own.
    pub(crate) fn close(&self) -> io::Result<()> {
        *self.stdin.borrow_mut() = None;
        match rustix::io::write(fifo(&self.close, OFlags::WRONLY)?, b"x") {
            // It is full of bytes that say the same.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
