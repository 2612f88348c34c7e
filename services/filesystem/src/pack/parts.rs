//! Files in which parts of archives are handed to callers on this host: a message copies every byte at every step of its way.
//!
//! They lie in memory, below `$CCTL_RUN`. Nobody but root can open them: whoever has one open keeps its memory.

use rustix::fs::FallocateFlags;
use schema::Failure;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of a part in a file: fits into a cache of the processor.
pub(crate) const SIZE: usize = 4 << 20;
/// Archives that have files at a time.
const MOST: usize = 8;
const DIRECTORY: &str = "parts";

/// The directory of such files.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    directory: PathBuf,
    free: Arc<Semaphore>,
}

/// The two files of an archive, written in turns: one is read while the next part is put into the other.
#[derive(Debug)]
pub(crate) struct Pair {
    files: [(PathBuf, File); 2],
    _one: OwnedSemaphorePermit,
}

impl Parts {
    /// Makes the directory, and removes what a killed process has left.
    pub(crate) fn open(run: &Path) -> Result<Self, Failure> {
        let directory = run.join(DIRECTORY);
        let open = || {
            fs::create_dir_all(&directory)?;
            fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
            kit::file::list(&directory)?.iter().try_for_each(|path| kit::file::remove(path))
        };
        open().map_err(|error| Failure::io(format_args!("preparing {}", directory.display()), &error))?;
        Ok(Self { directory, free: Arc::new(Semaphore::new(MOST)) })
    }

    /// Two empty files, for which there is room.
    pub(super) fn pair(&self) -> io::Result<Pair> {
        let one = Arc::clone(&self.free).try_acquire_owned().map_err(io::Error::other)?;
        let first = self.file()?;
        let second = self.file().inspect_err(|_| remove(&first.0))?;
        Ok(Pair { files: [first, second], _one: one })
    }

    fn file(&self) -> io::Result<(PathBuf, File)> {
        let mut random = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.directory.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&path)?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, SIZE as u64).inspect_err(|_| remove(&path))?;
        Ok((path, file))
    }
}

impl Pair {
    /// The file for the next part.
    pub(super) fn next(&mut self) -> (&Path, &File) {
        self.files.swap(0, 1);
        (&self.files[0].0, &self.files[0].1)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.files.iter().for_each(|(path, _)| remove(path));
    }
}

fn remove(path: &Path) {
    if let Err(error) = kit::file::remove(path) {
        tracing::warn!(%error, path = %path.display(), "a part of an archive stays until the next start");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn files_are_written_in_turns_and_go() {
        let run = tempfile::tempdir().unwrap();
        let parts = Parts::open(run.path()).unwrap();
        let mut pair = parts.pair().unwrap();
        let mut names = Vec::new();
        for content in ["one", "two", "three"] {
            let (path, mut file) = pair.next();
            file.write_all(content.as_bytes()).unwrap();
            names.push(path.to_owned());
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o400);
        }
        assert!(names[0] == names[2] && names[0] != names[1]);
        drop(pair);
        assert!(names.iter().all(|path| !path.exists()));
        let some: Vec<Pair> = (0..MOST).map(|_| parts.pair().unwrap()).collect();
        parts.pair().unwrap_err();
        drop(some);
        std::mem::forget(parts.pair().unwrap());
        let again = Parts::open(run.path()).unwrap();
        assert_eq!(fs::read_dir(&again.directory).unwrap().count(), 0);
    }
}
