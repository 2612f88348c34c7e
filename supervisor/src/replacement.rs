//! Programs that run as services in the place of those that are installed: checked, copied, and recorded, so that
//! they are found again by the next supervisor.
//!
//! `$CCTL_ROOT/supervisor/` has `programs/`, the copies, and `records/`, a record for each service that is replaced.
//! A copy is named after the service and its content. What no record names is removed at the start.

use kit::store::{Durability, Store};
use rustix::fs::{Mode, OFlags, open};
use schema::supervisor::SERVICE;
use schema::{Code, Failure, Instance};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;
const PIECE: usize = 64 << 10;
/// Larger than any program: whoever names a disk image has mistaken something.
const LARGEST: u64 = 1 << 30;
/// Hexadecimal digits of the digest that are part of a name.
const NAMED: usize = 16;

/// The programs that replace others.
#[derive(Debug)]
pub(crate) struct Replacements {
    programs: PathBuf,
    records: Store<Record>,
}

/// What is recorded of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// File name among the programs.
    program: String,
    /// SHA-256 of its content, in hexadecimal digits.
    digest: String,
    /// Where it came from.
    source: PathBuf,
}

/// A program that was checked and copied, and that nothing names yet.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// The copy.
    pub(crate) path: PathBuf,
    record: Record,
}

impl Replacements {
    /// Those of an instance.
    pub(crate) fn open(instance: &Instance) -> Result<Self, Failure> {
        let directory = instance.state(SERVICE);
        let programs = directory.join("programs");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&programs)
            .map_err(|error| Failure::io(format_args!("making {}", programs.display()), &error))?;
        Ok(Self { programs, records: Store::open(directory.join("records"), "replacement", VERSION)? })
    }

    /// The program of each service that is replaced. One that is missing or damaged is named in the log, and the
    /// installed one runs. Copies that no record names are removed.
    pub(crate) fn load(&self) -> Result<BTreeMap<String, PathBuf>, Failure> {
        let mut found = BTreeMap::new();
        let (records, _) = self.records.load()?;
        for (service, record) in records {
            let path = self.programs.join(&record.program);
            match digest(&path) {
                Ok(digest) if digest == record.digest => {
                    found.insert(service, path);
                }
                Ok(_) => tracing::error!(service, program = %path.display(), "damaged: the installed program runs"),
                Err(error) => {
                    tracing::error!(service, program = %path.display(), %error, "cannot be read: the installed program runs");
                }
            }
        }
        self.sweep(&found);
        Ok(found)
    }

    /// Checks a program and copies it for a service. Nothing is changed for anybody yet. Blocks.
    pub(crate) fn prepare(&self, service: &str, source: &Path) -> Result<Prepared, Failure> {
        let mut file = checked(source)?;
        let temporary = self.programs.join(format!("{service}{}", kit::file::TEMPORARY));
        let prepared = self.copy(service, source, &mut file, &temporary);
        if prepared.is_err() {
            // It may be that the disk is full.
            let _ = fs::remove_file(&temporary);
        }
        prepared
    }

    fn copy(&self, service: &str, source: &Path, file: &mut File, temporary: &Path) -> Result<Prepared, Failure> {
        let failed = |error: io::Error| {
            Failure::io(format_args!("copying {} to {}", source.display(), self.programs.display()), &error)
        };
        let mut copy =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(temporary).map_err(failed)?;
        let (mut hash, mut piece) = (Sha256::new(), vec![0; PIECE]);
        loop {
            let length = file.read(&mut piece).map_err(failed)?;
            let Some(read @ [_, ..]) = piece.get(..length) else { break };
            hash.update(read);
            copy.write_all(read).map_err(failed)?;
        }
        copy.set_permissions(Permissions::from_mode(0o755)).and_then(|()| copy.sync_all()).map_err(failed)?;
        let digest = hexadecimal(hash);
        let program = format!("{service}-{}", digest.get(..NAMED).unwrap_or(&digest));
        let path = self.programs.join(&program);
        fs::rename(temporary, &path).and_then(|()| kit::file::sync_parent(&path)).map_err(failed)?;
        Ok(Prepared { path, record: Record { program, digest, source: source.to_owned() } })
    }

    /// Records what a service runs from now on; none: what is installed. Then removes what nobody runs any more.
    pub(crate) fn commit(&self, service: &str, prepared: Option<&Prepared>) -> Result<(), Failure> {
        match prepared {
            Some(Prepared { record, .. }) => self.records.put(service, record, Durability::Disk)?,
            None => self.records.delete(service)?,
        }
        self.forget(service, prepared);
        Ok(())
    }

    /// Removes the copies for a service but this one.
    fn forget(&self, service: &str, kept: Option<&Prepared>) {
        let ours = |name: &str| name.strip_prefix(service).is_some_and(|rest| rest.len() == NAMED + 1);
        self.remove(|name| ours(name) && kept.is_none_or(|kept| kept.record.program != name));
    }

    /// Removes a copy that is not to be used after all, unless a record names it.
    pub(crate) fn discard(&self, service: &str, prepared: &Prepared) {
        let named = self.records.verify().is_ok_and(|records| {
            records.iter().any(|(name, _, record)| {
                name == service && record.as_ref().is_ok_and(|record| record.program == prepared.record.program)
            })
        });
        if !named {
            self.remove(|name| name == prepared.record.program);
        }
    }

    fn sweep(&self, used: &BTreeMap<String, PathBuf>) {
        self.remove(|name| used.values().all(|path| !path.ends_with(name)));
    }

    fn remove(&self, is_unused: impl Fn(&str) -> bool) {
        for entry in fs::read_dir(&self.programs).into_iter().flatten().flatten() {
            if is_unused(&entry.file_name().to_string_lossy())
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::warn!(%error, program = %entry.path().display(), "cannot remove a program that nobody runs");
            }
        }
    }
}

