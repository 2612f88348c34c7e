//! One thread that compresses sealed segments, of one log after the other, when nobody else needs the processor.
//!
//! A segment is left alone for some time first: of a container that writes fast, it is rotated away before that, and what
//! is thrown away need not be compressed.
//!
//! A file is replaced only after its compressed form is complete, was read back, and is on the disk. A process that is
//! killed on the way leaves the file as it was; what it had begun is overwritten or removed with the segment. A segment's
//! index is replaced first: one with an index as it was written may be the newest, in which a writer goes on.

use crate::files::{packed, unfinished, unless_gone};
use crate::view::Shared;
use packed::{Packed, pack};
use schema::Failure;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// The lowest priority.
const NICE: i32 = 19;

/// How long a segment is left alone.
const AFTER: Duration = Duration::from_secs(2);

/// The handle of the thread.
#[derive(Clone, Debug)]
pub(crate) struct Compressor(mpsc::Sender<Sealed>);

/// What a log had sealed at one time.
#[derive(Debug)]
struct Sealed {
    log: Arc<Shared>,
    /// The newest of it.
    segment: u64,
    at: Instant,
}

/// What a log shares with the thread.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Is held while files are replaced, removed or listed.
    files: Mutex<()>,
    /// The log waits for its turn.
    waiting: AtomicBool,
}

impl Turn {
    /// Keeps the set of files as it is.
    pub(crate) fn hold_files(&self) -> MutexGuard<'_, ()> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Compressor {
    /// Starts the thread.
    pub(crate) fn start() -> Result<Self, Failure> {
        let (sender, sealed) = mpsc::channel::<Sealed>();
        let again = Self(sender.clone());
        let work = move || {
            if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
                tracing::debug!(%error, "logs are compressed with the usual priority");
            }
            sealed.iter().for_each(|sealed| sealed.compress(&again));
        };
        let started = std::thread::Builder::new().name("compress".into()).spawn(work);
        started.map_err(|error| Failure::io("starting to compress", &error))?;
        Ok(Self(sender))
    }

    /// Compresses what a log has sealed, when it is time.
    pub(crate) fn look_at(&self, shared: &Arc<Shared>) {
        if !shared.turn.waiting.swap(true, Ordering::AcqRel)
            && let Some(sealed) = Sealed::now(shared)
        {
            // The thread lives as long as the process.
            let _ = self.0.send(sealed);
        }
    }
}

impl Sealed {
    /// What is old enough; if nothing is, what will be next. None: the log has sealed nothing.
    fn now(log: &Arc<Shared>) -> Option<Self> {
        let segments = log.view().segments;
        let (_, sealed) = segments.split_last()?;
        let (now, newest) = (Instant::now(), sealed.last()?);
        let old = sealed.iter().rev().find(|segment| age(log, segment.number) >= AFTER);
        let (segment, at) = match old {
            Some(old) => (old.number, now.checked_sub(AFTER).unwrap_or(now)),
            None => (newest.number, now),
        };
        Some(Self { log: Arc::clone(log), segment, at })
    }

    /// Waits until it is time. What was sealed meanwhile waits for its own.
    fn compress(self, again: &Compressor) {
        let Self { log, segment, at } = self;
        std::thread::sleep(AFTER.saturating_sub(at.elapsed()));
        compress_sealed(&log, segment);
        log.turn.waiting.store(false, Ordering::Release);
        if Self::now(&log).is_some_and(|now| now.segment > segment) {
            again.look_at(&log);
        }
    }
}

/// How long ago a segment was sealed, as far as one knows.
fn age(log: &Shared, segment: u64) -> Duration {
    let written = fs::metadata(log.files.index(segment)).and_then(|index| index.modified());
    written.ok().and_then(|written| written.elapsed().ok()).unwrap_or_default()
}

/// Compresses what a log has sealed up to a segment, the newest first: it stays longest. What fails is tried again when the
/// next segment is sealed.
pub(crate) fn compress_sealed(shared: &Shared, newest: u64) {
    let segments = shared.view().segments;
    let Some((_, sealed)) = segments.split_last() else { return };
    for segment in sealed.iter().rev().filter(|segment| segment.number <= newest) {
        for part in shared.files.parts(segment.number) {
            if let Err(error) = compress(shared, segment.number, &part) {
                tracing::warn!(%error, file = %part.display(), "cannot compress a log yet");
                return;
            }
        }
    }
}

fn compress(shared: &Shared, segment: u64, path: &Path) -> io::Result<()> {
    let Some(raw) = unless_gone(File::open(path))? else { return Ok(()) };
    let unfinished = unfinished(path);
    let Some(target) = unless_gone(
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&unfinished),
    )?
    else {
        return Ok(());
    };
    let done = fill(&raw, target).and_then(|()| replace(shared, segment, &raw, path));
    if !matches!(done, Ok(true)) {
        unless_gone(fs::remove_file(&unfinished))?;
    }
    done.map(drop)
}

/// Writes the compressed form, and makes sure of it.
fn fill(raw: &File, target: File) -> io::Result<()> {
    pack(raw, &target)?;
    target.sync_data()?;
    if Packed::open(target)?.is_copy_of(raw)? { Ok(()) } else { Err(io::Error::other("it does not come back")) }
}

/// Puts the compressed form in the place of the other; false: the segment was rotated away meanwhile.
fn replace(shared: &Shared, segment: u64, raw: &File, path: &Path) -> io::Result<bool> {
    let _files = shared.turn.hold_files();
    let segments = shared.view().segments;
    let sealed = segments.split_last().is_some_and(|(_, sealed)| sealed.iter().any(|one| one.number == segment));
    let (ours, theirs) = (raw.metadata()?, unless_gone(fs::symlink_metadata(path))?);
    if !sealed || theirs.is_none_or(|theirs| (theirs.dev(), theirs.ino()) != (ours.dev(), ours.ino())) {
        return Ok(false);
    }
    fs::rename(unfinished(path), packed(path))?;
    fs::remove_file(path)?;
    Ok(true)
}
