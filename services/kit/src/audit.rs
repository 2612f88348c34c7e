//! The audit log of a service: files of lines, one a record, in a directory of the service's own.
//!
//! A record is in the kernel's hands before its call is answered, so that no kill loses it. Files are numbered; a full one
//! is followed by the next, and the oldest goes: the log has a bound. On a full disk there is room that was reserved; when
//! that is used up, too, calls go on unrecorded, are counted, and the next record tells how many: what frees space must not
//! be held up by what tells of it.

use crate::file;
use rustix::fs::{FallocateFlags, fallocate};
use schema::Failure;
use schema::audit::{AuditPage, AuditQuery, AuditRecord};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes after which a file is followed by the next.
const LIMIT: u64 = 4 << 20;
/// Files kept.
const FILES: u64 = 8;
/// Bytes that are kept free for records, so that a full disk holds up none for a while.
const RESERVE: u64 = 64 << 10;
/// Refused calls of one user that are recorded in [`WINDOW`]; more are counted. Nobody rotates the log away by what he may
/// not do.
const REFUSALS: u32 = 50;
const WINDOW: Duration = Duration::from_secs(10);
/// Users whose refused calls are counted at a time.
const USERS: usize = 4096;
/// Records of a page, if its reader does not say.
const PAGE: u32 = 1_000;
/// Bits of a place in the log that are the offset in a file.
const OFFSET_BITS: u32 = 32;
/// Of a digest, that are stored with each record: they tell damage, not forgery.
const DIGITS: usize = 8;
const ENDING: &str = "jsonl";

/// The log, as its one writer has it.
#[derive(Debug)]
pub(crate) struct AuditLog {
    directory: PathBuf,
    current: Option<Current>,
    missing: u64,
    refused: HashMap<u32, (Instant, u32)>,
}

/// The file that is being written.
#[derive(Debug)]
struct Current {
    file: File,
    number: u64,
    length: u64,
    reserved: u64,
    /// Its last line is not whole.
    is_torn: bool,
}

impl AuditLog {
    /// A log in a directory, which is made when there is something to write.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, current: None, missing: 0, refused: HashMap::new() }
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Records a call that was refused, unless that user has had too many of them.
    pub(crate) fn refusal(&mut self, record: AuditRecord) {
        let now = Instant::now();
        if self.refused.len() >= USERS {
            self.refused.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        let (since, count) = self.refused.entry(record.uid).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        if *count > REFUSALS {
            self.missing += 1;
        } else {
            self.append(record);
        }
    }

    /// Records a call. If it cannot be, that is counted.
    pub(crate) fn append(&mut self, record: AuditRecord) {
        let record = AuditRecord { missing: self.missing, ..record };
        match self.write(&record) {
            Ok(()) => self.missing = 0,
            Err(error) => {
                self.missing += 1;
                tracing::error!(%error, ?record, "a call could not be recorded");
            }
        }
    }

    fn write(&mut self, record: &AuditRecord) -> io::Result<()> {
        let line = line(record)?;
        let mut current = match self.current.take() {
            Some(current) => current,
            None => Current::newest(&self.directory)?,
        };
        if current.length > LIMIT
            // Better in a file that is too long than nowhere.
            && let Ok(next) = Current::open(&self.directory, current.number + 1)
        {
            remove_older(&self.directory, next.number);
            current = next;
        }
        let written = current.append(&line);
        self.current = Some(current);
        written
    }
}

impl Current {
    /// The newest file that there is, or the first.
    fn newest(directory: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let number = files(directory)?.last().map_or(1, |(number, _)| *number);
        Self::open(directory, number)
    }

    fn open(directory: &Path, number: u64) -> io::Result<Self> {
        let options = OpenOptions::new().read(true).append(true).create(true).mode(0o600).clone();
        let file = options.open(path(directory, number))?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        let mut current = Self { file, number, length, reserved: 0, is_torn: last != [b'\n'] };
        current.reserve();
        Ok(current)
    }

