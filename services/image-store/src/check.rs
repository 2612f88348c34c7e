//! Reading an upload to its end: is it a sound archive, and what are its digests?

use crate::eager::Eager;
use crate::packing::Packing;
use crate::uploads::{UploadName, Uploads};
use layer_archive::{Bounded, Compression, Error, Hashed, Members, decoder, expanded_limit};
use schema::common::Layer;
use schema::{Digest, Failure};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const BUFFER: usize = 256 << 10;
/// How hard a layer that was made here is compressed: see docs/decisions/0029.
const LEVEL: u32 = 1;
const HINT: &str = "give a tar archive, plain or compressed with gzip, bzip2, xz or zstd";

/// What reading an upload found. The file to keep is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) layer: Layer,
    /// Whether the file to keep is not the upload itself but was made of it, because OCI does not know the
    /// upload's compression.
    pub(crate) packed: bool,
}

/// What is done with an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It came from elsewhere: it is kept as it is, if OCI knows its compression, and has at least one member.
    Import,
    /// A layer that was made here or lies in an archive of images: it is compressed if it is not, and may be empty.
    Layer,
}

/// Reads an upload once. Ends with a failure when `cancelled` is set.
pub(crate) fn check(
    uploads: &Uploads,
    name: &UploadName,
    purpose: Use,
    cancelled: &AtomicBool,
) -> Result<Checked, Failure> {
    let file = uploads.read(name)?;
    let failed = |error: io::Error| Failure::io("reading the upload", &error);
    let length = file.metadata().map_err(failed)?.len();
    let source = Cancellable { inner: &file, cancelled };
    let read = read(source, Some(length), expanded_limit(length), &uploads.packed_path(name), purpose);
    let (checked, _) = read.map_err(|error| match error {
        _ if cancelled.load(Ordering::Relaxed) => abandoned(),
        other => unsound(other),
    })?;
    if !checked.packed {
        file.sync_all().map_err(failed)?;
    }
    Ok(checked)
}

/// Reads a layer that was made here while it comes.
pub(crate) fn follow(source: impl Read, packed: &Path) -> Result<Checked, Failure> {
    read(source, None, u64::MAX, packed, Use::Layer).map(|(checked, _)| checked).map_err(unsound)
}

fn unsound(error: Error) -> Failure {
    match error {
        Error::Invalid(reason) => Failure::invalid(reason).hint(HINT),
        Error::Io(error) => Failure::io("reading the upload", &error),
    }
}

/// The failure of work on an upload that nobody wants any more.
pub(crate) fn abandoned() -> Failure {
    Failure::conflict("the upload was abandoned")
}

/// Reads an archive of `length` bytes, if that is known, which may have `limit` when it is expanded. Also gives how
/// many it has.
pub(crate) fn read(
    source: impl Read,
    length: Option<u64>,
    limit: u64,
    packed: &Path,
    purpose: Use,
) -> Result<(Checked, u64), Error> {
    let mut buffered = BufReader::with_capacity(BUFFER, source);
    let compression = Compression::detect(buffered.fill_buf()?);
    let level = match (compression, purpose) {
        (Compression::None, Use::Layer) => Some(flate2::Compression::new(LEVEL)),
        (Compression::Bzip2 | Compression::Xz, _) => Some(flate2::Compression::default()),
        (Compression::None | Compression::Gzip | Compression::Zstd, _) => None,
    };
    // What is not compressed is not hashed twice.
    let (stored, ((diff_id, expanded), made)) = if compression == Compression::None {
        let (archive, made) = expand(Bounded::new(buffered, limit), packed, purpose, level)?;
        (archive.clone(), (archive, made))
    } else {
        let mut stored = Hashed::new(buffered);
        let compressed = BufReader::with_capacity(BUFFER, &mut stored);
        let expanded = expand(Bounded::new(decoder(compression, compressed)?, limit), packed, purpose, level)?;
        let (digest, read, _) = stored.finish();
        ((Digest::from_sha256(&digest), read), expanded)
    };
    if length.is_some_and(|length| stored.1 != length) {
        return Err(Error::Invalid("something follows the compressed data".to_owned()));
    }
    Ok((checked(stored, diff_id, compression, made), expanded))
}

/// The digest and the length of some bytes.
type Sum = (Digest, u64);

/// Reads an archive, and compresses it if there is a level: what it is, and what was made of it.
fn expand(
    archive: impl Read,
    packed: &Path,
    purpose: Use,
    level: Option<flate2::Compression>,
) -> Result<(Sum, Option<Sum>), Error> {
    let Some(level) = level else {
        let mut hashed = Hashed::new(archive);
        members(&mut hashed, purpose)?;
        let (diff_id, length, _) = hashed.finish();
        return Ok(((Digest::from_sha256(&diff_id), length), None));
    };
    let packing = Packing::new(Hashed::new(Eager::new(File::create(packed)?)), level)?;
    let mut hashed = Hashed::new(Tee { inner: archive, packing });
    members(&mut hashed, purpose)?;
    let (diff_id, length, tee) = hashed.finish();
    let (digest, size, file) = tee.packing.finish()?.finish();
    file.finish()?;
    Ok(((Digest::from_sha256(&diff_id), length), Some((Digest::from_sha256(&digest), size))))
}

fn checked((digest, length): Sum, diff_id: Digest, compression: Compression, made: Option<Sum>) -> Checked {
    let packed = made.is_some();
    let kept = if packed { Compression::Gzip } else { compression }.media_type().unwrap_or_default();
    let (digest, size) = made.unwrap_or((digest, length));
    Checked { layer: Layer { digest, diff_id, media_type: kept.to_owned(), size }, packed }
}

/// Reads all members, and so the reader to its end.
fn members(reader: impl Read, purpose: Use) -> Result<(), Error> {
    let mut members = Members::new(BufReader::with_capacity(BUFFER, reader));
    while members.next()?.is_some() {}
    if members.count() == 0 && purpose == Use::Import {
        return Err(Error::Invalid("the archive is empty".to_owned()));
    }
    Ok(())
}

/// A reader that fails once the upload was abandoned.
pub(crate) struct Cancellable<'a, R> {
    pub(crate) inner: R,
    pub(crate) cancelled: &'a AtomicBool,
}

impl<R: Read> Read for Cancellable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::other("abandoned"));
        }
        self.inner.read(buffer)
    }
}

/// A reader that has what is read from it compressed.
struct Tee<R, W> {
    inner: R,
    packing: Packing<W>,
}

impl<R: Read, W> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.packing.write_all(&buffer[..count])?;
        Ok(count)
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
