//! Reading the journal at start.

use super::{Journal, KIND, VERSION, id_of};
use crate::exec::ExecRecord;
use crate::record::Record;
use crate::resume::after_reboot;
use kit::store::{Damaged, Durability, Store};
use schema::{ContainerId, Failure};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::PoisonError;

/// What the journal holds.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Intact records.
    pub(crate) records: BTreeMap<ContainerId, Record>,
    /// Containers of which only damaged records are left.
    pub(crate) damaged: BTreeMap<ContainerId, Damage>,
    /// Intact records of execs.
    pub(crate) execs: Vec<ExecRecord>,
    /// Containers that removed themselves before this process began.
    pub(crate) departed: Vec<Record>,
}

/// A container whose record cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where the damaged files are.
    pub(crate) files: Vec<PathBuf>,
}

impl Journal {
    /// Reads all records. Those of earlier boots are brought up to date and moved to where they are kept.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        let mut loaded = Loaded::default();
        let mut torn = read(&self.kept, &mut loaded)?;
        self.fold(&mut loaded)?;
        torn.extend(read(&self.passing, &mut loaded)?);
        loaded.execs = self.execs.load()?.0.into_iter().map(|(_, exec)| exec).collect();
        loaded.departed = self.departed.load()?.0.into_iter().map(|(_, record)| record).collect();
        loaded.departed.sort_by_key(Record::finished_at);
        let names = loaded.departed.iter().map(|record| record.id().to_string());
        self.departures.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
        self.catch_up(&loaded)?;
        for (id, damage) in std::mem::take(&mut loaded.damaged) {
            if loaded.records.contains_key(&id) {
                self.discard(&damage)?;
            } else {
                loaded.damaged.insert(id, damage);
            }
        }
        for damaged in torn {
            // Of two records of one container, the other is enough.
            let Some(id) = id_of(&damaged.name).filter(|id| loaded.damaged.contains_key(id)) else { continue };
            self.tell_of(&id, "damage", &[("what", "record"), ("kept", &damaged.kept.display().to_string())]);
        }
        Ok(loaded)
    }

    fn earlier_boots(&self) -> Result<Vec<PathBuf>, Failure> {
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", self.boots.display()), &error);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.boots).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name() != self.boot.as_str() && entry.path().is_dir() {
                found.push(entry.path());
            }
        }
        Ok(found)
    }

    /// Takes over what earlier boots knew of kept containers, and forgets the rest: a container that is
    /// removed when its run ends has ended with the host. Damaged records say nothing that is still true.
    ///
    /// All kept records are brought up to date then. If this is cut off, it begins again, and changes nothing
    /// that it has changed.
    fn fold(&self, loaded: &mut Loaded) -> Result<(), Failure> {
        let boots = self.earlier_boots()?;
        if boots.is_empty() {
            return Ok(());
        }
        let mut newer = HashSet::new();
        for directory in &boots {
            let (records, _) = Store::<Record>::open_volatile(directory.clone(), KIND, VERSION)?.load()?;
            for (_, record) in records {
                let known = loaded.records.get(record.id()).map(|known| known.revision);
                if known.is_some_and(|known| known < record.revision) {
                    newer.insert(record.id().clone());
                    loaded.records.insert(record.id().clone(), record);
                }
            }
        }
        for record in loaded.records.values_mut() {
            let now = after_reboot(record.clone())?;
            if now != *record || newer.contains(now.id()) {
                self.kept.put(now.id().as_str(), &now, Durability::Disk)?;
            }
            *record = now;
        }
        boots.iter().try_for_each(|directory| {
            fs::remove_dir_all(directory)
                .map_err(|error| Failure::io(format_args!("removing {}", directory.display()), &error))
        })
    }

    /// Tells the events that the last process may not have told.
    fn catch_up(&self, loaded: &Loaded) -> Result<(), Failure> {
        for record in loaded.records.values() {
            self.events.catch_up(record.id(), record.id(), &record.noted)?;
        }
        for exec in &loaded.execs {
            self.events.catch_up(&exec.container, &exec.id, &exec.noted)?;
        }
        let execs = loaded.execs.iter().map(|exec| exec.id.clone());
        self.events.retain(&loaded.records.keys().cloned().chain(execs).collect());
        Ok(())
    }
}

/// Reads one directory; of two records of one container the newer holds. Gives those that were found damaged now.
fn read(store: &Store<Record>, loaded: &mut Loaded) -> Result<Vec<Damaged>, Failure> {
    let (records, damaged) = store.load()?;
    for (name, record) in records {
        if record.id().as_str() != name {
            tracing::error!(name, id = %record.id(), "a record is under the name of another: it is not believed");
            loaded.damaged.extend(id_of(&name).map(|id| (id, Damage::default())));
            continue;
        }
        let known = loaded.records.get(record.id());
        if known.is_none_or(|known| known.revision < record.revision) {
            loaded.records.insert(record.id().clone(), record);
        }
    }
    for (name, file) in store.quarantined()? {
        match id_of(&name) {
            Some(id) => loaded.damaged.entry(id).or_default().files.push(file),
            None => tracing::warn!(file = %file.display(), "this is no record of a container"),
        }
    }
    Ok(damaged)
}

