//! Where records are kept, and how well.
//!
//! ```text
//! kept/<id>.json           on the disk before anything depends on it
//! boots/<boot id>/<id>.json  survives this process, but not the host
//! boots/<boot id>/execs/<id>.json  the same of further processes, which never survive the host
//! boots/<boot id>/departed/<id>.json  the last of containers that removed themselves, for who asks again
//! events/                    what happened, told after it was recorded
//! ```
//!
//! What a user must find again after a power cut is in `kept`: that a container exists, how its run ended,
//! that it is being removed. What a power cut makes untrue anyway need not wait for the disk: that it is
//! starting, running or stopping, and all of a container that is removed when its run ends. Only that a container with
//! a restart policy runs is in `kept`. A record that is
//! replaced without waiting may be torn by a power cut, so it is never the only one of a kept container.
//!
//! Of the two records of one container, the one with the greater revision holds. Records of an earlier boot
//! tell what ran then, and are folded into `kept` once.

mod load;
mod verify;

use crate::events::Events;
use crate::exec::{ExecPhase, ExecRecord};
use crate::lifecycle::Phase;
use crate::noted::Noted;
use crate::record::Record;
use kit::actor::on_thread;
use kit::store::{Durability, Store};
use schema::containers::{AutoRemove, RestartKind};
use schema::{ContainerId, Failure};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use load::{Damage, Loaded};
pub(crate) use verify::Torn;

const KIND: &str = "container";
pub(crate) const EXEC_KIND: &str = "exec";
const VERSION: u32 = 1;
/// How many containers that have removed themselves are remembered.
const DEPARTED: usize = 64;

/// The records of all containers.
#[derive(Debug)]
pub(crate) struct Journal {
    kept: Store<Record>,
    passing: Store<Record>,
    execs: Store<ExecRecord>,
    departed: Store<Record>,
    /// Their names, the oldest first.
    departures: Mutex<VecDeque<String>>,
    events: Events,
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
            execs: Store::open(boots.join(boot).join("execs"), EXEC_KIND, VERSION)?,
            departed: Store::open(boots.join(boot).join("departed"), KIND, VERSION)?,
            departures: Mutex::default(),
            events: Events::open(&state.join("events"), boot)?,
            boots,
            boot: boot.to_owned(),
        })
    }

    /// The log of events.
    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    fn write(&self, record: &Record) -> Result<(), Failure> {
        match record.phase {
            Phase::Created | Phase::Ending | Phase::Removing => self.keep(record),
            _ => self.pass(record),
        }
    }

    /// Writes what its user must find again after a power cut, whatever it is doing.
    fn keep(&self, record: &Record) -> Result<(), Failure> {
        let name = record.id().as_str();
        if record.is_kept() {
            self.kept.put(name, record, Durability::Disk)
        } else {
            self.passing.put(name, record, Durability::Process)
        }
    }

    /// Writes what a container does. A power cut within some seconds leaves what it did before; but what a policy
    /// shall start again must be known to have run.
    fn pass(&self, record: &Record) -> Result<(), Failure> {
        if record.phase == Phase::Running && record.container.spec.restart.kind != RestartKind::No {
            return self.keep(record);
        }
        let durability = if record.is_kept() { Durability::Soon } else { Durability::Process };
        self.passing.put(record.id().as_str(), record, durability)
    }

    /// Tells what was noted. It stays noted if that fails, and is told with the next change.
    fn tell(&self, container: &ContainerId, by: &ContainerId, noted: &[Noted]) {
        if let Err(failure) = self.events.tell(container, by, noted) {
            tracing::warn!(%failure, "cannot tell events");
        }
    }

    /// Tells of something that no record notes. Blocks.
    pub(crate) fn tell_of(&self, container: &ContainerId, action: &str, attributes: &[(&str, &str)]) {
        let attributes = attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if let Err(failure) = self.events.tell_of(container, action, attributes) {
            tracing::warn!(%failure, action, "cannot tell an event");
        }
    }

    /// Writes the record of an exec, and tells what was noted.
    fn write_exec(&self, record: &ExecRecord) -> Result<(), Failure> {
        self.execs.put(record.id.as_str(), record, Durability::Process)?;
        self.tell(&record.container, &record.id, &record.noted);
        Ok(())
    }

    /// Removes the record of an exec.
    fn delete_exec(&self, id: &ContainerId) -> Result<(), Failure> {
        self.execs.drop_record(id.as_str())?;
        self.events.forget(id);
        Ok(())
    }

    /// Remembers one that removes itself: who asked for its end may have lost the answer, and asks again.
    fn depart(&self, record: &Record) -> Result<(), Failure> {
        let name = record.id().as_str();
        self.departed.put(name, record, Durability::Process)?;
        let oldest = {
            let mut departures = self.departures.lock().unwrap_or_else(PoisonError::into_inner);
            departures.retain(|known| known != name);
            departures.push_back(name.to_owned());
            if departures.len() > DEPARTED { departures.pop_front() } else { None }
        };
        oldest.map_or(Ok(()), |name| self.departed.drop_record(&name))
    }

    /// Nobody asks again for these any more. Blocks.
    pub(crate) fn forget_departed(&self, which: impl Fn(&str) -> bool) {
        let mut departures = self.departures.lock().unwrap_or_else(PoisonError::into_inner);
        departures.retain(|name| {
            if !which(name) {
                return true;
            }
            if let Err(failure) = self.departed.drop_record(name) {
                tracing::warn!(%failure, "cannot forget a container that has removed itself");
            }
            false
        });
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

    /// Writes a record, unless a newer one was written, and tells its events. Fails with `resourceExhausted` if
    /// the disk is full.
    pub(crate) async fn write(&self, record: &Record) -> Result<(), Failure> {
        self.put(record, Journal::write).await
    }

    /// The same for what must survive a power cut, whatever the container is doing.
    pub(crate) async fn keep(&self, record: &Record) -> Result<(), Failure> {
        self.put(record, Journal::keep).await
    }

    /// Writes a record to every place where there is one of it.
    pub(crate) async fn write_anew(&self, record: &Record) -> Result<(), Failure> {
        self.put(record, |journal, record| {
            journal.keep(record)?;
            journal.write(record)
        })
        .await
    }

    async fn put(&self, record: &Record, put: fn(&Journal, &Record) -> Result<(), Failure>) -> Result<(), Failure> {
        let (page, record) = (self.clone(), record.clone());
        on_thread(move || {
            let mut written = page.written.lock().unwrap_or_else(PoisonError::into_inner);
            if record.revision < *written {
                return Ok(());
            }
            put(&page.journal, &record)?;
            *written = record.revision;
            page.journal.tell(record.id(), record.id(), &record.noted);
            Ok(())
        })
        .await
    }

    /// Tells that the container is gone, and remembers one that has removed itself.
    pub(crate) async fn leave(&self, record: &Record) -> Result<(), Failure> {
        let (page, record) = (self.clone(), record.clone());
        on_thread(move || {
            page.journal.tell(record.id(), record.id(), &[record.event("destroy", &[])]);
            if record.container.spec.auto_remove == AutoRemove::OnExit
                && let Err(failure) = page.journal.depart(&record)
            {
                tracing::warn!(%failure, "cannot remember a container that has removed itself");
            }
            Ok(())
        })
        .await
    }

    /// Removes the record; keeps any that is still to be written from being written.
    pub(crate) async fn delete(&self, record: &Record) -> Result<(), Failure> {
        let (page, record) = (self.clone(), record.clone());
        on_thread(move || {
            let mut written = page.written.lock().unwrap_or_else(PoisonError::into_inner);
            page.journal.delete(&record)?;
            page.journal.events.forget(record.id());
            *written = u64::MAX;
            Ok(())
        })
        .await
    }
}