    fn reserve(&mut self) {
        if self.length + RESERVE / 2 > self.reserved {
            // Where a file system cannot, a full disk is felt at once.
            let reserved = self.length + RESERVE;
            if fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, reserved).is_ok() {
                self.reserved = reserved;
            }
        }
    }

    /// Appends a line, in one piece.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.write_all(b"\n")?;
            (self.is_torn, self.length) = (false, self.length + 1);
        }
        let count = self.file.write(line)?;
        self.length += count as u64;
        self.is_torn = count > 0 && count < line.len();
        if count < line.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.reserve();
        Ok(())
    }
}

/// A record as it is stored: the first digits of the SHA-256 of what follows, and the record as JSON.
fn line(record: &AuditRecord) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(record)?;
    let mut line = digest(&json).into_bytes();
    line.push(b' ');
    line.extend(json);
    line.push(b'\n');
    Ok(line)
}

/// The record of a whole line; none: it is damaged.
fn parse(line: &[u8]) -> Option<AuditRecord> {
    let (stored, json) = line.strip_suffix(b"\n")?.split_at_checked(DIGITS + 1)?;
    let is_whole = stored == format!("{} ", digest(json)).as_bytes();
    is_whole.then(|| serde_json::from_slice(json).ok()).flatten()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// Looks for damaged records, and names the files that have some. Blocks.
pub(crate) fn verify(directory: &Path) {
    let damaged = |path: &Path| -> io::Result<usize> {
        let mut reader = BufReader::new(File::open(path)?);
        let (mut line, mut damaged) = (Vec::new(), 0);
        while reader.read_until(b'\n', &mut line)? > 0 {
            damaged += usize::from(parse(&line).is_none());
            line.clear();
        }
        Ok(damaged)
    };
    for (_, path) in files(directory).unwrap_or_default() {
        match damaged(&path) {
            Ok(0) => {}
            Ok(count) => tracing::error!(path = %path.display(), count, "records of the audit log are damaged"),
            Err(error) => tracing::warn!(path = %path.display(), %error, "cannot read the audit log"),
        }
    }
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:010}.{ENDING}"))
}

/// The files of a log, oldest first.
fn files(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let number = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        name.strip_suffix(ENDING)?.strip_suffix('.')?.parse().ok()
    };
    let mut files: Vec<(u64, PathBuf)> =
        file::list(directory)?.into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
    files.sort();
    Ok(files)
}

/// Removes the files that are too old, now that there is this one.
fn remove_older(directory: &Path, number: u64) {
    let old = files(directory).unwrap_or_default().into_iter().filter(|(other, _)| other + FILES <= number);
    for (_, path) in old {
        if let Err(error) = file::remove(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove an old audit log");
        }
    }
}

/// Reads a part of a log. Blocks.
pub(crate) fn page(directory: &Path, query: AuditQuery) -> Result<AuditPage, Failure> {
    read_page(directory, query)
        .map_err(|error| Failure::io(format_args!("reading the audit log {}", directory.display()), &error))
}

