//! Content by its digest.

use kit::file::{TEMPORARY, sync_parent, write_durably};
use layer_archive::{Bounded, Compression, decoder, expanded_limit};
use oci::manifest::LONGEST_DOCUMENT;
use schema::common::Layer;
use schema::image_store::Blob;
use schema::{Digest, Failure};
use std::fs::{self, File, Metadata};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

const BUFFER: usize = 256 << 10;
const REPAIR: &str = "`cctl system check --repair` sets it aside, and brings it again if it came from a registry";

/// The directory of blobs. A file gets its name there when its content is known to be right and on the disk.
#[derive(Debug)]
pub(crate) struct Blobs {
    directory: PathBuf,
    /// Of damaged blobs, under their names. Made when there is one.
    aside: PathBuf,
    /// Held while a blob gets or loses its name: two writers of the same small one would share its temporary file,
    /// and one that is set aside must not be the one that has just come in its place.
    writing: Mutex<()>,
}

impl Blobs {
    /// Opens or makes the directory, and removes what a killed writer left.
    pub(crate) fn open(state: &Path) -> Result<Self, Failure> {
        let directory = state.join("blobs").join("sha256");
        let failed = |error: io::Error| Failure::io(format_args!("opening {}", directory.display()), &error);
        fs::create_dir_all(&directory).map_err(failed)?;
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.to_string_lossy().ends_with(TEMPORARY) {
                fs::remove_file(&path).map_err(failed)?;
            }
        }
        Ok(Self { directory, aside: state.join("blobs").join("damaged"), writing: Mutex::default() })
    }

    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.hex())
    }

    /// A blob of which `stored` bytes were written; none: not known.
    pub(crate) fn find(&self, digest: &Digest, stored: Option<u64>) -> Result<Blob, Failure> {
        let path = self.path(digest);
        let size = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::not_found(format_args!("no such blob: {digest}"))
                    .hint("`cctl system check --repair` brings it again if it came from a registry"));
            }
            Err(error) => return Err(Failure::io(format_args!("looking at {}", path.display()), &error)),
        };
        match stored {
            Some(stored) if stored != size => {
                Err(Failure::corrupt(format_args!("blob {digest} is damaged: {size} bytes instead of {stored}"))
                    .hint(REPAIR))
            }
            _ => Ok(Blob { path, size }),
        }
    }

    /// Removes a blob; done also if there is none. Gives the bytes that were freed.
    pub(crate) fn remove(&self, digest: &Digest) -> Result<u64, Failure> {
        let path = self.path(digest);
        let size = fs::metadata(&path).map(|metadata| metadata.len()).unwrap_or_default();
        match fs::remove_file(&path) {
            Ok(()) => Ok(size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(Failure::io(format_args!("removing {}", path.display()), &error)),
        }
    }

    /// Moves a blob aside whose content is wrong or cannot be read, and tells where it is now; none if there is another
    /// file in its place since `seen` was.
    pub(crate) fn set_aside(&self, digest: &Digest, seen: &Metadata) -> Result<Option<PathBuf>, Failure> {
        let (path, kept) = (self.path(digest), self.aside.join(digest.hex()));
        let failed = |error: io::Error| Failure::io(format_args!("moving {} aside", path.display()), &error);
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found.map_err(failed)?,
        };
        if (now.dev(), now.ino()) != (seen.dev(), seen.ino()) {
            return Ok(None);
        }
        fs::create_dir_all(&self.aside)
            .and_then(|()| fs::rename(&path, &kept))
            .and_then(|()| sync_parent(&kept))
            .and_then(|()| sync_parent(&path))
            .map_err(failed)?;
        tracing::error!(%digest, kept = %kept.display(), "a damaged blob was moved aside");
        Ok(Some(kept))
    }

    /// Damaged blobs that were moved aside, and where they are.
    pub(crate) fn set_aside_before(&self) -> Result<Vec<(Digest, PathBuf)>, Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", self.aside.display()), &error);
        let named = |path: PathBuf| {
            let digest = format!("sha256:{}", path.file_name()?.to_string_lossy()).parse().ok()?;
            Some((digest, path))
        };
        Ok(kit::file::list(&self.aside).map_err(failed)?.into_iter().filter_map(named).collect())
    }

    /// All blobs, and when each was written.
    pub(crate) fn list(&self) -> Result<Vec<(Digest, SystemTime)>, Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", self.directory.display()), &error);
        let mut blobs = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(digest) = format!("sha256:{}", entry.file_name().to_string_lossy()).parse() else { continue };
            match entry.metadata().and_then(|metadata| metadata.modified()) {
                Ok(written) => blobs.push((digest, written)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(blobs)
    }

    /// Files in the directory that are no blobs.
    pub(crate) fn strangers(&self) -> Result<Vec<PathBuf>, Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", self.directory.display()), &error);
        let mut strangers = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if format!("sha256:{name}").parse::<Digest>().is_err() && !name.ends_with(TEMPORARY) {
                strangers.push(entry.path());
            }
        }
        Ok(strangers)
    }

    /// How many bytes a layer's archive has, uncompressed.
    pub(crate) fn expanded_size(&self, layer: &Layer) -> Result<u64, Failure> {
        let Blob { path, size } = self.find(&layer.digest, Some(layer.size))?;
        let failed = |error: io::Error| Failure::io(format_args!("reading layer {}", layer.digest.short()), &error);
        let compression = Compression::of_media_type(&layer.media_type).unwrap_or(Compression::None);
        if compression == Compression::None {
            return Ok(size);
        }
        let file = BufReader::with_capacity(BUFFER, File::open(&path).map_err(failed)?);
        let expanded = decoder(compression, file).map_err(failed)?;
        io::copy(&mut Bounded::new(expanded, expanded_limit(size)), &mut io::sink()).map_err(failed)
    }

    /// Makes a file a blob: its content has this digest and is on the disk. Done also if the blob is there
    /// and the file is not.
    pub(crate) fn adopt(&self, file: &Path, digest: &Digest) -> Result<(), Failure> {
        let path = self.path(digest);
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        match fs::rename(file, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => sync_parent(&path),
        }
        .map_err(|error| Failure::io(format_args!("storing the blob {digest}"), &error))
    }

    /// Stores a small blob of this digest, durably.
    pub(crate) fn put(&self, digest: &Digest, content: &[u8]) -> Result<(), Failure> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        write_durably(&self.path(digest), content)
            .map_err(|error| Failure::io(format_args!("storing the blob {digest}"), &error))
    }

    /// The content of a manifest or a configuration, verified.
    pub(crate) fn document(&self, digest: &Digest) -> Result<Vec<u8>, Failure> {
        let Blob { path, size } = self.find(digest, None)?;
        let damaged = |what: &str| Failure::corrupt(format_args!("blob {digest} is damaged: {what}")).hint(REPAIR);
        if size > LONGEST_DOCUMENT {
            return Err(damaged("it is too long for a document"));
        }
        let content =
            fs::read(&path).map_err(|error| Failure::io(format_args!("reading {}", path.display()), &error))?;
        if oci::digest(&content) == *digest { Ok(content) } else { Err(damaged("its content has another digest")) }
    }
}
