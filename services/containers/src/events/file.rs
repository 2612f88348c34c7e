//! A file of events: a line each, which begins with a part of the SHA-256 of the rest.

use crate::noted::Told;
use schema::Failure;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Hexadecimal digits of the hash.
const DIGITS: usize = 16;
/// No event takes more; what is longer is damage.
const LONGEST: usize = 1 << 20;

/// A file, and where its lines are.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    file: File,
    length: u64,
    /// Sequence and offset of each line.
    index: Vec<(u64, u64)>,
    first_at: Option<i64>,
}

/// Lines of a file from an offset on.
pub(super) struct Cut {
    file: File,
    path: PathBuf,
    from: u64,
    to: u64,
    after: u64,
}

impl Lines {
    /// Opens or makes a file and reads it. A line that was cut off is removed, a damaged one is skipped.
    pub(super) fn open(path: &Path, each: &mut impl FnMut(&Told)) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", path.display()), &error);
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        let mut lines = Self { path: path.to_owned(), file, length: 0, index: Vec::new(), first_at: None };
        let mut damaged = 0;
        let reader = lines.file.try_clone().map_err(failed)?;
        lines.length = scan(reader, |offset, told| match told {
            Some(told) => {
                each(&told);
                lines.index.push((told.event.sequence, offset));
                lines.first_at.get_or_insert(told.event.at);
                true
            }
            None => {
                damaged += 1;
                true
            }
        })
        .map_err(failed)?;
        let cut_off = lines.file.metadata().map_err(failed)?.len() - lines.length;
        if damaged > 0 || cut_off > 0 {
            let kept = lines.kept();
            std::fs::copy(path, &kept).map_err(failed)?;
            let (path, kept) = (path.display(), kept.display());
            tracing::error!(%path, damaged, cut_off, %kept, "damaged lines and a cut off end of the event log are left out");
        }
        lines.file.set_len(lines.length).map_err(failed)?;
        Ok(lines)
    }

    /// How many events it holds.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The time of its first event.
    pub(super) fn first_at(&self) -> Option<i64> {
        self.first_at
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a copy of it is put when it is found damaged.
    pub(super) fn kept(&self) -> PathBuf {
        self.path.with_extension("damaged")
    }

    /// Writes it anew without its damaged lines, of which a copy is kept. False: there are none.
    pub(super) fn mend(&mut self) -> Result<bool, Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("mending {}", self.path.display()), &error);
        let content = std::fs::read(&self.path).map_err(failed)?;
        let (mut whole, mut is_damaged) = (Vec::new(), false);
        let end = scan(&content[..], |offset, told| {
            match told {
                Some(_) => whole.push(offset),
                None => is_damaged = true,
            }
            true
        })
        .map_err(failed)?;
        is_damaged |= end < content.len() as u64;
        if !is_damaged {
            return Ok(false);
        }
        let line = |offset: u64| {
            let rest = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or_default();
            rest.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default().to_vec()
        };
        let kept: Vec<u8> = whole.into_iter().flat_map(line).collect();
        std::fs::copy(&self.path, self.kept())
            .and_then(|_| kit::file::write_durably(&self.path, &kept))
            .map_err(failed)?;
        *self = Self::open(&self.path, &mut |_| ())?;
        Ok(true)
    }

    /// The same file, under another path.
    pub(super) fn at(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }

    /// Adds an event: whole, or not at all.
    pub(super) fn append(&mut self, told: &Told) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("writing {}", self.path.display()), &error);
        let body = serde_json::to_string(told).map_err(|error| failed(error.into()))?;
        let line = format!("{} {body}\n", digest(body.as_bytes()));
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // What was written of it would make the next line unreadable.
            self.file.set_len(self.length).map_err(failed)?;
            return Err(failed(error));
        }
        self.index.push((told.event.sequence, self.length));
        self.length += line.len() as u64;
        self.first_at.get_or_insert(told.event.at);
        Ok(())
    }

    /// The part of it after an event; none if there is nothing.
    pub(super) fn after(&self, sequence: u64) -> Option<Cut> {
        let first = self.index.partition_point(|(other, _)| *other <= sequence);
        let (_, from) = *self.index.get(first)?;
        let file = File::open(&self.path).ok()?;
        Some(Cut { file, path: self.path.clone(), from, to: self.length, after: sequence })
    }
}

impl Cut {
    /// Hands out its events until `each` has enough.
    pub(super) fn read(mut self, each: &mut impl FnMut(Told) -> bool) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", self.path.display()), &error);
        self.file.seek(SeekFrom::Start(self.from)).map_err(failed)?;
        let part = io::Read::take(self.file, self.to - self.from);
        scan(part, |_, told| match told {
            Some(told) if told.event.sequence > self.after => each(told),
            _ => true,
        })
        .map_err(failed)?;
        Ok(())
    }
}

/// Reads lines until `each` has enough, and gives the length of the whole ones. A damaged line is given as none.
fn scan(file: impl io::Read, mut each: impl FnMut(u64, Option<Told>) -> bool) -> io::Result<u64> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut offset = 0;
    loop {
        line.clear();
        let length = io::Read::take(&mut reader, LONGEST as u64).read_until(b'\n', &mut line)? as u64;
        if line.last() != Some(&b'\n') {
            return Ok(offset);
        }
        if !each(offset, parse(&line)) {
            return Ok(offset + length);
        }
        offset += length;
    }
}

fn parse(line: &[u8]) -> Option<Told> {
    let line = line.strip_suffix(b"\n")?;
    let (hash, body) = (line.get(..DIGITS)?, line.get(DIGITS + 1..)?);
    if hash != digest(body).as_bytes() {
        return None;
    }
    serde_json::from_slice(body).ok()
}

fn digest(body: &[u8]) -> String {
    Sha256::digest(body).iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// Reads files: intact events, bytes, and the files with damage. A file that is not there is none.
pub(super) fn check(paths: &[PathBuf]) -> Result<(u64, u64, Vec<PathBuf>), Failure> {
    let (mut events, mut bytes, mut damaged) = (0, 0, Vec::new());
    for path in paths {
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", path.display()), &error);
        let mut is_damaged = false;
        let read = scan(File::open(path).map_err(failed)?, |_, told| {
            events += u64::from(told.is_some());
            is_damaged |= told.is_none();
            true
        });
        bytes += read.map_err(failed)?;
        if is_damaged {
            damaged.push(path.clone());
        }
    }
    Ok((events, bytes, damaged))
}