fn read_page(directory: &Path, query: AuditQuery) -> io::Result<AuditPage> {
    let most = if query.max_count == 0 { PAGE } else { query.max_count.min(PAGE) } as usize;
    let (first, offset) = (query.after >> OFFSET_BITS, query.after & ((1 << OFFSET_BITS) - 1));
    let mut page = AuditPage { next: query.after, ..AuditPage::default() };
    let wanted = |record: &AuditRecord| record.at >= query.since && (query.until == 0 || record.at < query.until);
    for (number, path) in files(directory)?.into_iter().filter(|(number, _)| *number >= first) {
        let mut file = match File::open(path) {
            // It was too old meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let mut at = if number == first { offset } else { 0 };
        file.seek(SeekFrom::Start(at))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        while page.records.len() < most {
            line.clear();
            let count = reader.read_until(b'\n', &mut line)?;
            // What has no end yet is being written.
            if !line.ends_with(b"\n") {
                break;
            }
            at += count as u64;
            match parse(&line) {
                Some(record) if wanted(&record) => page.records.push(record),
                Some(_) => {}
                None => page.damaged += 1,
            }
        }
        page.next = (number << OFFSET_BITS) | at;
        if page.records.len() >= most {
            break;
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: i64) -> AuditRecord {
        AuditRecord { at: number, method: "containers.stop".into(), outcome: "ok".into(), ..AuditRecord::default() }
    }

    fn times(directory: &Path, query: AuditQuery) -> Vec<i64> {
        page(directory, query).unwrap().records.iter().map(|record| record.at).collect()
    }

    #[test]
    fn records_are_read_page_by_page_and_by_time_also_by_a_successor() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit");
        assert_eq!(page(&path, AuditQuery::default()).unwrap(), AuditPage::default());
        for start in [0, 5] {
            let mut log = AuditLog::new(path.clone());
            (start..start + 5).for_each(|number| log.append(record(number)));
        }
        assert_eq!(times(&path, AuditQuery::default()), Vec::from_iter(0..10));
        let (mut after, mut all) = (0, Vec::new());
        loop {
            let part = page(&path, AuditQuery { after, max_count: 3, ..AuditQuery::default() }).unwrap();
            all.extend(part.records.iter().map(|record| record.at));
            if part.next == after {
                break;
            }
            after = part.next;
        }
        assert_eq!(all, Vec::from_iter(0..10));
        assert_eq!(times(&path, AuditQuery { since: 3, until: 6, ..AuditQuery::default() }), [3, 4, 5]);
    }

    #[test]
    fn a_damaged_or_torn_line_harms_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = AuditLog::new(directory.path().to_owned());
        log.append(record(1));
        let file = path(directory.path(), 1);
        let mut other = OpenOptions::new().append(true).open(&file).unwrap();
        other.write_all(b"\xff\xfe{\n{\"at\":2,\"serv").unwrap();
        let mut log = AuditLog::new(directory.path().to_owned());
        log.append(record(3));
        let page = page(directory.path(), AuditQuery::default()).unwrap();
        assert_eq!((page.records.len(), page.damaged), (2, 2));
        assert_eq!(page.records[1].at, 3);
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let whole = line(&record(5)).unwrap();
        assert_eq!(parse(&whole), Some(record(5)));
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 4;
            assert_eq!(parse(&changed), None, "{at}");
        }
        assert!((0..whole.len()).all(|end| parse(&whole[..end]).is_none()));
    }

    #[test]
    fn the_log_has_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = AuditLog::new(directory.path().to_owned());
        for number in 0..i64::try_from(FILES).unwrap() + 3 {
            log.append(record(number));
            log.current.as_mut().unwrap().length = LIMIT + 1;
        }
        assert_eq!(files(directory.path()).unwrap().len() as u64, FILES);
        // Also from a place that is gone.
        assert_eq!(times(directory.path(), AuditQuery { after: 1 << OFFSET_BITS, ..AuditQuery::default() })[0], 3);
    }

    #[test]
    fn refused_calls_do_not_flood_it_and_what_is_missing_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = AuditLog::new(directory.path().to_owned());
        for _ in 0..REFUSALS + 7 {
            log.refusal(record(1));
        }
        log.refusal(AuditRecord { uid: 9, ..record(2) });
        let records = page(directory.path(), AuditQuery::default()).unwrap().records;
        assert_eq!(records.len(), REFUSALS as usize + 1);
        assert_eq!(records.last().map(|last| (last.uid, last.missing)), Some((9, 7)));
        // Where nothing can be written, it is counted.
        let mut nowhere = AuditLog::new("/dev/null/audit".into());
        nowhere.append(record(1));
        assert_eq!(nowhere.missing, 1);
    }
}
