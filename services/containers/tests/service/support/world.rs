//! What the fake workers have, and how they misbehave.

use schema::executor::{Phase, ProcessSpec, SandboxSpec};
use schema::filesystem::{Names, Place};
use schema::image_store::CommitRequest;
use schema::{ContainerId, Failure};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use tokio::sync::Notify;

/// The state of all fake workers, and the script of the test.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) sandboxes: RefCell<BTreeMap<ContainerId, Phase>>,
    /// What each sandbox was made by, also of those that are gone.
    pub(crate) made: RefCell<BTreeMap<ContainerId, SandboxSpec>>,
    pub(crate) leases: RefCell<BTreeSet<ContainerId>>,
    pub(crate) layers: RefCell<BTreeSet<ContainerId>>,
    pub(crate) logs: RefCell<BTreeSet<ContainerId>>,
    /// Execs, and the container that each runs in.
    pub(crate) execs: RefCell<BTreeMap<ContainerId, ContainerId>>,
    pub(crate) frozen: RefCell<BTreeSet<ContainerId>>,
    /// Signals that wait for a frozen PID 1 to go on.
    pub(crate) pending: RefCell<BTreeMap<ContainerId, i32>>,
    /// Holders of leases of images.
    pub(crate) images: RefCell<BTreeMap<String, String>>,
    /// Images by the upload that they were made of.
    pub(crate) commits: RefCell<BTreeMap<String, CommitRequest>>,
    /// Uploads that hold a layer.
    pub(crate) uploads: RefCell<BTreeSet<String>>,
    /// What was last executed, written to /etc and looked at of each container or exec.
    pub(crate) processes: RefCell<BTreeMap<ContainerId, ProcessSpec>>,
    pub(crate) names: RefCell<BTreeMap<ContainerId, Names>>,
    pub(crate) places: RefCell<BTreeMap<ContainerId, Place>>,
    /// Last part of the address that each has or had, and of the last one given.
    pub(crate) addresses: RefCell<BTreeMap<ContainerId, u8>>,
    pub(crate) address: Cell<u8>,
    /// How often PID 1 was executed.
    pub(crate) executed: RefCell<BTreeMap<ContainerId, u32>>,
    /// The ids that a worker was last told to be live.
    pub(crate) told: RefCell<BTreeMap<&'static str, BTreeSet<ContainerId>>>,
    /// Whether PID 1 ends by SIGTERM.
    pub(crate) stubborn: Cell<bool>,
    /// Told when any of it changes.
    pub(crate) changed: Notify,
    /// The service's state directory.
    state: PathBuf,
    /// What the service did that it must never do.
    violations: RefCell<Vec<String>>,
    calls: RefCell<Vec<String>>,
    failing: RefCell<BTreeMap<&'static str, Failure>>,
    hanging: RefCell<BTreeSet<(&'static str, Option<ContainerId>)>>,
    trap: RefCell<Option<(&'static str, Moment)>>,
    trapped: Notify,
}

/// When a trap springs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The worker was asked and has done nothing.
    Before,
    /// The worker has done it and not answered.
    After,
}

impl World {
    pub(crate) fn new(state: PathBuf) -> Rc<Self> {
        Rc::new(Self { state, ..Self::default() })
    }

    /// Notes a violation of the contract unless it is kept.
    pub(crate) fn require(&self, is_kept: bool, what: &str, id: &ContainerId) {
        if !is_kept {
            self.violations.borrow_mut().push(format!("{what}: {}", id.short()));
        }
    }

    /// The same of a container that may never have had a record.
    pub(crate) fn require_recorded_if_at_all(&self, id: &ContainerId, step: &str, words: &[&str]) {
        let boot = self.state.join("boots").join(kit::process::boot_id().unwrap());
        if [self.state.join("kept"), boot].iter().any(|directory| directory.join(format!("{id}.json")).exists()) {
            self.require_recorded(id, step, words);
        }
    }

    /// Requires that a record says one of these things at this moment: records come before effects.
    pub(crate) fn require_recorded(&self, id: &ContainerId, step: &str, words: &[&str]) {
        let boot = self.state.join("boots").join(kit::process::boot_id().unwrap());
        let damaged = [self.state.join("kept/damaged"), boot.join("damaged")];
        if damaged.iter().any(|directory| directory.join(format!("{id}.json")).exists()) {
            return;
        }
        let records = [self.state.join("kept"), boot.join("execs"), boot]
            .map(|directory| std::fs::read_to_string(directory.join(format!("{id}.json"))).unwrap_or_default());
        let is_recorded = words.iter().any(|word| records.iter().any(|record| record.contains(word)));
        self.require(is_recorded, &format!("{step} before {words:?} is recorded"), id);
    }

