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

/// Reads an upload once. Ends with a failure when `cancelled` is set.
pub(crate) fn check(uploads: &Uploads, name: &UploadName, cancelled: &AtomicBool) -> Result<Checked, Failure> {
    let file = uploads.read(name)?;
    let failed = |error: io::Error| Failure::io("reading the upload", &error);
    let length = file.metadata().map_err(failed)?.len();
    file.sync_all().map_err(failed)?;
    read(file, length, expanded_limit(length), &uploads.packed_path(name), cancelled).map_err(|error| match error {
        _ if cancelled.load(Ordering::Relaxed) => Failure::conflict("the upload was abandoned"),
        Error::Invalid(reason) => Failure::invalid(reason).hint(HINT),
        Error::Io(error) => Failure::io("reading the upload", &error),
    })
}

fn read(file: File, length: u64, limit: u64, packed: &Path, cancelled: &AtomicBool) -> Result<Checked, Error> {
    let mut stored = Hashed::new(Cancellable { file, cancelled });
    let mut buffered = BufReader::with_capacity(BUFFER, &mut stored);
    let compression = Compression::detect(buffered.fill_buf()?);
    let expanded = Bounded::new(decoder(compression, buffered)?, limit);
    let (diff_id, made) = match compression {
        Compression::None => {
            members(expanded)?;
            (None, None)
        }
        Compression::Gzip | Compression::Zstd => {
            let mut hashed = Hashed::new(expanded);
            members(&mut hashed)?;
            (Some(Digest::from_sha256(&hashed.finish().0)), None)
        }
        Compression::Bzip2 | Compression::Xz => {
            let mut hashed = Hashed::new(Packing::new(expanded, packed)?);
            members(&mut hashed)?;
            let (diff_id, _, packing) = hashed.finish();
            (Some(Digest::from_sha256(&diff_id)), Some(packing.finish()?))
        }
    };
    let (digest, read, _) = stored.finish();
    if read != length {
        return Err(Error::Invalid("something follows the compressed data".to_owned()));
    }
    Ok(checked(Digest::from_sha256(&digest), length, diff_id, compression, made))
}

fn checked(
    digest: Digest,
    length: u64,
    diff_id: Option<Digest>,
    compression: Compression,
    made: Option<(Digest, u64)>,
) -> Checked {
    let packed = made.is_some();
    let kept = compression.media_type().or(Compression::Gzip.media_type()).unwrap_or_default();
    let diff_id = diff_id.unwrap_or_else(|| digest.clone());
    let (digest, size) = made.unwrap_or((digest, length));
    Checked { layer: Layer { digest, diff_id, media_type: kept.to_owned(), size }, packed }
}

/// Reads all members, and so the reader to its end.
fn members(reader: impl Read) -> Result<(), Error> {
    let mut members = Members::new(reader);
    while members.next()?.is_some() {}
    Ok(())
}

/// A file that cannot be read any more once the upload was abandoned.
struct Cancellable<'a> {
    file: File,
    cancelled: &'a AtomicBool,
}

impl Read for Cancellable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::other("abandoned"));
        }
        self.file.read(buffer)
    }
}

/// A reader that writes what is read from it to a file, compressed with gzip.
struct Packing<R> {
    inner: R,
    encoder: GzEncoder<BufWriter<Hashed<File>>>,
}

impl<R> Packing<R> {
    fn new(inner: R, path: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(BUFFER, Hashed::new(File::create(path)?));
        Ok(Self { inner, encoder: GzEncoder::new(file, flate2::Compression::default()) })
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
