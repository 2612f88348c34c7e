//! Durable records: a directory with one file a record.
//!
//! A file is one line that says what it is and the SHA-256 of the rest, and then the record as JSON. So a
//! record is replaced atomically, damage is noticed and confined to one record, and a person can read it.

use crate::{file, process, soon};
use schema::{Code, Failure};
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
/// In a volatile store: the boot of the host in which its records were read last.
const BOOT: &str = "boot";

/// A set of named records of one type.
#[derive(Debug)]
pub struct Store<T> {
    directory: PathBuf,
    kind: &'static str,
    version: u32,
    /// In a volatile store: the boot that this is.
    boot: Option<String>,
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
    /// In the kernel's hands before `put` returns, and on the disk within [`soon::WITHIN`].
    Soon,
    /// In the kernel's hands before `put` returns.
    Process,
}

impl<T: Serialize + DeserializeOwned> Store<T> {
    /// Opens or makes the directory. `kind` and `version` are written into every record: a record of another
    /// kind or version is not believed.
    pub fn open(directory: PathBuf, kind: &'static str, version: u32) -> Result<Self, Failure> {
        fs::create_dir_all(&directory)
            .map_err(|error| Failure::io(format_args!("making {}", directory.display()), &error))?;
        Ok(Self { directory, kind, version, boot: None, records: PhantomData })
    }

    /// The same for records that need not survive a power cut. One that a power cut has torn is not damaged: it is
    /// as if it had not been written.
    pub fn open_volatile(directory: PathBuf, kind: &'static str, version: u32) -> Result<Self, Failure> {
        let boot = process::boot_id().map_err(|error| Failure::io("reading the boot id", &error))?;
        Ok(Self { boot: Some(boot), ..Self::open(directory, kind, version)? })
    }

