//! Finding everything again after a restart.

use crate::capture::Capture;
use crate::compress::Compressor;
use crate::log::{Log, REMOVED, remove, show, take_hold};
use crate::logs::Logs;
use crate::record::LogRecord;
use crate::run::{Hold, Place, Wait};
use crate::view::Phase;
use kit::store::Store;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use schema::{ContainerId, Failure};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const RECORDS: &str = "records";

/// A log that was found.
struct Found {
    place: Place,
    record: Option<LogRecord>,
    hold: Option<Hold>,
}

/// All logs as they are, with every run that lives captured again. What was spilled is in them.
pub(crate) async fn recover(directory: PathBuf) -> Result<Logs, Failure> {
    allow_many_files();
    let store = Arc::new(Store::open_volatile(directory.join(RECORDS), "log", 1)?);
    let mut logs = Logs {
        directory,
        store,
        capture: Capture::start()?,
        compressor: Compressor::start()?,
        entries: HashMap::new(),
    };
    let places = logs.places()?;
    let found = tokio::task::spawn_blocking(move || places.into_iter().map(look_at).collect::<Vec<_>>());
    let found = found.await.map_err(|error| Failure::internal(format_args!("recovery ended: {error}")))?;
    for Found { place, record, hold } in found {
        let log = Log::found(place.clone(), logs.capture.clone(), record, hold);
        logs.insert(place.id, place.shared, log);
    }
    Ok(logs)
}

impl Logs {
    /// Every log of which there is a record or a directory. Those that were being removed are.
    fn places(&self) -> Result<Vec<(Place, Option<LogRecord>)>, Failure> {
        let (records, _) = self.store.load()?;
        let mut records: HashMap<ContainerId, LogRecord> =
            records.into_iter().filter_map(|(name, record)| Some((name.parse().ok()?, record))).collect();
        let failed = |error: io::Error| Failure::io(format_args!("reading {}", self.directory.display()), &error);
        let mut ids: BTreeSet<ContainerId> = records.keys().cloned().collect();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(id) = id_of(&path) else { continue };
            if path.extension().is_some_and(|ending| ending == REMOVED) {
                remove(&self.place(id.clone()))?;
                records.remove(&id);
                ids.remove(&id);
            } else {
                ids.insert(id);
            }
        }
        Ok(ids.into_iter().map(|id| (self.place(id.clone()), records.remove(&id))).collect())
    }
}

fn id_of(path: &Path) -> Option<ContainerId> {
    path.file_stem()?.to_str()?.parse().ok()
}

/// Takes hold of a run that may live; else shows what there is. Of a run that nobody can take hold of yet, more is to be
/// expected: who reads it waits, and its sandbox stays. A log that cannot be read is named in the trace, and keeps nobody
/// else waiting.
fn look_at((place, mut record): (Place, Option<LogRecord>)) -> Found {
    let outcome = match &mut record {
        Some(record) if !record.ended => take_hold(&place, record, Wait::No).map(Some),
        _ => show(&place, Phase::Ended).map(|()| Some(Hold::Gone)),
    };
    let hold = match outcome {
        Ok(Some(Hold::Busy)) => show(&place, Phase::Running).map(|()| Some(Hold::Busy)),
        outcome => outcome,
    };
    let hold = hold.unwrap_or_else(|failure| {
        tracing::error!(%failure, id = %place.id, "cannot take up a log");
        if record.as_ref().is_some_and(|record| !record.ended)
            && let Err(failure) = show(&place, Phase::Running)
        {
            tracing::error!(%failure, id = %place.id, "cannot show what there is of it");
        }
        None
    });
    Found { place, record, hold }
}

/// A container costs up to ten descriptors; the usual limit was made for programs that use select(2).
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, ?limit, "cannot raise the limit of open files");
    }
}
