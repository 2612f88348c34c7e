//! The log of events: what happened to containers, for those who watch.
//!
//! It is written after the change that it tells of, and not forced to the disk: a power cut may take the last
//! events, a killed process takes none. What was noted in a record and is not here is told at the next start.

mod file;
#[cfg(test)]
mod tests;

use crate::noted::{Noted, Told};
use file::Lines;
use schema::containers::{Event, EventList};
use schema::{ContainerId, Failure};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Events in a file. The newest file and the one before it are kept.
const A_FILE: usize = 10_000;
/// Events in one answer.
const A_CALL: usize = 1000;
/// Numbers that are left out after a restart of the host, which may have taken the last events with it: those
/// numbers are not given a second time.
const GAP: u64 = 100_000;

/// The log of events.
#[derive(Debug)]
pub(crate) struct Events {
    state: Mutex<State>,
    /// The number of the last event.
    last: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    directory: PathBuf,
    /// Events in a file.
    a_file: usize,
    old: Lines,
    new: Lines,
    next: u64,
    /// The last event told of each container and exec.
    told: HashMap<String, u64>,
    /// Nothing of the log was ever cut off: what is not in it was never told.
    is_whole: bool,
}

impl Events {
    /// Opens the log in a directory, in the given boot of the host, and reads what is there. Damaged lines
    /// are left out.
    pub(crate) fn open(directory: &Path, boot: &str) -> Result<Self, Failure> {
        Self::bounded(directory, boot, A_FILE)
    }

