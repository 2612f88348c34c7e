//! What the executor's shelf keeps of sandboxes that run, so that it does not go when executor and monitor are killed
//! together: a pidfd of PID 1, by which the kernel tells how it ended (Linux 6.15), the terminal's master, and ends of
//! the FIFOs.

use super::record::Record;
use crate::process::Process;
use kit::shelf::{Kept, Shelf};
use schema::ContainerId;
use schema::common::SandboxRef;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// What is kept for one run of a sandbox.
#[derive(Debug)]
pub(crate) struct Found {
    /// PID 1, perhaps ended.
    pub(super) first: Process,
    pub(super) master: Option<Arc<OwnedFd>>,
}

/// Which run of which sandbox; the same id may run again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Run {
    id: ContainerId,
    pid: i32,
    start_time: u64,
}

impl Run {
    /// The run that a record tells of. None if PID 1 was not noted down.
    pub(super) fn of(id: &ContainerId, record: &Record) -> Option<Self> {
        let SandboxRef { pid, start_time } = record.first?;
        Some(Self { id: id.clone(), pid, start_time })
    }
}

/// Some descriptors of a run.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    run: Run,
    what: What,
    /// Who has put them there.
    executor: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum What {
    /// A pidfd, the terminal's master if there is one, and ends of FIFOs.
    Process { master: bool },
    /// An end of stdin, until that is closed.
    Input,
}

/// The shelf, if there is one.
pub(crate) struct Keep {
    shelf: Option<Arc<Shelf>>,
    /// Tells us from our predecessors.
    executor: u64,
}

impl Keep {
    /// On this shelf, of an executor with this epoch.
    pub(crate) fn new(shelf: Option<Arc<Shelf>>, executor: u64) -> Self {
        Self { shelf, executor }
    }

    /// Keeps what there is of a run, but its input.
    pub(super) fn put_process(&self, run: &Run, first: &Process, master: Option<&OwnedFd>, outputs: &[OwnedFd]) {
        let kept = first.duplicate().and_then(|first| {
            let descriptors = [Some(&first), master].into_iter().flatten().chain(outputs);
            let descriptors: Vec<_> = descriptors.map(AsFd::as_fd).collect();
            self.put(run, What::Process { master: master.is_some() }, &descriptors)
        });
        kept.unwrap_or_else(complain);
    }

    /// Keeps an end of the stdin of a run.
    pub(super) fn put_input(&self, run: &Run, stdin: &OwnedFd) {
        self.put(run, What::Input, &[stdin.as_fd()]).unwrap_or_else(complain);
    }

    fn put(&self, run: &Run, what: What, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let Some(shelf) = &self.shelf else { return Ok(()) };
        let note = Note { run: run.clone(), what, executor: self.executor };
        shelf.put(&serde_json::to_vec(&note)?, descriptors)
    }

    /// What predecessors have kept.
    pub(super) fn all(&self) -> HashMap<Run, Found> {
        let Some(shelf) = &self.shelf else { return HashMap::new() };
        let mut found = HashMap::new();
        for kept in shelf.all().unwrap_or_else(complain) {
            if let Some((run, new)) = read(kept) {
                let better = |old: &Found| old.master.is_none();
                if found.get(&run).is_none_or(better) {
                    found.insert(run, new);
                }
            }
        }
        found
    }

    /// Removes all that predecessors have put there: of what runs, we have put the same there.
    pub(super) fn remove_predecessors(&self) {
        self.retain(|note| note.executor == self.executor);
    }

    /// A run is over. Blocks, for as long as it takes to look at everything that is kept.
    pub(super) fn remove(&self, over: &Run) {
        self.retain(|note| note.run != *over);
    }

    /// The stdin of a run is closed. Blocks as well.
    pub(super) fn remove_input(&self, of: &Run) {
        self.retain(|note| note.what != What::Input || note.run != *of);
    }

    fn retain(&self, wanted: impl Fn(&Note) -> bool) {
        let Some(shelf) = &self.shelf else { return };
        let swept = shelf.retain(|note| serde_json::from_slice(note).is_ok_and(|note| wanted(&note)));
        swept.unwrap_or_else(complain);
    }
}

fn read(Kept { note, descriptors }: Kept) -> Option<(Run, Found)> {
    let Note { run, what: What::Process { master }, .. } = serde_json::from_slice(&note).ok()? else { return None };
    let mut descriptors = descriptors.into_iter();
    let first = Process::of(run.pid, descriptors.next()?);
    let master = if master { descriptors.next().map(Arc::new) } else { None };
    Some((run, Found { first, master }))
}

fn complain<T: Default>(error: io::Error) -> T {
    tracing::error!(%error, "the shelf cannot be used: what sandboxes have is with their monitors and us alone");
    T::default()
}
