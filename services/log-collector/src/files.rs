//! The files of one log: where they are.
//!
//! A segment is `000001.stdout` and `000001.stderr`, the bytes as they were written, and `000001.index`. The
//! index is made first and removed first: a data file without an index is not part of the log.

use crate::entry::number;
use schema::log_collector::Stream;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const INDEX: &str = "index";
const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// Both streams, in the order in which they are dealt with.
pub(crate) const BOTH: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// The name of a stream.
pub(crate) fn name(stream: Stream) -> &'static str {
    STREAMS[number(stream)]
}

/// A log's directory.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    directory: PathBuf,
}

impl Files {
    /// In this directory.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The index of a segment.
    pub(crate) fn index(&self, segment: u64) -> PathBuf {
        self.directory.join(format!("{segment:06}.{INDEX}"))
    }

    /// The bytes of a stream in a segment.
    pub(crate) fn data(&self, segment: u64, stream: Stream) -> PathBuf {
        self.directory.join(format!("{segment:06}.{}", name(stream)))
    }

    /// The numbers of the segments, sorted. Data files that belong to none are removed.
    pub(crate) fn segments(&self) -> io::Result<Vec<u64>> {
        let (mut indexes, mut others) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let Some((number, ending)) = name.to_str().and_then(split) else { continue };
            if ending == INDEX { indexes.push(number) } else { others.push(number) }
        }
        indexes.sort_unstable();
        for orphan in others.into_iter().filter(|number| indexes.binary_search(number).is_err()) {
            self.remove(orphan)?;
        }
        Ok(indexes)
    }

    /// Removes a segment; done also if there is none.
    pub(crate) fn remove(&self, segment: u64) -> io::Result<()> {
        remove_file(&self.index(segment))?;
        BOTH.into_iter().try_for_each(|stream| remove_file(&self.data(segment, stream)))
    }
}

fn split(name: &str) -> Option<(u64, &str)> {
    let (number, ending) = name.split_once('.')?;
    (ending == INDEX || STREAMS.contains(&ending)).then_some((number.parse().ok()?, ending))
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_found_by_their_index_and_orphans_go() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(directory.path().to_owned());
        for name in ["000002.index", "000010.index", "1000000.index", "000002.stdout", "000001.stderr", "note.txt"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(files.segments().unwrap(), [2, 10, 1_000_000]);
        assert!(files.data(2, Stream::Stdout).exists());
        assert!(!files.data(1, Stream::Stderr).exists());
        files.remove(2).unwrap();
        files.remove(2).unwrap();
        assert_eq!(files.segments().unwrap(), [10, 1_000_000]);
    }
}
