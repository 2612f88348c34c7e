//! One thread that moves the output of runs in mode `drop` from their stages to their logs.

use crate::run::Ending;
use crate::stage::Moving;
use schema::{ContainerId, Failure};
use std::sync::mpsc;
use std::thread::Thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// When to try again what failed.
const RETRY: Duration = Duration::from_millis(100);

enum Command {
    Add(ContainerId, Box<Moving>),
    End(Box<Ending>),
    Release(ContainerId, oneshot::Sender<()>),
}

/// The handle of the thread.
#[derive(Clone, Debug)]
pub(crate) struct Mover {
    commands: mpsc::Sender<Command>,
    thread: Thread,
}

/// A run.
struct Entry {
    id: ContainerId,
    moving: Box<Moving>,
    /// All of it is in its stage.
    ending: Option<Box<Ending>>,
    /// Who waits for its end.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Mover {
    /// Starts the thread.
    pub(crate) fn start() -> Result<Self, Failure> {
        let (commands, receiver) = mpsc::channel();
        let started = std::thread::Builder::new().name("move".into()).spawn(move || work(&receiver));
        let thread = started.map_err(|error| Failure::io("starting to move output", &error))?.thread().clone();
        Ok(Self { commands, thread })
    }

    /// Moves a run's output from now on.
    pub(crate) fn add(&self, id: ContainerId, moving: Box<Moving>) {
        self.send(Command::Add(id, moving));
    }

    /// All of a run is in its stage: moves that, and ends it.
    pub(crate) fn end(&self, ending: Ending) {
        self.send(Command::End(Box::new(ending)));
    }

    /// Answers when nothing of a container's run is in its stage any more.
    pub(crate) async fn release(&self, id: &ContainerId) {
        let (done, released) = oneshot::channel();
        self.send(Command::Release(id.clone(), done));
        // The thread lives as long as the process, and drops no sender without answering.
        let _ = released.await;
    }

    /// There is something to move.
    pub(crate) fn wake(&self) {
        self.thread.unpark();
    }

    fn send(&self, command: Command) {
        // As above.
        let _ = self.commands.send(command);
        self.wake();
    }
}

fn work(commands: &mpsc::Receiver<Command>) {
    let mut entries = Vec::new();
    loop {
        commands.try_iter().for_each(|command| obey(&mut entries, command));
        let (mut busy, mut failed) = (false, false);
        for entry in &mut entries {
            match entry.moving.step() {
                Ok(moved) => busy |= moved,
                Err(error) => {
                    tracing::debug!(%error, id = %entry.id, "output waits in its stage");
                    failed = true;
                }
            }
        }
        entries.extract_if(.., |entry| entry.ending.is_some()).for_each(Entry::finish);
        match (busy, failed) {
            (true, _) => {}
            (false, true) => std::thread::park_timeout(RETRY),
            (false, false) => std::thread::park(),
        }
    }
}

fn obey(entries: &mut Vec<Entry>, command: Command) {
    let find = |entries: &mut Vec<Entry>, id: &ContainerId| entries.iter().position(|entry| entry.id == *id);
    match command {
        Command::Add(id, moving) => entries.push(Entry { id, moving, ending: None, waiting: Vec::new() }),
        Command::End(ending) => {
            if let Some(place) = find(entries, &ending.place.id) {
                entries[place].ending = Some(ending);
            }
        }
        Command::Release(id, done) => match find(entries, &id) {
            Some(place) => entries[place].waiting.push(done),
            None => drop(done.send(())),
        },
    }
}

impl Entry {
    fn finish(mut self) {
        let untold = self.moving.finish();
        if untold > 0 {
            tracing::error!(id = %self.id, bytes = untold, "the log does not say that these were lost");
        }
        if let Some(ending) = self.ending {
            ending.finish();
        }
        for done in self.waiting {
            let _ = done.send(());
        }
    }
}
