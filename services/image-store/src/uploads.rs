//! Archives on their way in.

use schema::{Digest, Failure};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// Bytes that one call may bring.
const MOST_A_CALL: usize = 1 << 20;
const LONGEST_NAME: usize = 64;
const PACKED: &str = ".packed";
const STAGED: &str = ".staged";

/// The caller's name of an upload: 1 to 64 lower-case letters and digits, so also a safe file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct UploadName(String);

impl UploadName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UploadName {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let fits = (1..=LONGEST_NAME).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Failure::invalid(format_args!("{text:?} is not an upload: 1 to 64 of a-z and 0-9")))
        }
    }
}

/// The directory of uploads.
#[derive(Debug)]
pub(crate) struct Uploads {
    directory: PathBuf,
}

impl Uploads {
    pub(crate) fn open(state: &Path) -> Result<Self, Failure> {
        let directory = state.join("uploads");
        fs::create_dir_all(&directory)
            .map_err(|error| Failure::io(format_args!("making {}", directory.display()), &error))?;
        Ok(Self { directory })
    }

    /// The archive as it comes.
    pub(crate) fn path(&self, name: &UploadName) -> PathBuf {
        self.directory.join(&name.0)
    }

    /// The archive recompressed.
    pub(crate) fn packed_path(&self, name: &UploadName) -> PathBuf {
        self.directory.join(format!("{}{PACKED}", name.0))
    }

    /// The directory of what an archive holds, each file under its digest.
    pub(crate) fn staging(&self, name: &UploadName) -> PathBuf {
        self.directory.join(format!("{}{STAGED}", name.0))
    }

    /// A blob of an archive.
    pub(crate) fn staged_path(&self, name: &UploadName, digest: &Digest) -> PathBuf {
        self.staging(name).join(digest.hex())
    }

    /// All uploads, and how long nobody has touched them. Left-overs of a killed import are removed.
    pub(crate) fn list(&self) -> Result<Vec<(UploadName, Duration)>, Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", self.directory.display()), &error);
        let mut uploads = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match entry.file_name().to_string_lossy().parse() {
                Ok(name) => {
                    let touched = entry.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?;
                    uploads.push((name, SystemTime::now().duration_since(touched).unwrap_or_default()));
                }
                Err(_) => remove_whatever(&entry.path()).map_err(failed)?,
            }
        }
        Ok(uploads)
    }

    /// Writes `data` at `offset`, all but what is there already. Gives the length.
    pub(crate) fn append(&self, name: &UploadName, offset: u64, data: &[u8]) -> Result<u64, Failure> {
        if data.len() > MOST_A_CALL {
            return Err(Failure::invalid(format_args!("{} bytes in one call: at most {MOST_A_CALL}", data.len())));
        }
        let failed = |error: io::Error| Failure::io(format_args!("writing the upload {:?}", name.0), &error);
        let beyond = |stored: u64| {
            Failure::conflict(format_args!("upload {:?} has {stored} bytes, byte {offset} does not follow", name.0))
        };
        let file = match OpenOptions::new().write(true).create(offset == 0).truncate(false).open(self.path(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(beyond(0)),
            other => other.map_err(failed)?,
        };
        let stored = file.metadata().map_err(failed)?.len();
        let known = stored.checked_sub(offset).ok_or_else(|| beyond(stored))?;
        let new = usize::try_from(known).ok().and_then(|known| data.get(known..)).unwrap_or_default();
        file.write_all_at(new, stored).map_err(failed)?;
        if new.is_empty() {
            file.set_modified(SystemTime::now()).map_err(failed)?;
        }
        Ok(stored + new.len() as u64)
    }

    /// Opens an upload to read it.
    pub(crate) fn read(&self, name: &UploadName) -> Result<File, Failure> {
        File::open(self.path(name)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => missing(name),
            _ => Failure::io(format_args!("reading the upload {:?}", name.0), &error),
        })
    }

    /// Removes what was made of an upload, if anything was. What stays is overwritten by the next attempt.
    pub(crate) fn remove_made(&self, name: &UploadName) {
        for path in [self.packed_path(name), self.staging(name)] {
            if let Err(error) = remove_whatever(&path) {
                tracing::warn!(upload = name.0, %error, "cannot remove what was made of an upload");
            }
        }
    }

    /// Removes an upload and what was made of it.
    pub(crate) fn remove(&self, name: &UploadName) -> Result<(), Failure> {
        for path in [self.path(name), self.packed_path(name), self.staging(name)] {
            remove_whatever(&path)
                .map_err(|error| Failure::io(format_args!("removing the upload {:?}", name.0), &error))?;
        }
        Ok(())
    }
}

/// Removes a file, or a directory with all that it holds; done also if there is none.
fn remove_whatever(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The failure for an upload that is not there.
pub(crate) fn missing(name: &UploadName) -> Failure {
    Failure::not_found(format_args!("no such upload: {:?}", name.0))
        .hint("uploads are removed when nobody touches them for an hour: send it again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schema::Code;

    fn name() -> UploadName {
        "up1".parse().unwrap()
    }

    #[test]
    fn names_are_safe_as_file_names() {
        for bad in ["", "..", "a/b", "A", "a.packed", &"a".repeat(65)] {
            assert!(bad.parse::<UploadName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn repeated_and_overlapping_pieces_change_nothing() {
        let state = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(state.path()).unwrap();
        assert_eq!(uploads.append(&name(), 5, b"x").unwrap_err().code, Code::Conflict);
        for (offset, data, length) in [(0, "hello", 5), (0, "hello", 5), (3, "lo wor", 9), (9, "ld", 11), (2, "", 11)] {
            assert_eq!(uploads.append(&name(), offset, data.as_bytes()).unwrap(), length);
        }
        assert_eq!(uploads.append(&name(), 12, b"x").unwrap_err().code, Code::Conflict);
        assert_eq!(fs::read(uploads.path(&name())).unwrap(), b"hello world");
        uploads.remove(&name()).unwrap();
        uploads.remove(&name()).unwrap();
        assert_eq!(uploads.read(&name()).unwrap_err().code, Code::NotFound);
    }

    #[test]
    fn a_call_brings_at_most_a_mebibyte() {
        let state = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(state.path()).unwrap();
        assert_eq!(uploads.append(&name(), 0, &vec![0; MOST_A_CALL]).unwrap(), 1 << 20);
        assert_eq!(uploads.append(&name(), 0, &vec![0; MOST_A_CALL + 1]).unwrap_err().code, Code::InvalidArgument);
    }

    proptest! {
        #[test]
        fn any_pieces_in_any_order_give_the_content(
            content in proptest::collection::vec(any::<u8>(), 1..100),
            pieces in proptest::collection::vec((0_usize..100, 1_usize..50), 0..30),
        ) {
            let state = tempfile::tempdir().unwrap();
            let uploads = Uploads::open(state.path()).unwrap();
            let mut length = uploads.append(&name(), 0, &content[..1]).unwrap();
            for (start, count) in pieces {
                let start = start.min(content.len());
                let end = (start + count).min(content.len());
                match uploads.append(&name(), start as u64, &content[start..end]) {
                    Ok(now) => length = now,
                    Err(failure) => {
                        prop_assert_eq!(failure.code, Code::Conflict);
                        prop_assert!(start as u64 > length);
                    }
                }
                prop_assert_eq!(&fs::read(uploads.path(&name())).unwrap()[..], &content[..usize::try_from(length).unwrap()]);
            }
        }
    }
}
