//! Drop-ins: files of an instance's owner that put another definition in the place of a service of the manifest.
//!
//! `$CCTL_CONFIG/services.d/*.toml` are read when an instance starts and when a service is restarted by command, and at
//! no other time: what is in effect is recorded in `$CCTL_RUN/drop-ins`, so a supervisor that is started again runs the
//! same services whatever has become of the files.

use crate::manifest::{Definition, Manifest};
use crate::{libexec, replacement};
use kit::store::{Durability, Store};
use rustix::fs::Mode;
use schema::{Failure, Instance};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// In the directory that configures an instance.
const DIRECTORY: &str = "services.d";
/// What other files are called is left alone: notes, what editors leave.
const ENDING: &str = "toml";
/// Far more than six services take.
const LONGEST: u64 = 256 << 10;
const VERSION: u32 = 1;
const RUNS: &str = "it says what runs as root";

/// A file, or what it said when it took effect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct DropIn {
    pub(crate) source: PathBuf,
    pub(crate) text: String,
}

/// Where the definitions of an instance come from.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// Replaces the built-in manifest.
    pub(crate) manifest: Option<PathBuf>,
    pub(crate) instance: Instance,
    pub(crate) libexec: PathBuf,
}

impl Sources {
    /// The manifest with the drop-ins as they are now, all checked. Blocks.
    pub(crate) fn read(&self) -> Result<Manifest, Failure> {
        let manifest = Manifest::load(self.manifest.as_deref())?.with(&read(&self.instance)?)?;
        libexec::check(&self.libexec, &manifest.executables())?;
        Ok(manifest)
    }

    /// The manifest with the drop-ins that are in effect. One that does not fit a newer manifest is named in the log,
    /// and left out: the services that there are go on.
    pub(crate) fn in_effect(&self) -> Result<Manifest, Failure> {
        let mut manifest = Manifest::load(self.manifest.as_deref())?;
        let Some(records) = existing(&self.instance)? else { return Ok(manifest) };
        let (records, damaged) = records.load()?;
        for record in damaged {
            tracing::error!(
                service = record.name,
                reason = record.reason,
                "its drop-in is forgotten: a record is damaged"
            );
        }
        for (service, drop_in) in records {
            match manifest.clone().with_one(&service, &drop_in) {
                Ok(with) => manifest = with,
                Err(failure) => tracing::error!(service, %failure, "its drop-in is left out"),
            }
        }
        Ok(manifest)
    }

    /// Records that a definition is in effect.
    pub(crate) fn commit(&self, definition: &Definition) -> Result<(), Failure> {
        commit(definition, &self.instance)
    }
}

/// What an instance that does not run yet starts with: the manifest with the drop-ins, all checked, and the directory
/// of the programs.
pub(crate) fn at_start(manifest: Option<&Path>, instance: &Instance) -> Result<(Manifest, PathBuf), Failure> {
    let manifest = Manifest::load(manifest)?.with(&read(instance)?)?;
    let libexec = libexec::find(&manifest.executables())?;
    Ok((manifest, libexec))
}

/// Records what an instance starts with.
pub(crate) fn commit_all(manifest: &Manifest, instance: &Instance) -> Result<(), Failure> {
    manifest.services.iter().try_for_each(|definition| commit(definition, instance))
}

/// Forgets what was in effect, at the end of an instance.
pub(crate) fn forget(instance: &Instance) -> io::Result<()> {
    match fs::remove_dir_all(directory(instance)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn commit(definition: &Definition, instance: &Instance) -> Result<(), Failure> {
    let name = &definition.name;
    match &definition.drop_in {
        Some(drop_in) => records(instance).and_then(|records| records.put(name, drop_in, Durability::Process)),
        None => existing(instance).and_then(|records| records.map_or(Ok(()), |records| records.drop_record(name))),
    }
    .map_err(|failure| failure.context(format_args!("recording what defines {}", definition.name)))
}

fn records(instance: &Instance) -> Result<Store<DropIn>, Failure> {
    Store::open(directory(instance), "drop-in", VERSION)
}

/// The same, if any drop-in was ever in effect.
fn existing(instance: &Instance) -> Result<Option<Store<DropIn>>, Failure> {
    directory(instance).exists().then(|| records(instance)).transpose()
}

fn directory(instance: &Instance) -> PathBuf {
    instance.run().join("drop-ins")
}

/// The drop-ins, in the order of their names.
fn read(instance: &Instance) -> Result<Vec<DropIn>, Failure> {
    let directory = instance.config().join(DIRECTORY);
    let failed = |error: io::Error| Failure::io(format_args!("reading {}", directory.display()), &error);
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    trusted(&directory, &fs::metadata(&directory).map_err(failed)?, RUNS)?;
    let mut paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
    paths.sort();
    paths.into_iter().map(|source| Ok(DropIn { text: read_trusted(&source, RUNS)?, source })).collect()
}

/// A file that is root's alone, whole; `says`: what is done by its word.
pub(crate) fn read_trusted(source: &Path, says: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::io(format_args!("reading {}", source.display()), &error);
    // Whatever it is, opening it does not wait.
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(source, flags, Mode::empty()).map_err(|error| failed(error.into()))?);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(Failure::invalid(format_args!("{} is not a regular file", source.display())));
    }
    trusted(source, &metadata, says)?;
    if metadata.len() > LONGEST {
        return Err(Failure::invalid(format_args!("{} is longer than {LONGEST} bytes", source.display())));
    }
    let mut text = String::new();
    Read::by_ref(&mut file).take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// What is done by root, or for root, is said by what is root's alone.
fn trusted(path: &Path, metadata: &Metadata, says: &str) -> Result<(), Failure> {
    match replacement::changeable(metadata) {
        None => Ok(()),
        Some(by) => Err(Failure::permission_denied(format_args!("{} {by}", path.display()))
            .hint(format_args!("{says}: `chown root:root` and `chmod go-w` it, if you trust what is in it"))),
    }
}
