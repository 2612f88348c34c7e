//! The content, for work that runs beside the actor: transfers, loads, commits.
//!
//! All methods but [`Shelf::hold`] read or write files: call them on a thread.

use crate::disk::Disk;
use crate::holds::{Hold, Holds};
use crate::partial::Partial;
use oci::digest;
use schema::image_store::Blob;
use schema::{Code, Digest, Failure};
use std::sync::Arc;

/// Blobs, what has arrived of blobs, and what must not be swept.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    pub(crate) disk: Arc<Disk>,
    pub(crate) holds: Holds,
}

impl Shelf {
    /// Keeps these blobs, and those that will have these digests, until the guard is dropped. Hold first, then
    /// look whether a blob is there; keep the guard until the image is registered.
    pub(crate) fn hold(&self, digests: impl IntoIterator<Item = Digest>) -> Hold {
        self.holds.hold(digests)
    }

    /// The blob, if it is there and has that many bytes.
    pub(crate) fn blob(&self, digest: &Digest, size: u64) -> Result<Option<Blob>, Failure> {
        match self.disk.blobs.find(digest, Some(size)) {
            Ok(blob) => Ok(Some(blob)),
            Err(failure) if matches!(failure.code, Code::NotFound | Code::Corrupt) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The bytes of a small blob: a manifest or a configuration. Verified.
    pub(crate) fn document(&self, digest: &Digest) -> Result<Vec<u8>, Failure> {
        self.disk.blobs.document(digest)
    }

    /// Stores a small blob, durably.
    /// Fails: corrupt if it does not have that digest.
    pub(crate) fn put(&self, wanted: &Digest, content: &[u8]) -> Result<(), Failure> {
        let found = digest(content);
        if found != *wanted {
            return Err(Failure::corrupt(format_args!("what arrived as {wanted} has the digest {found}")));
        }
        self.disk.blobs.put(wanted, content)
    }

    /// What has arrived of a blob, to go on with it. Reads that once, to hash it.
    /// Fails: conflict if somebody else has it open.
    pub(crate) fn partial(&self, digest: &Digest) -> Result<Partial, Failure> {
        self.disk.partials.begin(digest)
    }

    /// Makes a complete download a blob.
    /// Fails: corrupt, and forgets what has arrived, if its content does not have its digest.
    pub(crate) fn finish(&self, partial: Partial) -> Result<Blob, Failure> {
        partial.finish(&self.disk.blobs)
    }
}
