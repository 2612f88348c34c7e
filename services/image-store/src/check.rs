//! Reading an upload to its end: is it a sound archive, and what are its digests?

use crate::uploads::{UploadName, Uploads};
use flate2::write::GzEncoder;
use layer_archive::{Bounded, Compression, Error, Hashed, Members, decoder, expanded_limit};
use schema::common::Layer;
use schema::{Digest, Failure};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const BUFFER: usize = 256 << 10;
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
    file.sync_all().map_err(failed)?;
    let source = Cancellable { inner: file, cancelled };
    read(source, length, expanded_limit(length), &uploads.packed_path(name), purpose)
        .map(|(checked, _)| checked)
        .map_err(|error| match error {
            _ if cancelled.load(Ordering::Relaxed) => abandoned(),
            Error::Invalid(reason) => Failure::invalid(reason).hint(HINT),
            Error::Io(error) => failed(error),
        })
}

/// The failure of work on an upload that nobody wants any more.
pub(crate) fn abandoned() -> Failure {
    Failure::conflict("the upload was abandoned")
}

/// Reads an archive of `length` bytes, which may have `limit` when it is expanded. Also gives how many it has.
pub(crate) fn read(
    source: impl Read,
    length: u64,
    limit: u64,
    packed: &Path,
    purpose: Use,
) -> Result<(Checked, u64), Error> {
    let mut stored = Hashed::new(source);
    let mut buffered = BufReader::with_capacity(BUFFER, &mut stored);
    let compression = Compression::detect(buffered.fill_buf()?);
    let level = match (compression, purpose) {
        (Compression::None, Use::Layer) => Some(flate2::Compression::fast()),
        (Compression::Bzip2 | Compression::Xz, _) => Some(flate2::Compression::default()),
        (Compression::None | Compression::Gzip | Compression::Zstd, _) => None,
    };
    let expanded = Bounded::new(decoder(compression, buffered)?, limit);
    let (diff_id, expanded, made) = match level {
        None => {
            let mut hashed = Hashed::new(expanded);
            members(&mut hashed, purpose)?;
            let (diff_id, expanded, _) = hashed.finish();
            (diff_id, expanded, None)
        }
        Some(level) => {
            let mut hashed = Hashed::new(Packing::new(expanded, packed, level)?);
            members(&mut hashed, purpose)?;
            let (diff_id, expanded, packing) = hashed.finish();
            (diff_id, expanded, Some(packing.finish()?))
        }
    };
    let (digest, read, _) = stored.finish();
    if read != length {
        return Err(Error::Invalid("something follows the compressed data".to_owned()));
    }
    let checked = checked(Digest::from_sha256(&digest), length, Digest::from_sha256(&diff_id), compression, made);
    Ok((checked, expanded))
}

fn checked(
    digest: Digest,
    length: u64,
    diff_id: Digest,
    compression: Compression,
    made: Option<(Digest, u64)>,
) -> Checked {
    let packed = made.is_some();
    let kept = if packed { Compression::Gzip } else { compression }.media_type().unwrap_or_default();
    let (digest, size) = made.unwrap_or((digest, length));
    Checked { layer: Layer { digest, diff_id, media_type: kept.to_owned(), size }, packed }
}

/// Reads all members, and so the reader to its end.
fn members(reader: impl Read, purpose: Use) -> Result<(), Error> {
    let mut members = Members::new(reader);
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

/// A reader that writes what is read from it to a file, compressed with gzip.
struct Packing<R> {
    inner: R,
    encoder: GzEncoder<BufWriter<Hashed<File>>>,
}

impl<R> Packing<R> {
    fn new(inner: R, path: &Path, level: flate2::Compression) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BUFFER, Hashed::new(File::create(path)?));
        Ok(Self { inner, encoder: GzEncoder::new(file, level) })
    }

    /// The file's digest and size; it is on the disk.
    fn finish(self) -> io::Result<(Digest, u64)> {
        let hashed = self.encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        let (digest, size, file) = hashed.finish();
        file.sync_all()?;
        Ok((Digest::from_sha256(&digest), size))
    }
}

impl<R: Read> Read for Packing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.encoder.write_all(&buffer[..count])?;
        Ok(count)
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
