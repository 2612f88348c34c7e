//! Where records are kept, and how well.
//!
//! ```text
//! kept/<id>.json           on the disk before anything depends on it
//! boots/<boot id>/<id>.json  survives this process, but not the host
//! ```
//!
//! What a user must find again after a power cut is in `kept`: that a container exists, how its run ended,
//! that it is being removed. What a power cut makes untrue anyway need not wait for the disk: that it is
//! starting, running or stopping, and all of a container that is removed when its run ends. A record that is
//! replaced without waiting may be torn by a power cut, so it is never the only one of a kept container.
//!
//! Of the two records of one container, the one with the greater revision holds. Records of an earlier boot
//! tell what ran then, and are folded into `kept` once.

mod load;

use crate::lifecycle::Phase;
use crate::record::Record;
use kit::actor::on_thread;
use kit::store::{Durability, Store};
use schema::{ContainerId, Failure};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use load::{Damage, Loaded};

const KIND: &str = "container";
const VERSION: u32 = 1;

/// The records of all containers.
#[derive(Debug)]
pub(crate) struct Journal {
    kept: Store<Record>,
    passing: Store<Record>,
    boots: PathBuf,
    boot: String,
}

impl Journal {
    /// Opens the journal in a service's state directory, in the given boot of the host.
    pub(crate) fn open(state: &Path, boot: &str) -> Result<Self, Failure> {
        let boots = state.join("boots");
        Ok(Self {
            kept: Store::open(state.join("kept"), KIND, VERSION)?,
            passing: Store::open(boots.join(boot), KIND, VERSION)?,
            boots,
            boot: boot.to_owned(),
        })
    }

    fn write(&self, record: &Record) -> Result<(), Failure> {
        let name = record.id().as_str();
        match record.phase {
            Phase::Created | Phase::Ending | Phase::Removing if record.is_kept() => {
                self.kept.put(name, record, Durability::Disk)
            }
            _ => self.passing.put(name, record, Durability::Process),
        }
    }

    fn delete(&self, record: &Record) -> Result<(), Failure> {
        let name = record.id().as_str();
        // In this order: alone, the passing record of a kept container would mean that `kept` is damaged.
        self.passing.drop_record(name)?;
        if record.is_kept() { self.kept.delete(name) } else { Ok(()) }
    }

    /// Forgets the damaged record of a container of which nothing is left.
    pub(crate) fn discard(&self, damage: &Damage) -> Result<(), Failure> {
        damage.files.iter().try_for_each(|file| {
            kit::file::remove_durably(file)
                .map_err(|error| Failure::io(format_args!("removing {}", file.display()), &error))
        })
    }
}

/// The record of one container in the journal: written off the main loop, in the order of revisions.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    journal: Arc<Journal>,
    /// The revision that was written last. Held while writing.
    written: Arc<Mutex<u64>>,
}

impl Page {
    /// The page of a container. There must be one only.
    pub(crate) fn new(journal: Arc<Journal>) -> Self {
        Self { journal, written: Arc::default() }
    }

    /// Writes a record, unless a newer one was written. Fails with `resourceExhausted` if the disk is full.
    pub(crate) async fn write(&self, record: &Record) -> Result<(), Failure> {
        let (page, record) = (self.clone(), record.clone());
        on_thread(move || {
            let mut written = page.written.lock().unwrap_or_else(PoisonError::into_inner);
            if record.revision < *written {
                return Ok(());
            }
            page.journal.write(&record)?;
            *written = record.revision;
            Ok(())
        })
        .await
    }

    /// Removes the record, and keeps any that is still to be written from being written.
    pub(crate) async fn delete(&self, record: &Record) -> Result<(), Failure> {
        let (page, record) = (self.clone(), record.clone());
        on_thread(move || {
            let mut written = page.written.lock().unwrap_or_else(PoisonError::into_inner);
            page.journal.delete(&record)?;
            *written = u64::MAX;
            Ok(())
        })
        .await
    }
}

/// The id that a record's name is.
fn id_of(name: &str) -> Option<ContainerId> {
    name.parse().ok()
}
