//! What of a log may be read now: published by its writer, watched by its readers.

use crate::compress::{Compressor, Turn};
use crate::entry::Entry;
use crate::files::Files;
use crate::holds::Holds;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::watch;

/// Whether more is to be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing was ever opened.
    Absent,
    /// A run is captured.
    Running,
    /// The last run has ended, and all of it is here.
    Ended,
    /// The log was removed.
    Removed,
}

/// A segment that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Names its files.
    pub(crate) number: u64,
    /// Position of its first byte.
    pub(crate) start: u64,
}

/// A consistent picture of a log. What it describes never changes on disk, it can only be rotated away.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Oldest first; the last one is being written.
    pub(crate) segments: Arc<[Segment]>,
    /// Entries of the last segment, if that is being written; else no less than those.
    pub(crate) entries: u64,
    /// The last of them: it may grow in the file while it is read there, so it is read here.
    pub(crate) last: Option<Entry>,
    /// The position after the last byte.
    pub(crate) end: u64,
    /// Whether more is to be expected.
    pub(crate) phase: Phase,
}

impl View {
    /// The position of the oldest byte kept.
    pub(crate) fn start(&self) -> u64 {
        self.segments.first().map_or(self.end, |oldest| oldest.start)
    }

    /// Where the segment with this index ends.
    pub(crate) fn end_of(&self, index: usize) -> u64 {
        self.segments.get(index + 1).map_or(self.end, |next| next.start)
    }
}

/// A log, as its writer and its readers share it.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Where its files are.
    pub(crate) files: Files,
    /// What may be read of them.
    pub(crate) view: watch::Sender<View>,
    /// Whom the container waits for.
    pub(crate) holds: Holds,
    /// What keeps compression and rotation out of each other's way.
    pub(crate) turn: Turn,
    /// Bytes that this process has dropped.
    pub(crate) dropped: AtomicU64,
    /// None: what is sealed here stays as it is.
    compressor: Option<Compressor>,
}

impl Shared {
    /// A log in this directory, of which nothing is known yet.
    pub(crate) fn new(directory: PathBuf, compressor: Option<Compressor>) -> Arc<Self> {
        let view = View { segments: Arc::default(), entries: 0, last: None, end: 0, phase: Phase::Absent };
        Arc::new(Self {
            files: Files::new(directory),
            view: watch::Sender::new(view),
            holds: Holds::default(),
            turn: Turn::default(),
            dropped: AtomicU64::new(0),
            compressor,
        })
    }

    /// Has what is sealed compressed soon.
    pub(crate) fn compress(self: &Arc<Self>) {
        if let Some(compressor) = &self.compressor {
            compressor.look_at(self);
        }
    }

    /// Removes the files of a segment, which readers no longer see.
    pub(crate) fn remove(&self, segment: u64) -> io::Result<()> {
        let _files = self.turn.hold_files();
        self.files.remove(segment)
    }

    /// The picture of this moment.
    pub(crate) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Says whether more is to be expected, and wakes everybody who waits for more.
    pub(crate) fn enter(&self, phase: Phase) {
        self.view.send_modify(|view| view.phase = phase);
    }

    /// Says that the run has ended, if the log was not removed meanwhile.
    pub(crate) fn end(&self) {
        self.view.send_if_modified(|view| {
            let running = view.phase == Phase::Running;
            if running {
                view.phase = Phase::Ended;
            }
            running
        });
    }
}
