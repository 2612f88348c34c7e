//! What the made-up services share: containers, their output, and who waits for a change.

use super::Journal;
use schema::common::ExitRecord;
use schema::containers::{Container, ContainerSpec, State};
use schema::log_collector::{Record, Stream};
use schema::{ContainerId, Digest, Failure};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;

/// As the real log collector has it.
const RETURN_WITHIN: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct World {
    pub things: Rc<RefCell<Vec<Thing>>>,
    pub uploads: Rc<RefCell<HashMap<String, Vec<u8>>>>,
    /// Names of images that were pulled.
    pub pulled: Rc<RefCell<Vec<String>>>,
    /// How often the services were restarted.
    pub restarts: Rc<Cell<u32>>,
    journal: Journal,
    changed: watch::Sender<()>,
}

/// A container with its log.
pub struct Thing {
    pub container: Container,
    pub output: Vec<Record>,
    /// Bytes taken of each input session.
    pub sessions: HashMap<String, u64>,
    /// Input sessions that are held, with how often, and whether their end is the end of the input.
    pub held: HashMap<String, (u32, bool)>,
    /// The request that started it last.
    pub started_by: u64,
    pub signals: u32,
    /// How often its output is yet to be refused.
    pub refusals: u32,
}

impl World {
    pub fn new(journal: Journal) -> Self {
        let changed = watch::Sender::new(());
        Self {
            things: Rc::default(),
            uploads: Rc::default(),
            pulled: Rc::default(),
            restarts: Rc::default(),
            journal,
            changed,
        }
    }

    pub fn note(&self, line: String) {
        self.journal.lock().unwrap().push(line);
    }

    pub fn create(&self, id: ContainerId, mut spec: ContainerSpec) -> Container {
        if spec.name.is_empty() {
            spec.name = id.short().to_owned();
        }
        let container = Container {
            arguments: spec.command.clone(),
            id,
            spec,
            image_id: Digest::from_sha256(&[1; 32]),
            created_at: now(),
            state: State::Created,
            pid: 0,
            started_at: 0,
            exit: None,
            error: None,
            attachment: None,
            run_position: 0,
            warnings: Vec::new(),
            restart_count: 0,
            execs: Vec::new(),
            ids: None,
        };
        self.things.borrow_mut().push(Thing {
            container: container.clone(),
            output: Vec::new(),
            sessions: HashMap::new(),
            held: HashMap::new(),
            started_by: 0,
            signals: 0,
            refusals: 0,
        });
        container
    }

    /// Does something with a container, and wakes up who waits.
    pub fn with<T>(&self, name: &str, act: impl FnOnce(&mut Thing) -> T) -> Result<T, Failure> {
        let mut things = self.things.borrow_mut();
        let found = things.iter_mut().find(|thing| {
            let Container { id, spec, .. } = &thing.container;
            spec.name == name || (!name.is_empty() && id.as_str().starts_with(name))
        });
        let answer = act(found.ok_or_else(|| Failure::not_found(format_args!("no such container: {name}")))?);
        self.changed.send_replace(());
        Ok(answer)
    }

    /// Nobody holds anything any more: clients have to come back.
    pub fn restart(&self) {
        self.restarts.set(self.restarts.get() + 1);
        let mut left = Vec::new();
        for thing in self.things.borrow_mut().iter_mut() {
            left.extend(thing.held.drain().map(|(session, (_, once))| (thing.container.id.clone(), session, once)));
        }
        for (id, session, once) in left {
            self.expect_back(id, session, once);
        }
    }

    /// Ends the input of a container if this session is not opened again soon.
    pub fn expect_back(&self, id: ContainerId, session: String, once: bool) {
        let world = self.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(RETURN_WITHIN).await;
            let _ = world.with(id.as_str(), |thing| {
                if once && !thing.held.contains_key(&session) {
                    super::program::end_of_input(thing);
                }
            });
        });
    }

    /// Waits until a look at a container finds something.
    pub async fn when<T>(&self, name: &str, look: impl Fn(&Thing) -> Option<T>) -> Result<T, Failure> {
        let mut changes = self.changed.subscribe();
        loop {
            changes.borrow_and_update();
            let found = {
                let things = self.things.borrow();
                let thing = things.iter().find(|thing| thing.container.id.as_str() == name);
                look(thing.ok_or_else(|| Failure::not_found(format_args!("no such container: {name}")))?)
            };
            if let Some(found) = found {
                return Ok(found);
            }
            let _ = changes.changed().await;
        }
    }
}

impl Thing {
    pub fn write(&mut self, stream: Stream, data: &[u8]) {
        self.output.push(Record { at: now(), stream, data: data.to_vec(), dropped: 0 });
    }

    /// The log could not take these bytes.
    pub fn drop_output(&mut self, stream: Stream, dropped: u64) {
        self.output.push(Record { at: now(), stream, data: Vec::new(), dropped });
    }

    pub fn end(&mut self, code: i32) {
        self.container.state = State::Exited;
        self.container.exit =
            Some(ExitRecord { code, signal: 0, oom_killed: false, finished_at: now(), note: String::new() });
    }

    pub fn runs(&self) -> bool {
        self.container.state == State::Running
    }

    pub fn written(&self) -> u64 {
        self.output.iter().map(|record| record.dropped + record.data.len() as u64).sum()
    }
}

pub fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_nanos()).unwrap()
}
