//! Taking turns with the sandbox's monitor, which takes output out of full FIFOs when nobody else does.
//!
//! Whoever takes holds a lock meanwhile. So what the monitor has spilled is complete when we come to know of it, and
//! nothing that was written later is taken before it.

use crate::files::unless_gone;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use shim_protocol::layout;
use shim_protocol::turn::{self, Turns};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long the monitor may have its turn when a run is taken hold of. One that is stopped is replaced before that.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

/// The place of a file in a sandbox's directory.
pub(crate) fn file(directory: &Path, name: &CStr) -> PathBuf {
    directory.join(name.to_string_lossy().as_ref())
}

/// Our part of a sandbox's directory; made, if whoever made the sandbox has left that to us.
pub(crate) fn own(directory: &Path) -> io::Result<PathBuf> {
    let path = file(directory, layout::COLLECTOR);
    match std::fs::create_dir(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(path),
    }
}

/// Our side of the lock; a sandbox whose monitor takes nothing has none.
#[derive(Debug)]
pub(crate) struct Gate(Option<Lock>);

#[derive(Debug)]
struct Lock {
    file: File,
    /// Our turns.
    beat: u64,
    /// The monitor's turns of which we know, and have taken over what it spilled.
    known: Option<u64>,
}

impl Gate {
    /// Opens the lock in the sandbox's directory.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let opened = File::options().read(true).write(true).open(file(directory, layout::TAKE_LOCK));
        let Some(file) = unless_gone(opened)? else { return Ok(Self(None)) };
        let beat = read(&file)?.beat;
        Ok(Self(Some(Lock { file, beat, known: None })))
    }

    /// Begins a turn, if the monitor has none.
    pub(crate) fn enter(&mut self) -> bool {
        let Some(lock) = &mut self.0 else { return true };
        match flock(&lock.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK | Errno::INTR) => return false,
            Err(error) => {
                tracing::error!(%error, "cannot lock a FIFO");
                return false;
            }
        }
        true
    }

    /// In a turn: tells the monitor that we take out of the FIFOs.
    pub(crate) fn count(&mut self) {
        let Some(lock) = &mut self.0 else { return };
        lock.beat += 1;
        if let Err(error) = lock.file.write_all_at(&lock.beat.to_le_bytes(), turn::BEAT) {
            // The monitor may spill what we could take, which costs only time.
            tracing::warn!(%error, "cannot count a turn");
        }
    }

    /// Begins a turn as soon as it can.
    pub(crate) fn enter_soon(&mut self) -> io::Result<()> {
        let began = Instant::now();
        while !self.enter() {
            if began.elapsed() > PATIENCE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Ends the turn.
    pub(crate) fn leave(&self) {
        if let Some(lock) = &self.0
            && let Err(error) = flock(&lock.file, FlockOperation::Unlock)
        {
            tracing::error!(%error, "cannot unlock a FIFO");
        }
    }

    /// Whether the monitor takes turns.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.is_some()
    }

    /// In a turn: the monitor's turns, if it had some of which we do not know.
    pub(crate) fn news(&self) -> io::Result<Option<u64>> {
        let Some(lock) = &self.0 else { return Ok(None) };
        let spilled = read(&lock.file)?.spilled;
        Ok((lock.known != Some(spilled)).then_some(spilled))
    }

    /// What it spilled in them is taken over.
    pub(crate) fn know(&mut self, spilled: Option<u64>) {
        if let (Some(lock), Some(_)) = (&mut self.0, spilled) {
            lock.known = spilled;
        }
    }

    /// Tells the monitor where and how much it may spill, and what becomes of the rest.
    pub(crate) fn allow(&self, directory: &Path, place: &Path, bytes: u64, drops: bool) -> io::Result<()> {
        let Some(lock) = &self.0 else { return Ok(()) };
        lead(directory, place)?;
        lock.file.write_all_at(&u64::from(drops).to_le_bytes(), turn::POLICY)?;
        lock.file.write_all_at(&bytes.to_le_bytes(), turn::LIMIT)
    }
}

fn read(file: &File) -> io::Result<Turns> {
    let mut bytes = [0; turn::SIZE];
    let length = file.read_at(&mut bytes, 0)?;
    Ok(Turns::decode(&bytes[..length]))
}

/// Makes `spill` in our part of the sandbox's directory lead to `place`. By a relative path, since the monitor has another root;
/// from an open directory it finds the way nevertheless.
fn lead(directory: &Path, place: &Path) -> io::Result<()> {
    let exists = |error: io::Error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) };
    std::fs::create_dir(place).or_else(exists)?;
    let (from, to) = (own(directory)?.canonicalize()?, place.canonicalize()?);
    let up = from.components().skip(1).map(|_| "..").collect::<PathBuf>();
    let way = up.join(to.strip_prefix("/").unwrap_or(&to));
    let name = layout::STDOUT_SPILL_EARLY.to_string_lossy();
    let link = directory.join(Path::new(name.as_ref()).parent().unwrap_or(Path::new("")));
    std::os::unix::fs::symlink(way, link).or_else(exists)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_taken_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(directory.path(), layout::TAKE_LOCK);
        let mut none = Gate::open(directory.path()).unwrap();
        assert!(none.enter() && none.news().unwrap().is_none());
        File::create(&path).unwrap();
        let (mut ours, mut theirs) = (Gate::open(directory.path()).unwrap(), Gate::open(directory.path()).unwrap());
        assert!(ours.enter() && !theirs.enter());
        ours.count();
        let news = ours.news().unwrap();
        assert_eq!(news, Some(0));
        ours.know(news);
        assert_eq!(ours.news().unwrap(), None);
        ours.leave();
        assert!(theirs.enter());
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[7], turn::SPILLED).unwrap();
        assert_eq!(ours.news().unwrap(), Some(7));
        assert!(read(&File::open(&path).unwrap()).unwrap().beat > 0);
    }

    #[test]
    fn the_way_leads_from_the_sandbox_to_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let (sandbox, log) = (directory.path().join("run/sandbox"), directory.path().join("log"));
        std::fs::create_dir_all(&sandbox).unwrap();
        std::fs::create_dir(&log).unwrap();
        File::create(file(&sandbox, layout::TAKE_LOCK)).unwrap();
        let gate = Gate::open(&sandbox).unwrap();
        for _ in 0..2 {
            gate.allow(&sandbox, &log.join("spill"), 5000, true).unwrap();
        }
        std::fs::write(file(&sandbox, layout::STDOUT_SPILL_EARLY), "x").unwrap();
        assert_eq!(std::fs::read(log.join("spill/stdout")).unwrap(), b"x");
        assert!(std::fs::read_link(sandbox.join("log/spill")).unwrap().is_relative());
        let turns = read(&File::open(file(&sandbox, layout::TAKE_LOCK)).unwrap()).unwrap();
        assert_eq!((turns.limit, turns.drops), (5000, true));
    }
}
