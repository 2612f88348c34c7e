//! From a layer's blob to a directory that overlayfs can use.
//!
//! What an archive may be is decided by `layer-archive`, for the image store and for this service alike. Here
//! it meets a filesystem: every name is resolved beneath the target, whatever links the archive has made
//! there before.

mod attributes;
mod extract;

use extract::Extractor;
use layer_archive::{Bounded, Compression, Error, Hashed, Members, decoder, expanded_limit};
use schema::common::Layer;
use schema::{Digest, Failure};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const BUFFER: usize = 256 << 10;

/// Unpacks a layer's blob into an empty directory, which must exist. When it returns, the digest of what was
/// unpacked is the one that the layer promised; it is not yet on the disk.
///
/// Fails with `invalidArgument` for an archive that would leave the directory or that no filesystem can
/// hold, `corrupt` if the blob is not what it was, `resourceExhausted` if the disk is full.
pub fn unpack(layer: &Layer, blob: &Path, target: &Path) -> Result<(), Failure> {
    let damaged = |what: &str| {
        Failure::corrupt(format_args!("layer {} is damaged: {what}", layer.digest.short()))
            .hint("import the image again")
    };
    match extract(layer, blob, target) {
        Ok(diff_id) if diff_id == layer.diff_id => Ok(()),
        Ok(_) => Err(damaged("its content has another digest")),
        // Was the archive made so, or has its blob changed since it was stored?
        Err(failure) if failure.code == schema::Code::InvalidArgument && hash(blob)? != layer.digest => {
            Err(damaged(&failure.message))
        }
        Err(failure) => Err(failure.context(format_args!("layer {}", layer.digest.short()))),
    }
}

fn extract(layer: &Layer, blob: &Path, target: &Path) -> Result<Digest, Failure> {
    let compression = Compression::of_media_type(&layer.media_type).ok_or_else(|| {
        Failure::unimplemented(format_args!("a layer of the unknown media type {:?}", layer.media_type))
    })?;
    let file = open(blob)?;
    let length = file.metadata().map_err(|error| reading(blob, &error))?.len();
    let compressed = BufReader::with_capacity(BUFFER, file);
    let expanded = decoder(compression, compressed).map_err(|error| reading(blob, &error))?;
    let mut hashed = Hashed::new(Bounded::new(expanded, expanded_limit(length)));
    let mut members = Members::new(&mut hashed);
    let mut extractor = Extractor::new(target)?;
    while let Some(member) = members.next().map_err(unreadable)? {
        extractor.add(&member, &mut members)?;
    }
    extractor.finish()?;
    Ok(Digest::from_sha256(&hashed.finish().0))
}

fn hash(blob: &Path) -> Result<Digest, Failure> {
    let mut hashed = Hashed::new(open(blob)?);
    let mut buffer = vec![0; BUFFER];
    while hashed.read(&mut buffer).map_err(|error| reading(blob, &error))? > 0 {}
    Ok(Digest::from_sha256(&hashed.finish().0))
}

fn open(blob: &Path) -> Result<File, Failure> {
    File::open(blob).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::not_found(format_args!("the blob {} is gone", blob.display())),
        _ => reading(blob, &error),
    })
}

fn reading(blob: &Path, error: &io::Error) -> Failure {
    Failure::io(format_args!("reading {}", blob.display()), error)
}

fn unreadable(error: Error) -> Failure {
    match error {
        Error::Invalid(reason) => Failure::invalid(reason),
        Error::Io(error) => Failure::io("reading the blob", &error),
    }
}