    /// All records, by name. Damaged ones are moved to a directory of their own and reported. If one was written by
    /// another version of its service, this fails and changes nothing.
    pub fn load(&self) -> Result<Loaded<T>, Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", self.directory.display()), &error);
        let (mut records, mut bad, mut unfinished) = (Vec::new(), Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if file_name.ends_with(file::TEMPORARY) {
                unfinished.push(path);
            } else if let Some(name) = file_name.strip_suffix(ENDING) {
                let content = fs::read(&path).map_err(failed)?;
                match self.parse(&content) {
                    Ok(record) => records.push((name.to_owned(), record)),
                    Err(Bad::Version(version)) => return Err(self.of_another_version(&path, version)),
                    Err(Bad::Damaged(reason)) => bad.push((name.to_owned(), path, reason, is_torn(&content))),
                }
            }
        }
        unfinished.iter().try_for_each(fs::remove_file).map_err(failed)?;
        let may_be_torn = self.is_of_another_boot();
        let mut damaged = Vec::new();
        for (name, path, reason, torn) in bad {
            if torn && may_be_torn {
                tracing::warn!(
                    kind = self.kind,
                    name,
                    "a record that was not on the disk when the power went is removed"
                );
                fs::remove_file(&path).map_err(failed)?;
            } else {
                damaged.push(self.quarantine(&name, &path, reason)?);
            }
        }
        if let (true, Some(boot)) = (may_be_torn, &self.boot) {
            file::write_atomically(&self.directory.join(BOOT), boot.as_bytes()).map_err(failed)?;
        }
        records.sort_by(|one, other| one.0.cmp(&other.0));
        Ok((records, damaged))
    }

    /// Whether the records of a volatile store were read last in another boot, or never.
    fn is_of_another_boot(&self) -> bool {
        let known = || fs::read_to_string(self.directory.join(BOOT)).unwrap_or_default();
        self.boot.as_ref().is_some_and(|boot| *boot != known())
    }

    fn of_another_version(&self, path: &Path, version: u32) -> Failure {
        let (path, kind, ours) = (path.display(), self.kind, self.version);
        Failure::new(
            Code::Unimplemented,
            format_args!("{path} is a {kind} record of version {version}, and this program knows version {ours}"),
        )
        .hint("nothing was changed: run the version of cctl that wrote it")
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
            Durability::Soon => file::write_in_order(&path, &content).map(|()| soon::sync(&path)),
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
        file::remove(&path).map_err(|error| Failure::io(format_args!("removing {}", path.display()), &error))
    }

    /// Names and files of all records that `load` ever moved aside and nobody has removed since, by name.
    pub fn quarantined(&self) -> Result<Vec<(String, PathBuf)>, Failure> {
        let directory = self.directory.join(QUARANTINE);
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", directory.display()), &error);
        let paths = file::list(&directory).map_err(failed)?;
        let named = |path: PathBuf| {
            let name = path.file_name()?.to_string_lossy().strip_suffix(ENDING)?.to_owned();
            Some((name, path))
        };
        let mut found: Vec<_> = paths.into_iter().filter_map(named).collect();
        found.sort();
        Ok(found)
    }

    /// What a record that was moved aside says, as far as it can be read. Nothing of that is verified.
    pub fn salvage(&self, name: &str) -> Option<T> {
        let content = fs::read(self.aside(name)).ok()?;
        let body = content.iter().position(|byte| *byte == b'\n').map_or(&content[..], |end| &content[end + 1..]);
        serde_json::from_slice(body).ok()
    }

    /// Removes what was moved aside of a record; done also if nothing was.
    pub fn forget_quarantined(&self, name: &str) -> Result<(), Failure> {
        let path = self.aside(name);
        file::remove(&path).map_err(|error| Failure::io(format_args!("removing {}", path.display()), &error))
    }

    /// Moves those of the damaged records aside that `which` names, as [`load`](Self::load) does with all; one of another
    /// version is left alone. Nobody may write them meanwhile.
    pub fn set_aside(&self, which: impl Fn(&str) -> bool) -> Result<Vec<Damaged>, Failure> {
        let mut damaged = Vec::new();
        for (name, _, record) in self.verify()? {
            let path = self.path(&name);
            if record.is_ok() || !which(&name) {
                continue;
            }
            let content =
                fs::read(&path).map_err(|error| Failure::io(format_args!("reading {}", path.display()), &error))?;
            if let Err(Bad::Damaged(reason)) = self.parse(&content) {
                damaged.push(self.quarantine(&name, &path, reason)?);
            }
        }
        Ok(damaged)
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
                Ok(content) => {
                    let record = self.parse(&content).map_err(|bad| match bad {
                        Bad::Damaged(reason) => reason,
                        Bad::Version(version) => self.of_another_version(&path, version).message,
                    });
                    found.push((name.to_owned(), content.len() as u64, record));
                }
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }

    fn aside(&self, name: &str) -> PathBuf {
        self.directory.join(QUARANTINE).join(format!("{name}{ENDING}"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}{ENDING}"))
    }

    /// The first line. From version 2 on, the hash is also of the version: damage to that digit must not look like a
    /// record of another version, with which a service does not start.
    fn header(&self, body: &[u8]) -> String {
        let mut hasher = Sha256::new();
        if self.version > 1 {
            hasher.update(format!("{} {}\n", self.kind, self.version));
        }
        hasher.update(body);
        let hash: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{MAGIC} {} {} sha256:{hash}\n", self.kind, self.version)
    }

    fn parse(&self, content: &[u8]) -> Result<T, Bad> {
        let damaged = |reason: String| Err(Bad::Damaged(reason));
        let Some(end) = content.iter().position(|byte| *byte == b'\n') else {
            return damaged("it is empty or cut off".to_owned());
        };
        let (header, body) = content.split_at(end + 1);
        if header != self.header(body).as_bytes() {
            return match self.version_of(header, body) {
                Some(version) => Err(Bad::Version(version)),
                None => damaged(format!(
                    "its first line is not that of an intact {} record of version {}",
                    self.kind, self.version
                )),
            };
        }
        serde_json::from_slice(body).or_else(|error| damaged(format!("it does not describe a {}: {error}", self.kind)))
    }

    /// The version of an intact record of this kind.
    fn version_of(&self, header: &[u8], body: &[u8]) -> Option<u32> {
        let version =
            std::str::from_utf8(header).ok()?.split(' ').nth(2)?.parse().ok().filter(|version| *version > 0)?;
        (header == Self { directory: PathBuf::new(), boot: None, version, ..*self }.header(body).as_bytes())
            .then_some(version)
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

/// Why a file is not a record that can be read.
enum Bad {
    Damaged(String),
    /// It is intact, and of this version.
    Version(u32),
}

/// Whether a record may have become so because a power cut kept it from the disk: it is empty, cut off, or partly
/// zeros.
fn is_torn(content: &[u8]) -> bool {
    content.contains(&0) || !matches!(content.last(), Some(b'}' | b']'))
}

#[cfg(test)]
mod tests;
