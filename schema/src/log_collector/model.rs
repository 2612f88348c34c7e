//! Domain types of `log-collector.capnp`.

use crate::ContainerId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What to capture, and how much of it to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// Of the sandbox: holds the FIFOs.
    pub directory: PathBuf,
    /// Only stdout exists.
    pub terminal: bool,
    /// Stdin exists.
    pub open_stdin: bool,
    /// Bytes of a segment; 0: 20 MiB.
    pub max_size: u64,
    /// Segments kept; 0: 5.
    pub max_files: u32,
    /// What becomes of output that is faster than the log.
    #[serde(default)]
    pub mode: LogMode,
    /// Of the container: they tell who may read, beside admins and viewers.
    #[serde(default)]
    pub labels: Vec<String>,
}

/// Where to begin to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// At the oldest byte kept.
    Start,
    /// At what is written from now on.
    End,
    /// So many lines before the end.
    LastLines(u64),
    /// At what was captured at this time or later: nanoseconds since the Unix epoch.
    Since(i64),
}

/// A part of a container's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// In the order of capture.
    pub records: Vec<Record>,
    /// The position after them.
    pub next: u64,
    /// Bytes that were asked for and are gone.
    pub lost: u64,
    /// The run has ended and this is all of it.
    pub ended: bool,
}

/// What was captured at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds since the Unix epoch.
    pub at: i64,
    /// Where it was written.
    pub stream: Stream,
    /// The bytes, as written.
    pub data: Vec<u8>,
    /// Bytes of this stream that were dropped just before.
    pub dropped: u64,
}

/// A part of a container's output, by where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartList {
    /// Which the parts are in.
    pub files: Vec<PartFile>,
    /// In the order of capture.
    pub parts: Vec<Part>,
    /// The position after them.
    pub next: u64,
    /// Bytes that were asked for and are gone.
    pub lost: u64,
    /// The run has ended and this is all of it.
    pub ended: bool,
}

/// A file that holds output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartFile {
    /// Beneath the collector's state directory, without symbolic links.
    pub path: PathBuf,
    /// Which filesystem it is on.
    pub device: u64,
    /// Which file of that it is.
    pub inode: u64,
    /// Whether it is in zstd's seekable format.
    pub packed: bool,
}

/// Output that follows each other in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it was written.
    pub stream: Stream,
    /// The place of its file in the list.
    pub file: u32,
    /// Where it begins in the content of the file.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// Bytes of this stream that were dropped just before.
    pub dropped: u64,
}

/// How much a log has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// Of the container or exec.
    pub id: ContainerId,
    /// Bytes that it has written since it was created, also those that were dropped.
    pub written: u64,
    /// Bytes of them that can still be read.
    pub kept: u64,
    /// Bytes that were dropped since the service was started.
    pub dropped: u64,
}

/// An output stream of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What becomes of output that is faster than the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogMode {
    /// The container waits.
    #[default]
    Block,
    /// It is counted and dropped.
    Drop,
}
