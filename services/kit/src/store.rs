//! Durable records: a directory with one file a record.
//!
//! A file is one line that says what it is and the SHA-256 of the rest, and then the record as JSON. So a
//! record is replaced atomically, damage is noticed and confined to one record, and a person can read it.

use crate::file;
use schema::Failure;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

const MAGIC: &str = "cctl-record";
const ENDING: &str = ".json";
const QUARANTINE: &str = "damaged";

/// A set of named records of one type.
#[derive(Debug)]
pub struct Store<T> {
    directory: PathBuf,
    kind: &'static str,
    version: u32,
    records: PhantomData<fn() -> T>,
}

/// A record that could not be read. Its file was moved aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Name of the record.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
    /// Where its file is now.
    pub kept: PathBuf,
}

/// The records that are intact, sorted by name, and those that are not.
pub type Loaded<T> = (Vec<(String, T)>, Vec<Damaged>);

/// Name, bytes and content of each record, or what is wrong with it; sorted by name.
pub type Verified<T> = Vec<(String, u64, Result<T, String>)>;

/// Whether a record must survive a power cut, or only the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Written to the disk before `put` returns.
    Disk,
    /// In the kernel's hands before `put` returns.
    Process,
}

impl<T: Serialize + DeserializeOwned> Store<T> {
    /// Opens or makes the directory. `kind` and `version` are written into every record: a record of another
    /// kind or version is not believed.
    pub fn open(directory: PathBuf, kind: &'static str, version: u32) -> Result<Self, Failure> {
        fs::create_dir_all(&directory)
            .map_err(|error| Failure::io(format_args!("making {}", directory.display()), &error))?;
        Ok(Self { directory, kind, version, records: PhantomData })
    }

