//! Reading a file of a segment, whether it is compressed or not.

use crate::files::unless_gone;
use packed::{Packed, read_at_most};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The content of a file.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// As it was written.
    Raw(File),
    /// Compressed.
    Packed(Packed),
}

impl Bytes {
    /// Opens a file in the form in which it exists; none: it was rotated away, or it is damaged.
    ///
    /// The compressed form is there before the other goes, so one of them is found.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        if let Some(file) = unless_gone(File::open(path))? {
            return Ok(Some(Self::Raw(file)));
        }
        let path = crate::files::packed(path);
        let Some(file) = unless_gone(File::open(&path))? else { return Ok(None) };
        match Packed::open(file) {
            Ok(packed) => Ok(Some(Self::Packed(packed))),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::error!(%error, file = %path.display(), "a compressed log is damaged: it is lost");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// By which the file is known from another: its device and inode.
    pub(crate) fn identity(&self) -> io::Result<(u64, u64)> {
        let file = match self {
            Self::Raw(file) => file.metadata()?,
            Self::Packed(packed) => packed.metadata()?,
        };
        Ok((file.dev(), file.ino()))
    }

    /// Bytes of content.
    pub(crate) fn length(&self) -> io::Result<u64> {
        match self {
            Self::Raw(file) => Ok(file.metadata()?.len()),
            Self::Packed(packed) => Ok(packed.length()),
        }
    }

    /// Reads until the buffer is full or the content ends.
    pub(crate) fn read_at_most(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Raw(file) => read_at_most(file, buffer, offset),
            Self::Packed(packed) => packed.read_at_most(buffer, offset),
        }
    }
}