/// The record of one exec in the journal. As of a container's, a write that goes on although nobody waits for it any
/// more does not replace what was written since, and brings nothing back that was deleted.
#[derive(Clone, Debug)]
pub(crate) struct ExecPage {
    journal: Arc<Journal>,
    /// Held while writing.
    written: Arc<Mutex<Written>>,
}

/// How an exec stands in the journal, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Written {
    No,
    As(ExecPhase),
    Deleted,
}

impl ExecPage {
    /// The page of an exec. There must be one only.
    pub(crate) fn new(journal: Arc<Journal>) -> Self {
        Self { journal, written: Arc::new(Mutex::new(Written::No)) }
    }

    /// Writes a record, unless it was deleted or a later phase was written, and tells what was noted.
    pub(crate) async fn write(&self, record: &ExecRecord) -> Result<(), Failure> {
        let (page, record) = (self.clone(), record.clone());
        on_thread(move || {
            let mut written = page.written.lock().unwrap_or_else(PoisonError::into_inner);
            let next = Written::As(record.phase);
            if next < *written {
                return Ok(());
            }
            page.journal.write_exec(&record)?;
            *written = next;
            Ok(())
        })
        .await
    }

    /// Removes the record, for ever.
    pub(crate) async fn delete(&self, id: &ContainerId) -> Result<(), Failure> {
        let (page, id) = (self.clone(), id.clone());
        on_thread(move || {
            let mut written = page.written.lock().unwrap_or_else(PoisonError::into_inner);
            page.journal.delete_exec(&id)?;
            *written = Written::Deleted;
            Ok(())
        })
        .await
    }
}

/// The id that a record's name is.
fn id_of(name: &str) -> Option<ContainerId> {
    name.parse().ok()
}