    /// All records, by name. Damaged ones are moved to a directory of their own and reported.
    pub fn load(&self) -> Result<Loaded<T>, Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", self.directory.display()), &error);
        let (mut records, mut damaged) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if file_name.ends_with(file::TEMPORARY) {
                fs::remove_file(&path).map_err(failed)?;
            } else if let Some(name) = file_name.strip_suffix(ENDING) {
                match self.parse(&fs::read(&path).map_err(failed)?) {
                    Ok(record) => records.push((name.to_owned(), record)),
                    Err(reason) => damaged.push(self.quarantine(name, &path, reason)?),
                }
            }
        }
        records.sort_by(|one, other| one.0.cmp(&other.0));
        Ok((records, damaged))
    }

    /// Writes a record, whole or not at all. `name` must be safe as a file name: hex, or checked by its type.
    pub fn put(&self, name: &str, record: &T, durability: Durability) -> Result<(), Failure> {
        let path = self.path(name);
        let failed = |error: io::Error| Failure::io(format_args!("writing {}", path.display()), &error);
        let body = serde_json::to_vec_pretty(record).map_err(|error| failed(error.into()))?;
        let mut content = self.header(&body).into_bytes();
        content.extend_from_slice(&body);
        match durability {
            Durability::Disk => file::write_durably(&path, &content),
            Durability::Process => file::write_atomically(&path, &content),
        }
        .map_err(failed)
    }

    /// Removes a record; done also if there is none.
    pub fn delete(&self, name: &str) -> Result<(), Failure> {
        let path = self.path(name);
        file::remove_durably(&path).map_err(|error| Failure::io(format_args!("removing {}", path.display()), &error))
    }

    /// Removes a record without waiting for the disk: after a power cut it may be back. Done also if there is
    /// none.
    pub fn drop_record(&self, name: &str) -> Result<(), Failure> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::io(format_args!("removing {}", path.display()), &error))
            }
            _ => Ok(()),
        }
    }

    /// Names and files of all records that `load` ever moved aside and nobody has removed since, by name.
    pub fn quarantined(&self) -> Result<Vec<(String, PathBuf)>, Failure> {
        let directory = self.directory.join(QUARANTINE);
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", directory.display()), &error);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let file_name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(name) = file_name.strip_suffix(ENDING) {
                found.push((name.to_owned(), path.clone()));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Reads all records as [`load`](Self::load) does, but leaves damaged ones where they are. Gives each record's
    /// name and bytes, and what is wrong with it.
    pub fn verify(&self) -> Result<Verified<T>, Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", self.directory.display()), &error);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(name) = file_name.strip_suffix(ENDING) else { continue };
            match fs::read(&path) {
                Ok(content) => found.push((name.to_owned(), content.len() as u64, self.parse(&content))),
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}{ENDING}"))
    }

    fn header(&self, body: &[u8]) -> String {
        let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{MAGIC} {} {} sha256:{hash}\n", self.kind, self.version)
    }

    fn parse(&self, content: &[u8]) -> Result<T, String> {
        let end = content.iter().position(|byte| *byte == b'\n').ok_or("it is empty or cut off")?;
        let (header, body) = content.split_at(end + 1);
        if header != self.header(body).as_bytes() {
            return Err(format!(
                "its first line is not that of an intact {} record of version {}",
                self.kind, self.version
            ));
        }
        serde_json::from_slice(body).map_err(|error| format!("it does not describe a {}: {error}", self.kind))
    }

    fn quarantine(&self, name: &str, path: &Path, reason: String) -> Result<Damaged, Failure> {
        let directory = self.directory.join(QUARANTINE);
        let kept = directory.join(path.file_name().unwrap_or_default());
        fs::create_dir_all(&directory)
            .and_then(|()| fs::rename(path, &kept))
            .map_err(|error| Failure::io(format_args!("moving the damaged {} aside", path.display()), &error))?;
        tracing::error!(kind = self.kind, name, reason, kept = %kept.display(), "damaged record moved aside");
        Ok(Damaged { name: name.to_owned(), reason, kept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(directory: &Path) -> Store<Vec<u32>> {
        Store::open(directory.join("records"), "list", 1).unwrap()
    }

    #[test]
    fn records_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let lists = store(directory.path());
        lists.put("b", &vec![2], Durability::Disk).unwrap();
        lists.put("a", &vec![1], Durability::Process).unwrap();
        lists.put("a", &vec![1, 1], Durability::Disk).unwrap();
        lists.delete("b").unwrap();
        lists.delete("b").unwrap();
        lists.put("c", &vec![3], Durability::Process).unwrap();
        lists.drop_record("c").unwrap();
        lists.drop_record("c").unwrap();
        assert_eq!(lists.quarantined().unwrap(), []);
        assert_eq!(lists.load().unwrap(), (vec![("a".to_owned(), vec![1, 1])], vec![]));
    }

    #[test]
    fn every_flipped_or_missing_byte_is_noticed_and_confined() {
        let directory = tempfile::tempdir().unwrap();
        let lists = store(directory.path());
        let path = directory.path().join("records/bad.json");
        lists.put("bad", &vec![1, 2, 3], Durability::Disk).unwrap();
        let intact = fs::read(&path).unwrap();
        let flipped = (0..intact.len()).map(|at| {
            let mut content = intact.clone();
            content[at] ^= 1;
            content
        });
        let truncated = (0..intact.len()).map(|length| intact[..length].to_vec());
        for content in flipped.chain(truncated) {
            lists.put("good", &vec![7], Durability::Process).unwrap();
            fs::write(&path, content).unwrap();
            let verified = lists.verify().unwrap();
            assert!(verified[0].2.is_err() && verified[1].2 == Ok(vec![7]));
            let (records, damaged) = lists.load().unwrap();
            assert_eq!(records, [("good".to_owned(), vec![7])]);
            assert_eq!(damaged.len(), 1);
            assert_eq!(damaged[0].name, "bad");
            assert!(damaged[0].kept.exists() && !path.exists());
            assert_eq!(lists.quarantined().unwrap(), [("bad".to_owned(), damaged[0].kept.clone())]);
        }
    }

    #[test]
    fn another_version_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        store(directory.path()).put("a", &vec![1], Durability::Disk).unwrap();
        let newer: Store<Vec<u32>> = Store::open(directory.path().join("records"), "list", 2).unwrap();
        assert_eq!(newer.load().unwrap().1.len(), 1);
    }
}