#[cfg(test)]
mod tests {
    use super::super::{ExecPage, Page};
    use super::*;
    use crate::exec::ExecPhase;
    use crate::fixture;
    use crate::lifecycle::Phase;
    use crate::record::Cause;
    use schema::call::RequestId;
    use schema::containers::{AutoRemove, ExecSpec};
    use schema::executor::Started;
    use std::sync::Arc;

    struct State(tempfile::TempDir);

    impl State {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn journal(&self, boot: &str) -> Journal {
            Journal::open(self.0.path(), boot).unwrap()
        }

        fn file(&self, directory: &str, record: &Record) -> PathBuf {
            self.0.path().join(directory).join(format!("{}.json", record.id()))
        }
    }

    fn running(mut record: Record) -> Record {
        record.begin(RequestId(1), Cause::Start).unwrap();
        record.started(Started { pid: 7, started_at: 1 }).unwrap();
        record
    }

    fn auto_removed(first: u8) -> Record {
        let mut record = fixture::record(first, "gone");
        record.container.spec.auto_remove = AutoRemove::OnExit;
        record
    }

    #[test]
    fn the_newer_record_holds() {
        let state = State::new();
        let created = fixture::record(1, "web");
        let started = running(created.clone());
        state.journal("a").write(&created).unwrap();
        state.journal("a").write(&started).unwrap();
        assert_eq!(state.journal("a").load().unwrap().records[created.id()], started);
        assert!(state.file("kept", &created).exists());
        state.journal("a").delete(&started).unwrap();
        assert!(state.journal("a").load().unwrap().records.is_empty());
    }

    #[test]
    fn a_reboot_ends_runs_and_forgets_what_is_removed_at_the_end() {
        let state = State::new();
        let (kept, gone) = (fixture::record(1, "web"), auto_removed(2));
        for record in [&kept, &running(kept.clone()), &gone, &running(gone.clone())] {
            state.journal("a").write(record).unwrap();
        }
        for _ in 0..2 {
            let loaded = state.journal("b").load().unwrap();
            assert_eq!(loaded.records.keys().collect::<Vec<_>>(), [kept.id()]);
            let record = &loaded.records[kept.id()];
            assert_eq!(record.phase, Phase::Ending);
            assert_eq!(record.container.exit.as_ref().unwrap().code, -1);
        }
        assert!(!state.0.path().join("boots/a").exists());
    }

    #[test]
    fn a_damaged_record_is_remembered_until_it_is_discarded() {
        let state = State::new();
        let (one, other) = (fixture::record(1, "one"), auto_removed(2));
        state.journal("a").write(&one).unwrap();
        state.journal("a").write(&other).unwrap();
        fs::write(state.file("kept", &one), "junk").unwrap();
        fs::write(state.file("boots/a", &other), "").unwrap();
        for _ in 0..3 {
            let loaded = state.journal("a").load().unwrap();
            assert!(loaded.records.is_empty());
            assert_eq!(loaded.damaged.keys().collect::<Vec<_>>(), [one.id(), other.id()]);
        }
        let damaged = state.journal("a").load().unwrap().damaged;
        for damage in damaged.values() {
            state.journal("a").discard(damage).unwrap();
        }
        assert!(state.journal("a").load().unwrap().damaged.is_empty());
    }

    #[test]
    fn one_intact_record_of_two_is_enough() {
        let state = State::new();
        let created = fixture::record(1, "web");
        let started = running(created.clone());
        for (directory, expected) in [("kept", &started), ("boots/a", &created)] {
            state.journal("a").write(&created).unwrap();
            state.journal("a").write(&started).unwrap();
            fs::write(state.file(directory, &created), "junk").unwrap();
            let loaded = state.journal("a").load().unwrap();
            assert_eq!(&loaded.records[created.id()], expected, "{directory} damaged");
            assert!(loaded.damaged.is_empty());
        }
    }

    #[actix::test]
    async fn a_page_never_goes_back() {
        let state = State::new();
        let page = Page::new(Arc::new(state.journal("a")));
        let created = fixture::record(1, "web");
        let started = running(created.clone());
        page.write(&started).await.unwrap();
        page.write(&created).await.unwrap();
        assert!(!state.file("kept", &created).exists());
        page.delete(&started).await.unwrap();
        page.write(&started).await.unwrap();
        assert!(state.journal("a").load().unwrap().records.is_empty());
    }

    #[actix::test]
    async fn a_page_of_an_exec_never_goes_back() {
        let state = State::new();
        let page = ExecPage::new(Arc::new(state.journal("a")));
        let spec = ExecSpec { arguments: vec!["true".to_owned()], ..ExecSpec::default() };
        let prepared = ExecRecord::new(fixture::id(2), &fixture::record(1, "web"), spec, RequestId(7));
        let mut running = prepared.clone();
        running.started(Started { pid: 7, started_at: 1 });
        page.write(&running).await.unwrap();
        page.write(&prepared).await.unwrap();
        assert_eq!(state.journal("a").load().unwrap().execs[0].phase, ExecPhase::Running);
        page.delete(&running.id).await.unwrap();
        page.write(&running).await.unwrap();
        assert!(state.journal("a").load().unwrap().execs.is_empty());
    }
}
