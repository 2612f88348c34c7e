//! How the processes of containers ended whose monitor was killed: the word of the keeper, who inherits them.
//!
//! Since Linux 6.15 a pidfd tells how a process ended, whoever reaped it. Before, its parent alone learns that. A word is
//! a symbolic link: there is space for it on a full disk, and it is whole or absent.

use schema::Instance;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

/// A process that no other is ever mistaken for: its id, and when it was started, in clock ticks since boot.
pub type Name = (i32, u64);

/// The words of an instance.
#[derive(Clone, Debug)]
pub struct Words {
    directory: PathBuf,
}

impl Words {
    /// Of this instance.
    pub fn of(instance: &Instance) -> Self {
        Self { directory: instance.run().join("ended") }
    }

    /// Makes their directory.
    pub fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Leaves word of a process that has ended and is not reaped yet, with the status that wait(2) tells. Done also if
    /// it is there already.
    pub fn leave(&self, process: Name, status: i32) -> io::Result<()> {
        match symlink(status.to_string(), self.path(process)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    /// The status of a process, if there is word of it.
    pub fn told(&self, process: Name) -> Option<i32> {
        fs::read_link(self.path(process)).ok()?.to_str()?.parse().ok()
    }

    /// Removes the words of processes that are not wanted any more.
    pub fn retain(&self, wanted: impl Fn(Name) -> bool) -> io::Result<()> {
        let unwanted = |path: &PathBuf| !parse(path).is_some_and(&wanted);
        crate::file::list(&self.directory)?
            .iter()
            .filter(|path| unwanted(path))
            .try_for_each(|path| crate::file::remove(path))
    }

    /// Removes the word of a process; done also if there is none.
    pub fn forget(&self, process: Name) -> io::Result<()> {
        crate::file::remove(&self.path(process))
    }

    fn path(&self, (pid, started): Name) -> PathBuf {
        self.directory.join(format!("{pid}-{started}"))
    }
}

fn parse(path: &Path) -> Option<Name> {
    let (pid, started) = path.file_name()?.to_str()?.split_once('-')?;
    Some((pid.parse().ok()?, started.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_of_one_process_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let words = Words::of(&Instance::new(directory.path(), directory.path()));
        assert_eq!(words.told((7, 100)), None);
        assert!(words.leave((7, 100), 0).is_err(), "there is no directory");
        words.retain(|_| false).unwrap();
        words.make().unwrap();
        words.make().unwrap();
        words.leave((7, 100), 21 << 8).unwrap();
        words.leave((7, 100), 9).unwrap();
        words.leave((8, 100), 9).unwrap();
        assert_eq!((words.told((7, 100)), words.told((8, 100)), words.told((7, 101))), (Some(21 << 8), Some(9), None));
        fs::write(words.directory.join("else"), "").unwrap();
        words.retain(|process| process == (8, 100)).unwrap();
        assert_eq!((words.told((7, 100)), words.told((8, 100))), (None, Some(9)));
        assert_eq!(fs::read_dir(&words.directory).unwrap().count(), 1);
        words.forget((8, 100)).unwrap();
        words.forget((8, 100)).unwrap();
        assert_eq!(words.told((8, 100)), None);
    }
}