    fn bounded(directory: &Path, boot: &str, a_file: usize) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::io(format_args!("opening {}", directory.display()), &error);
        std::fs::create_dir_all(directory).map_err(failed)?;
        let mut told = HashMap::new();
        let mut first = None;
        let mut last = 0;
        let mut note = |line: &Told| {
            first.get_or_insert(line.event.sequence);
            last = last.max(line.event.sequence);
            let known = told.entry(line.by.clone()).or_default();
            *known = line.number.max(*known);
        };
        let old = Lines::open(&directory.join("old.jsonl"), &mut note)?;
        let new = Lines::open(&directory.join("new.jsonl"), &mut note)?;
        let next = if is_another_boot(directory, boot)? && last > 0 { last + GAP } else { last + 1 };
        let is_whole = first.is_none_or(|first| first == 1);
        let state = State { directory: directory.to_owned(), a_file, old, new, next, told, is_whole };
        Ok(Self { state: Mutex::new(state), last: watch::Sender::new(last) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what a container or exec has noted, in its order, unless it was told. Blocks on the disk.
    pub(crate) fn tell(&self, container: &ContainerId, by: &ContainerId, noted: &[Noted]) -> Result<(), Failure> {
        let mut state = self.state();
        for noted in noted {
            let told = state.told.get(by.as_str()).copied().unwrap_or_default();
            if noted.number > told {
                state.append(container, by, noted)?;
            }
        }
        // Also when there was nothing: then it wakes nobody.
        self.last.send_if_modified(|last| std::mem::replace(last, state.next - 1) < state.next - 1);
        Ok(())
    }

    /// Tells of something that nobody has noted, because there is no record of it to note it in. Blocks on the disk.
    pub(crate) fn tell_of(
        &self,
        container: &ContainerId,
        action: &str,
        attributes: Vec<String>,
    ) -> Result<(), Failure> {
        let mut state = self.state();
        let noted = Noted { number: 0, at: kit::process::now(), action: action.to_owned(), attributes };
        state.write(container, "", &noted)?;
        self.last.send_replace(state.next - 1);
        Ok(())
    }

    /// Tells after a restart what the last process may not have told. Events that are older than all that is
    /// kept were told and are forgotten.
    pub(crate) fn catch_up(&self, container: &ContainerId, by: &ContainerId, noted: &[Noted]) -> Result<(), Failure> {
        let since = {
            let state = self.state();
            if state.is_whole { i64::MIN } else { state.oldest() }
        };
        let young: Vec<_> = noted.iter().filter(|noted| noted.at > since).cloned().collect();
        self.tell(container, by, &young)
    }

    /// The number of the last event that a container or exec told.
    pub(crate) fn told(&self, by: &ContainerId) -> u64 {
        self.state().told.get(by.as_str()).copied().unwrap_or_default()
    }

    /// Forgets what was told by those that are gone; their events stay.
    pub(crate) fn retain(&self, living: &HashSet<ContainerId>) {
        self.state().told.retain(|by, _| by.parse().is_ok_and(|id: ContainerId| living.contains(&id)));
    }

    /// Forgets what one that is gone has told.
    pub(crate) fn forget(&self, by: &ContainerId) {
        self.state().told.remove(by.as_str());
    }

    /// Waits until there is an event after number `after`.
    pub(crate) async fn later_than(&self, after: u64) {
        // The sender lives as long as this.
        let _ = self.last.subscribe().wait_for(|last| *last > after).await;
    }

    /// Events after number `after`, and at `since` or later. Blocks on the disk.
    pub(crate) fn read(&self, after: u64, since: i64) -> Result<EventList, Failure> {
        let (parts, last) = {
            let state = self.state();
            ([state.old.after(after), state.new.after(after)], state.next - 1)
        };
        let mut list = EventList { events: Vec::new(), next: after.max(last) };
        for part in parts.into_iter().flatten() {
            part.read(&mut |told: Told| {
                if told.event.at >= since {
                    list.next = told.event.sequence;
                    list.events.push(told.event);
                }
                list.events.len() < A_CALL
            })?;
            if list.events.len() == A_CALL {
                return Ok(list);
            }
        }
        list.next = after.max(last);
        Ok(list)
    }

    /// Reads all of it: how many events are intact, how many bytes were read, and which files hold damage.
    pub(crate) fn check(&self) -> Result<(u64, u64, Vec<PathBuf>), Failure> {
        let files = {
            let state = self.state();
            [state.old.path().to_owned(), state.new.path().to_owned()]
        };
        file::check(&files)
    }

    /// Writes files that hold damage anew without it, and tells which they were. Blocks on the disk.
    pub(crate) fn mend(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut state = self.state();
        let State { old, new, .. } = &mut *state;
        let mut mended = Vec::new();
        for lines in [old, new] {
            if lines.mend()? {
                mended.push(lines.path().to_owned());
            }
        }
        Ok(mended)
    }

    /// Copies of files that were damaged.
    pub(crate) fn kept(&self) -> Vec<PathBuf> {
        let state = self.state();
        [&state.old, &state.new].into_iter().map(Lines::kept).filter(|kept| kept.exists()).collect()
    }
}

impl State {
    fn append(&mut self, container: &ContainerId, by: &ContainerId, noted: &Noted) -> Result<(), Failure> {
        self.write(container, by.as_str(), noted)?;
        self.told.insert(by.as_str().to_owned(), noted.number);
        Ok(())
    }

    fn write(&mut self, container: &ContainerId, by: &str, noted: &Noted) -> Result<(), Failure> {
        if self.new.len() >= self.a_file {
            self.rotate()?;
        }
        let Noted { number, at, action, attributes } = noted.clone();
        let event = Event { sequence: self.next, at, action, container: container.clone(), attributes };
        self.new.append(&Told { event, by: by.to_owned(), number })?;
        self.next += 1;
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), Failure> {
        let (old, new) = (self.directory.join("old.jsonl"), self.directory.join("new.jsonl"));
        std::fs::rename(&new, &old).map_err(|error| Failure::io(format_args!("rotating {}", new.display()), &error))?;
        let fresh = Lines::open(&new, &mut |_| ())?;
        self.is_whole &= self.old.len() == 0;
        self.old = std::mem::replace(&mut self.new, fresh).at(old);
        Ok(())
    }

    /// The time of the oldest event that is kept.
    fn oldest(&self) -> i64 {
        self.old.first_at().or(self.new.first_at()).unwrap_or(i64::MIN)
    }
}

/// Whether the log was written in another boot than this one, which it is from now on.
fn is_another_boot(directory: &Path, boot: &str) -> Result<bool, Failure> {
    let path = directory.join("boot");
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    if known == boot {
        return Ok(false);
    }
    kit::file::write_atomically(&path, boot.as_bytes())
        .map_err(|error| Failure::io(format_args!("writing {}", path.display()), &error))?;
    Ok(true)
}
