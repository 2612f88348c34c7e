//! Blobs that have arrived in part.

use crate::blobs::Blobs;
use registry_client::Sink;
use schema::image_store::Blob;
use schema::{Digest, Failure};
use sha2::Digest as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const BUFFER: usize = 256 << 10;

/// The directory of partial downloads: one file a digest. Its length is how much has arrived, also for the
/// next process.
#[derive(Debug)]
pub(crate) struct Partials {
    directory: PathBuf,
}

/// A blob that arrives. While it is open nobody else can open it.
#[derive(Debug)]
pub(crate) struct Partial {
    file: File,
    path: PathBuf,
    digest: Digest,
    hasher: sha2::Sha256,
    length: u64,
}

impl Partials {
    pub(crate) fn open(state: &Path) -> Result<Self, Failure> {
        let directory = state.join("partial");
        fs::create_dir_all(&directory)
            .map_err(|error| Failure::io(format_args!("making {}", directory.display()), &error))?;
        Ok(Self { directory })
    }

    /// What has arrived of a blob, to go on with it. Reads that once, to hash it.
    /// Fails: conflict if somebody else has it open.
    pub(crate) fn begin(&self, digest: &Digest) -> Result<Partial, Failure> {
        let path = self.directory.join(digest.hex());
        let failed = |error: io::Error| Failure::io(format_args!("opening the partial blob {digest}"), &error);
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::conflict(format_args!("{digest} is being downloaded already")));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut partial = Partial { file, path, digest: digest.clone(), hasher: sha2::Sha256::new(), length: 0 };
        partial.hash_what_is_there().map_err(failed)?;
        Ok(partial)
    }

    /// Removes what nobody has written to for `life` and nobody has open.
    pub(crate) fn expire(&self, life: Duration) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", self.directory.display()), &error);
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let file = File::open(&path).map_err(failed)?;
            let touched = file.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?;
            let old = SystemTime::now().duration_since(touched).is_ok_and(|idle| idle > life);
            if old && file.try_lock().is_ok() {
                fs::remove_file(&path).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// What a transfer brings.
impl Sink for Partial {
    fn length(&self) -> u64 {
        self.length
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file
            .write_all(bytes)
            .map_err(|error| Failure::io(format_args!("writing the partial blob {}", self.digest), &error))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), Failure> {
        self.file
            .set_len(0)
            .map_err(|error| Failure::io(format_args!("emptying the partial blob {}", self.digest), &error))?;
        (self.hasher, self.length) = (sha2::Sha256::new(), 0);
        Ok(())
    }
}

impl Partial {
    /// Makes it a blob, on the disk.
    /// Fails: corrupt, and forgets what has arrived, if its content does not have its digest.
    pub(crate) fn finish(self, blobs: &Blobs) -> Result<Blob, Failure> {
        let found = Digest::from_sha256(&self.hasher.finalize().into());
        if found != self.digest {
            // Whoever cannot remove it finds it wrong again, and tries to remove it again.
            let _left = fs::remove_file(&self.path);
            return Err(Failure::corrupt(format_args!(
                "what arrived as {} has the digest {found}: {} bytes are discarded",
                self.digest, self.length
            )));
        }
        self.file.sync_all().map_err(|error| Failure::io(format_args!("storing the blob {}", self.digest), &error))?;
        blobs.adopt(&self.path, &self.digest)?;
        blobs.find(&self.digest, Some(self.length))
    }

    fn hash_what_is_there(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(()),
                count => {
                    self.hasher.update(&buffer[..count]);
                    self.length += count as u64;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci::digest;
    use schema::Code;

    fn opened() -> (tempfile::TempDir, Partials, Blobs) {
        let state = tempfile::tempdir().unwrap();
        let (partials, blobs) = (Partials::open(state.path()).unwrap(), Blobs::open(state.path()).unwrap());
        (state, partials, blobs)
    }

    #[test]
    fn a_download_goes_on_where_it_stopped() {
        let (_state, partials, blobs) = opened();
        let wanted = digest(b"hello world");
        let mut partial = partials.begin(&wanted).unwrap();
        partial.append(b"hello ").unwrap();
        assert_eq!(partials.begin(&wanted).unwrap_err().code, Code::Conflict);
        drop(partial);
        let mut partial = partials.begin(&wanted).unwrap();
        assert_eq!(partial.length(), 6);
        partial.append(b"world").unwrap();
        let blob = partial.finish(&blobs).unwrap();
        assert_eq!((fs::read(blob.path).unwrap(), blob.size), (b"hello world".to_vec(), 11));
        assert_eq!(partials.begin(&wanted).unwrap().length(), 0);
    }

    #[test]
    fn a_flipped_byte_is_never_a_blob() {
        let (_state, partials, blobs) = opened();
        let wanted = digest(b"hello");
        let mut partial = partials.begin(&wanted).unwrap();
        partial.append(b"hellO").unwrap();
        assert_eq!(partial.finish(&blobs).unwrap_err().code, Code::Corrupt);
        assert_eq!(blobs.find(&wanted, None).unwrap_err().code, Code::NotFound);
        let mut partial = partials.begin(&wanted).unwrap();
        assert_eq!(partial.length(), 0);
        partial.append(b"xx").unwrap();
        partial.restart().unwrap();
        partial.append(b"hello").unwrap();
        partial.finish(&blobs).unwrap();
    }

    #[test]
    fn what_nobody_has_touched_for_long_goes_unless_it_is_open() {
        let (state, partials, _) = opened();
        let (open, closed, fresh) = (digest(b"1"), digest(b"2"), digest(b"3"));
        let held = partials.begin(&open).unwrap();
        drop(partials.begin(&closed).unwrap());
        drop(partials.begin(&fresh).unwrap());
        let long_ago = SystemTime::now() - Duration::from_secs(100);
        for old in [&open, &closed] {
            File::open(state.path().join("partial").join(old.hex())).unwrap().set_modified(long_ago).unwrap();
        }
        partials.expire(Duration::from_secs(50)).unwrap();
        let is_there = |digest: &Digest| state.path().join("partial").join(digest.hex()).exists();
        assert_eq!([&open, &closed, &fresh].map(is_there), [true, false, true]);
        drop(held);
    }
}
