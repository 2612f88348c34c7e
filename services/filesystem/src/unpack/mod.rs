//! From a layer's blob to a directory that overlayfs can use.
//!
//! What an archive may be is decided by `layer-archive`, for the image store and for this service alike. Here
//! it meets a filesystem: every name is resolved beneath the target, whatever links the archive has made
//! there before.

mod attributes;
mod extract;

use crate::{beneath, look, walk};
use extract::Extractor;
use layer_archive::{Bounded, Compression, Error, Hashed, MemberPath, Members, decoder, expanded_limit};
use rustix::io::Errno;
use schema::common::Layer;
use schema::{Digest, Failure};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
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
            .hint("`cctl system check --repair` brings it again if it came from a registry")
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
    let mut hashed = Hashed::new(expand(blob, Some(compression))?);
    let mut members = Members::new(&mut hashed);
    fill(Extractor::layer(target)?, &mut members)?;
    Ok(Digest::from_sha256(&hashed.finish().0))
}

/// Unpacks an archive, however it is compressed, below a directory of an existing tree. It is read twice: one
/// that is damaged or hostile is refused before anything is written.
///
/// Fails with `notFound` if there is no such directory, and `invalidArgument` for an archive that would leave
/// the tree, or that does not fit into it.
pub fn unpack_files(root: OwnedFd, directory: &str, archive: &Path, keep_owner: bool) -> Result<(), Failure> {
    let failed = |error: Errno| look::failed(directory, error);
    let below = beneath::real_path(root.as_fd(), OsStr::new(directory)).map_err(failed)?;
    let opened = beneath::open_directory(root.as_fd(), OsStr::from_bytes(&below)).map_err(failed)?;
    if walk::is_kernels(opened.as_fd()).map_err(failed)? {
        return Err(Failure::invalid(format_args!("{directory} shows the kernel's state, it is not for files")));
    }
    let below = MemberPath::parse(&below).map_err(unreadable)?;
    let mut members = Members::plain(expand(archive, None)?);
    while members.next().map_err(unreadable)?.is_some() {}
    fill(Extractor::files(root, below, keep_owner), &mut Members::plain(expand(archive, None)?))
}

fn fill<R: Read>(mut extractor: Extractor, members: &mut Members<R>) -> Result<(), Failure> {
    while let Some(member) = members.next().map_err(unreadable)? {
        extractor.add(member, members)?;
    }
    extractor.finish()
}

/// What an archive's file holds, bounded. Without a compression being told, the file's first bytes tell it.
fn expand(path: &Path, compression: Option<Compression>) -> Result<impl Read + use<>, Failure> {
    let failed = |error: io::Error| reading(path, &error);
    let file = open(path)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut compressed = BufReader::with_capacity(BUFFER, file);
    let beginning = compressed.fill_buf().map_err(failed)?;
    let compression = compression.unwrap_or_else(|| Compression::detect(beginning));
    let expanded = decoder(compression, compressed).map_err(failed)?;
    Ok(Bounded::new(expanded, expanded_limit(length)))
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
        Error::Io(error) => Failure::io("reading the archive", &error),
    }
}
