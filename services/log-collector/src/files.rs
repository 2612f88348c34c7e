//! The files of one log: where they are.
//!
//! A segment is `000001.stdout` and `000001.stderr`, the bytes as they were written, and `000001.index`. The
//! index is made first and removed first: a data file without an index is not part of the log. When a segment is
//! sealed, each of its files is replaced by its compressed form, `000001.stdout.zst`.

use crate::entry::number;
use schema::log_collector::Stream;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const INDEX: &str = "index";
const STREAMS: [&str; 2] = ["stdout", "stderr"];
const PACKED: &str = "zst";
const UNFINISHED: &str = "zst.tmp";
const DAMAGED: &str = "damaged";

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

    /// All files of a segment, the index first.
    pub(crate) fn parts(&self, segment: u64) -> [PathBuf; 3] {
        let [stdout, stderr] = BOTH.map(|stream| self.data(segment, stream));
        [self.index(segment), stdout, stderr]
    }

    /// The numbers of the segments, sorted. Data files that belong to none are removed. Nobody may compress or
    /// remove segments meanwhile.
    pub(crate) fn segments(&self) -> io::Result<Vec<u64>> {
        let (mut indexes, mut others) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let Some((number, exists)) = name.to_str().and_then(split) else { continue };
            if exists { indexes.push(number) } else { others.push(number) }
        }
        indexes.sort_unstable();
        indexes.dedup();
        for orphan in others.into_iter().filter(|number| indexes.binary_search(number).is_err()) {
            self.remove(orphan)?;
        }
        Ok(indexes)
    }

    /// Moves a damaged segment to a directory of its own, which goes with the log. Gives the directory.
    pub(crate) fn set_aside(&self, segment: u64) -> io::Result<PathBuf> {
        let kept = self.damaged();
        fs::create_dir_all(&kept)?;
        // The index last: without it, the rest would be removed.
        for path in self.parts(segment).into_iter().rev() {
            for path in [packed(&path), path] {
                let name = path.file_name().unwrap_or_default().to_owned();
                unless_gone(fs::rename(&path, kept.join(name)))?;
            }
        }
        self.remove(segment)?;
        Ok(kept)
    }

    /// Where damaged segments are.
    pub(crate) fn damaged(&self) -> PathBuf {
        self.directory.join(DAMAGED)
    }

    /// Removes a segment; done also if there is none.
    pub(crate) fn remove(&self, segment: u64) -> io::Result<()> {
        for path in self.parts(segment) {
            for path in [unfinished(&path), packed(&path), path] {
                unless_gone(fs::remove_file(path))?;
            }
        }
        Ok(())
    }
}

/// The compressed form of a file.
pub(crate) fn packed(path: &Path) -> PathBuf {
    ending_with(path, PACKED)
}

/// The compressed form of a file while it is being made.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    ending_with(path, UNFINISHED)
}

fn ending_with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// The number of a segment, and whether this says that it exists.
fn split(name: &str) -> Option<(u64, bool)> {
    let mut words = name.splitn(3, '.');
    let (number, part, form) = (words.next()?.parse().ok()?, words.next()?, words.next().unwrap_or_default());
    let known = (part == INDEX || STREAMS.contains(&part)) && ["", PACKED, UNFINISHED].contains(&form);
    known.then_some((number, part == INDEX && form != UNFINISHED))
}

/// What is not there is none, and no failure.
pub(crate) fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
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
        let kept = files.set_aside(2).unwrap();
        assert!(kept.join("000002.index").exists() && kept.join("000002.stdout").exists());
        assert!(!files.index(2).exists());
        files.remove(2).unwrap();
        assert_eq!(files.segments().unwrap(), [10, 1_000_000]);
    }

    #[test]
    fn compressed_files_and_what_was_begun_belong_to_their_segment() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(directory.path().to_owned());
        for name in ["000001.index.zst", "000001.index", "000001.stdout.zst", "000001.stderr.zst.tmp"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        for orphan in ["000002.index.zst.tmp", "000003.stdout.zst", "000004.stderr.zst.tmp"] {
            fs::write(directory.path().join(orphan), "").unwrap();
        }
        assert_eq!(files.segments().unwrap(), [1]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4);
        files.remove(1).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