/// By whom a file can be changed, where that is not root alone.
pub(crate) fn changeable(metadata: &Metadata) -> Option<String> {
    let (owner, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode());
    let only_root = owner == 0 && mode & 0o002 == 0 && (mode & 0o020 == 0 || group == 0);
    (!only_root)
        .then(|| format!("can be changed by others than root: owner {owner}, group {group}, mode {:03o}", mode & 0o777))
}

/// Checks a program that is run as a service where it is.
pub(crate) fn check(path: &Path) -> Result<(), Failure> {
    checked(path).map(drop)
}

/// Opens a file that may be run as a service: by root, because nobody else can have put it there.
fn checked(path: &Path) -> Result<File, Failure> {
    let shown = path.display();
    if !path.is_absolute() {
        return Err(Failure::invalid(format_args!("{shown} is not an absolute path")));
    }
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Failure::not_found(format_args!("there is no file {shown}"))
        }
        _ => Failure::io(format_args!("opening {shown}"), &error),
    };
    // Not opened before it is known to be a file: to open a device may do something.
    let found = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|error| failed(error.into()))?;
    let found = File::from(found);
    let metadata = found.metadata().map_err(failed)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        return Err(Failure::invalid(format_args!("{shown} is {what}")).hint("name the program of the service"));
    }
    if let Some(by) = changeable(&metadata) {
        return Err(Failure::permission_denied(format_args!("{shown} {by}")).hint(
            "a service may run as root: `chown root:root` and `chmod go-w` the file, if you trust what is in it",
        ));
    }
    if metadata.mode() & 0o111 == 0 {
        return Err(Failure::new(Code::NotExecutable, format_args!("{shown} is not executable")).hint("`chmod +x` it"));
    }
    if metadata.len() > LARGEST {
        return Err(Failure::invalid(format_args!("{shown} is larger than {LARGEST} bytes: that is no program")));
    }
    let mut file = File::open(format!("/proc/self/fd/{}", found.as_raw_fd())).map_err(failed)?;
    if is_program(&mut file).map_err(failed)? {
        Ok(file)
    } else {
        Err(Failure::new(Code::NotExecutable, format_args!("{shown} is neither an ELF program nor a script")))
    }
}

/// Whether the kernel could execute this file; it is read from its beginning afterwards.
fn is_program(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    Read::by_ref(file).take(4).read_to_end(&mut start)?;
    io::Seek::rewind(file)?;
    Ok(start.starts_with(b"\x7fELF") || start.starts_with(b"#!"))
}

fn digest(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut piece) = (File::open(path)?, Sha256::new(), vec![0; PIECE]);
    loop {
        let length = file.read(&mut piece)?;
        let Some(read @ [_, ..]) = piece.get(..length) else { return Ok(hexadecimal(hash)) };
        hash.update(read);
    }
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_replacement_is_found_again_until_it_is_undone() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("new");
        program(&source, "#!/bin/sh\n", 0o755);
        let replacements = Replacements::open(&Instance::new(directory.path(), directory.path())).unwrap();
        if fs::metadata(&source).unwrap().uid() != 0 {
            // Whoever is not root may replace nothing.
            assert_eq!(replacements.prepare("a", &source).unwrap_err().code, Code::PermissionDenied);
            return;
        }
        let prepared = replacements.prepare("a", &source).unwrap();
        assert_eq!(fs::read(&prepared.path).unwrap(), b"#!/bin/sh\n");
        // Not recorded: swept.
        assert_eq!(replacements.load().unwrap(), BTreeMap::new());
        assert!(!prepared.path.exists());
        let prepared = replacements.prepare("a", &source).unwrap();
        replacements.commit("a", Some(&prepared)).unwrap();
        fs::remove_file(&source).unwrap();
        assert_eq!(replacements.load().unwrap(), BTreeMap::from([("a".to_owned(), prepared.path.clone())]));
        replacements.discard("a", &prepared);
        assert!(prepared.path.exists());
        program(&source, "#!/bin/sh\ntrue\n", 0o755);
        let next = replacements.prepare("a", &source).unwrap();
        replacements.commit("a", Some(&next)).unwrap();
        assert!(next.path.exists() && !prepared.path.exists());
        // Damage: the installed one runs.
        fs::write(&next.path, "#!/bin/false\n").unwrap();
        assert_eq!(replacements.load().unwrap(), BTreeMap::new());
        replacements.commit("a", None).unwrap();
        assert_eq!(fs::read_dir(directory.path().join("supervisor/programs")).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_program_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let code = |path: &Path| checked(path).unwrap_err().code;
        assert_eq!(code(Path::new("relative")), Code::InvalidArgument);
        assert_eq!(code(&path("missing")), Code::NotFound);
        assert_eq!(code(directory.path()), Code::InvalidArgument);
        assert_eq!(code(Path::new("/dev/null")), Code::InvalidArgument);
        program(&path("open"), "#!/bin/sh\n", 0o777);
        assert_eq!(code(&path("open")), Code::PermissionDenied);
    }
}
