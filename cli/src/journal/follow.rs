//! A log as it grows.

use super::Record;
use schema::Failure;
use schema::instance::previous_log;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With the log before the current one.
    Start,
    /// With what is written from now on.
    End,
}

/// A place in a log.
#[derive(Debug)]
pub(crate) struct Follower {
    path: PathBuf,
    /// Bytes of the current log that were read.
    read: u64,
    /// The beginning of a line.
    rest: Vec<u8>,
    /// Also what the log before this one has.
    before: bool,
}

impl Follower {
    /// A place at one of the ends.
    pub(crate) fn new(path: PathBuf, begin: Begin) -> Self {
        let read = match begin {
            Begin::Start => 0,
            Begin::End => std::fs::metadata(&path).map_or(0, |metadata| metadata.len()),
        };
        Self { path, read, rest: Vec::new(), before: begin == Begin::Start }
    }

    /// What is new. A log that has become shorter was begun anew: what is not read of it yet lies in the one before.
    pub(crate) fn read(&mut self) -> Result<Vec<Record>, Failure> {
        let failed = |error| Failure::io(format_args!("reading {}", self.path.display()), &error);
        let mut bytes = std::mem::take(&mut self.rest);
        let length = length(&self.path).map_err(failed)?;
        if self.before || length < self.read {
            from(&previous_log(&self.path), self.read, &mut bytes).map_err(failed)?;
            (self.before, self.read) = (false, 0);
        }
        self.read += from(&self.path, self.read, &mut bytes).map_err(failed)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.rest = bytes.split_off(whole);
        let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        Ok(lines.filter_map(Record::read).collect())
    }
}

fn length(path: &Path) -> io::Result<u64> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        metadata => metadata.map(|metadata| metadata.len()),
    }
}

/// Adds what a file has from a place on; how much that is.
fn from(path: &Path, place: u64, bytes: &mut Vec<u8>) -> io::Result<u64> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        opened => opened?,
    };
    file.seek(SeekFrom::Start(place))?;
    file.read_to_end(bytes).map(|count| count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn line(number: u32) -> String {
        format!("{{\"timestamp\":\"{number}\",\"level\":\"INFO\",\"fields\":{{}}}}\n")
    }

    fn read(follower: &mut Follower) -> Vec<String> {
        follower.read().unwrap().into_iter().map(|record| record.timestamp).collect()
    }

    #[test]
    fn every_line_is_read_once_also_over_a_new_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut follower = Follower::new(path.clone(), Begin::End);
        assert!(read(&mut follower).is_empty());
        let mut log = File::options().append(true).create(true).open(&path).unwrap();
        let second = line(2);
        write!(log, "{}{}", line(1), &second[..9]).unwrap();
        assert_eq!(read(&mut follower), ["1"]);
        writeln!(log, "{}not JSON", &second[9..]).unwrap();
        assert_eq!(read(&mut follower), ["2"]);
        write!(log, "{}", line(3)).unwrap();
        std::fs::copy(&path, previous_log(&path)).unwrap();
        log.set_len(0).unwrap();
        write!(log, "{}", line(4)).unwrap();
        assert_eq!(read(&mut follower), ["3", "4"]);
        assert!(read(&mut follower).is_empty());
        assert_eq!(read(&mut Follower::new(path.clone(), Begin::Start)), ["1", "2", "3", "4"]);
        assert!(read(&mut Follower::new(path, Begin::End)).is_empty());
    }
}