    /// Forgets violations at a step, where the test makes them unavoidable.
    pub(crate) fn excuse(&self, step: &str) {
        self.violations.borrow_mut().retain(|violation| !violation.starts_with(step));
    }

    /// The service kept to the contract.
    pub(crate) fn assert_kept(&self) {
        assert_eq!(*self.violations.borrow(), Vec::<String>::new(), "{}", self.story());
    }

    /// A worker begins a step.
    pub(crate) async fn enter(&self, step: &'static str, id: Option<&ContainerId>) -> Result<(), Failure> {
        let shown = id.map(ContainerId::short).unwrap_or_default();
        self.calls.borrow_mut().push(format!("{step} {shown}").trim().to_owned());
        self.spring(step, Moment::Before).await;
        while self.hangs(step, id) {
            self.changed.notified().await;
        }
        self.failing.borrow().get(step).map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// A worker has done a step.
    pub(crate) async fn leave(&self, step: &'static str) {
        self.changed.notify_waiters();
        self.spring(step, Moment::After).await;
    }

    fn hangs(&self, step: &'static str, id: Option<&ContainerId>) -> bool {
        let hanging = self.hanging.borrow();
        hanging.contains(&(step, None)) || hanging.contains(&(step, id.cloned()))
    }

    async fn spring(&self, step: &'static str, moment: Moment) {
        if self.trap.borrow_mut().take_if(|trap| *trap == (step, moment)).is_some() {
            self.trapped.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Makes the next call of a step never answer.
    pub(crate) fn set_trap(&self, step: &'static str, moment: Moment) {
        *self.trap.borrow_mut() = Some((step, moment));
    }

    /// Waits until that has happened.
    pub(crate) async fn trapped(&self) {
        self.trapped.notified().await;
    }

    /// Makes a step fail until [`Self::heal`].
    pub(crate) fn fail(&self, step: &'static str, failure: Failure) {
        self.failing.borrow_mut().insert(step, failure);
    }

    /// Makes a step hang until [`Self::heal`], for one container or all.
    pub(crate) fn hang(&self, step: &'static str, id: Option<&ContainerId>) {
        self.hanging.borrow_mut().insert((step, id.cloned()));
    }

    /// Nothing fails or hangs any more.
    pub(crate) fn heal(&self) {
        self.failing.borrow_mut().clear();
        self.hanging.borrow_mut().clear();
        self.changed.notify_waiters();
    }

    /// The calls about one container, in order.
    pub(crate) fn calls(&self, id: &ContainerId) -> Vec<String> {
        let suffix = format!(" {}", id.short());
        self.calls.borrow().iter().filter_map(|call| call.strip_suffix(&suffix).map(str::to_owned)).collect()
    }

    pub(crate) fn count(&self, id: &ContainerId, step: &str) -> usize {
        self.calls(id).iter().filter(|call| *call == step).count()
    }

    /// All calls.
    pub(crate) fn story(&self) -> String {
        self.calls.borrow().join("\n")
    }

    /// How often PID 1 of a container was executed.
    pub(crate) fn executions(&self, id: &ContainerId) -> u32 {
        self.executed.borrow().get(id).copied().unwrap_or_default()
    }

    /// What its sandbox was made by.
    pub(crate) fn sandbox(&self, id: &ContainerId) -> SandboxSpec {
        self.made.borrow()[id].clone()
    }

    /// What there is of a container: sandbox, lease, layer, log.
    pub(crate) fn has(&self, id: &ContainerId) -> [bool; 4] {
        [
            self.sandboxes.borrow().contains_key(id),
            self.leases.borrow().contains(id),
            self.layers.borrow().contains(id),
            self.logs.borrow().contains(id),
        ]
    }

    /// Waits until no worker has anything: what is removed goes after its users were told.
    pub(crate) async fn until_empty(&self) {
        while !self.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Whether no worker has anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.assert_kept();
        let left = (self.sandboxes.borrow(), self.leases.borrow(), self.layers.borrow(), self.logs.borrow());
        [left.0.len(), left.1.len(), left.2.len(), left.3.len(), self.images.borrow().len()] == [0; 5]
    }
}
