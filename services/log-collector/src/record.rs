//! The durable record of a log.

use schema::log_collector::LogSpec;
use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// What a log is for and how its last run stands. Its bytes are in its segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogRecord {
    /// As given by the last `open`.
    pub(crate) spec: LogSpec,
    /// Counts the runs from 1.
    pub(crate) run: u64,
    /// Position at which the run began.
    pub(crate) first: u64,
    /// Tells the run's sandbox from another one in the same place.
    pub(crate) sandbox: Identity,
    /// Everything of the run is captured.
    pub(crate) ended: bool,
    /// Position from which on the log holds what the monitor had spilled.
    pub(crate) spilled_from: Option<u64>,
}

impl LogRecord {
    /// That of a run in this sandbox, after an `earlier` one.
    pub(crate) fn of(spec: LogSpec, sandbox: Identity, earlier: Option<&Self>) -> Self {
        let run = earlier.map_or(1, |earlier| earlier.run + 1);
        // What an earlier run's monitor has spilled may be half taken over.
        let spilled_from = earlier.and_then(|earlier| earlier.spilled_from);
        Self { spec, run, first: 0, sandbox, ended: false, spilled_from }
    }
}

/// Identifies a sandbox: a container that is started again has a new one, in a directory of the same name. It is
/// that of its empty file `capture.lock`, which nobody ever writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    made: i64,
    made_nanoseconds: i64,
}

impl Identity {
    /// From the lock file's metadata.
    pub(crate) fn of(lock: &Metadata) -> Self {
        Self { device: lock.dev(), inode: lock.ino(), made: lock.mtime(), made_nanoseconds: lock.mtime_nsec() }
    }
}
