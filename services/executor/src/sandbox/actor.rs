//! The owner of one sandbox. Its operations follow one another; only `wait` waits beside them.

mod access;
mod begin;
mod care;
mod end;
mod live;

pub(crate) use access::{Resize, Signal, State, Wait};
pub(super) use begin::phase_of;
pub(crate) use begin::{Prepare, SetUp, Start};
pub(crate) use end::{Destroy, EndExec};
pub(crate) use live::{Freeze, GetRunning};

use super::ending::Ended;
use super::holds::Holds;
use super::monitor::Birth;
use super::record::Record;
use super::start::Known;
use crate::control::Control;
use crate::host::Host;
use crate::process::Process;
use crate::registry::{Forget, Registry};
use actix::prelude::*;
use care::{Adopt, attend};
use end::{FirstEnded, MonitorEnded, first_ended};
use schema::common::{ExitRecord, IdRange};
use schema::executor::{Prepared, Started};
use schema::{Code, ContainerId, Failure};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// How far the sandbox is.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// It is not made yet.
    New,
    /// Prepared, not started.
    Parked,
    /// As that, and its first process waits to be told what it is.
    SetUp,
    /// It cannot be started (any more), for this reason.
    Failed(Failure),
    /// PID 1 runs, or has ended and is not captured yet.
    Running { started: Started, first: Option<Process> },
    /// The run is over.
    Exited(Ended),
    /// It is gone; whoever wants this sandbox again asks the registry for a new owner.
    Closed,
}

/// A sandbox that was made.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) record: Record,
    /// None if it has ended.
    pub(super) monitor: Option<Process>,
    pub(super) control: Control,
    /// A duplicate of the terminal's master, while it runs: else it would be gone with the monitor.
    pub(super) master: Option<Arc<OwnedFd>>,
    /// The monitor's beginning, until somebody has waited for it.
    pub(super) birth: Option<Arc<Birth>>,
    /// If this executor has set it up, until it is started.
    pub(super) known: Option<Arc<Known>>,
}

/// The owner of one sandbox.
pub(crate) struct Sandbox {
    host: Arc<Host>,
    id: ContainerId,
    registry: Addr<Registry>,
    phase: Phase,
    made: Option<Made>,
    /// While it runs.
    holds: Option<Holds>,
    /// The terminal's size, since somebody has told it.
    size: Option<(u16, u16)>,
    /// Since when there is a monitor.
    monitored_since: Instant,
    /// Monitors in a row that have not lived long.
    short_lived: u32,
    waiters: Vec<oneshot::Sender<Result<ExitRecord, Failure>>>,
    /// How PID 1 has ended, as long as its output is not captured.
    told: Option<ExitRecord>,
}

type Atomic<T> = AtomicResponse<Sandbox, Result<T, Failure>>;

/// Runs something that blocks on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::internal(format_args!("a thread ended: {error}")))
}

fn answer<T: 'static>(answer: Result<T, Failure>) -> Atomic<T> {
    AtomicResponse::new(Box::pin(actix::fut::ready(answer)))
}

impl Actor for Sandbox {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.watch(context);
        self.watch_first(context);
    }
}

impl Sandbox {
    /// Of a sandbox that is not made yet.
    pub(crate) fn new(host: Arc<Host>, id: ContainerId, registry: Addr<Registry>) -> Self {
        Self {
            host,
            id,
            registry,
            phase: Phase::New,
            made: None,
            holds: None,
            size: None,
            monitored_since: Instant::now(),
            short_lived: 0,
            waiters: Vec::new(),
            told: None,
        }
    }

    /// Of a sandbox that was found at the start. Needs the main loop.
    pub(super) fn found(host: Arc<Host>, id: ContainerId, registry: Addr<Registry>, made: Made, phase: Phase) -> Self {
        let mut sandbox = Self { made: Some(made), phase, ..Self::new(host, id, registry) };
        sandbox.hold();
        sandbox
    }

    /// The sandbox that it is an exec of.
    pub(crate) fn exec_of(&self) -> Option<ContainerId> {
        self.made.as_ref().and_then(|made| made.record.spec.exec_of().cloned())
    }

    /// The ids that its user namespace has of the host, if it has one.
    pub(crate) fn ids(&self) -> Option<IdRange> {
        self.made.as_ref().and_then(|made| made.record.spec.ids())
    }

    /// Has this actor told of the end of the monitor; without one, has it replaced.
    fn watch(&self, context: &mut Context<Self>) {
        let Some(made) = &self.made else { return };
        let owner = context.address();
        match (&made.monitor, &self.phase) {
            (Some(monitor), _) => {
                let (monitor, control) = (monitor.clone(), made.control.clone());
                actix::spawn(async move {
                    attend(&monitor, &control).await;
                    monitor.reap();
                    owner.do_send(MonitorEnded);
                });
            }
            (None, Phase::Running { .. }) => owner.do_send(Adopt),
            (None, _) => {}
        }
    }

    /// Has this actor told when PID 1 has ended, which is before its output is captured.
    fn watch_first(&self, context: &mut Context<Self>) {
        let (Phase::Running { first, .. }, Some(made)) = (&self.phase, &self.made) else { return };
        let (host, id, first, control) = (Arc::clone(&self.host), self.id.clone(), first.clone(), made.control.clone());
        let owner = context.address();
        actix::spawn(async move {
            // None: it was too fast for us to take hold of it.
            if let Some(first) = first {
                first.ended().await;
            }
            // What the monitor does not know yet, or never will, comes with its own end.
            if let Some(exit) = first_ended(host, id, &control).await {
                owner.do_send(FirstEnded(exit));
            }
        });
    }

    /// Holds what must not go with the monitor.
    fn hold(&mut self) {
        let (Phase::Running { first, .. }, Some(Made { record, master, .. })) = (&self.phase, &self.made) else {
            return;
        };
        self.holds = Some(Holds::take(&self.host, &self.id, record, first.as_ref(), master.as_deref()));
    }

    /// How people know it.
    fn name(&self) -> String {
        format!("{} {}", if self.exec_of().is_some() { "exec" } else { "container" }, self.id.short())
    }

    fn unknown(&self) -> Failure {
        Failure::not_found(format_args!("container {} has no sandbox", self.id.short()))
    }

    fn monitor_killed(&self) -> Failure {
        Failure::internal(format_args!("the monitor of {} was killed", self.name())).hint("start it again")
    }

    /// The monitor was killed before it was asked to start anything.
    fn lost(&self) -> Failure {
        Failure { code: Code::SandboxLost, ..self.monitor_killed() }
    }

    fn prepared(&self, record: &Record) -> Prepared {
        let directory = self.host.directory(&self.id);
        Prepared { sandbox: record.monitor, directory, warnings: record.warnings.clone() }
    }

    /// The run is over: everybody who waits is told.
    fn finish(&mut self, phase: Phase) {
        let answer = match &phase {
            Phase::Exited(ended) => Ok(ended.exit.clone()),
            Phase::Failed(failure) => Err(failure.clone()),
            _ => Err(self.unknown()),
        };
        self.phase = phase;
        self.let_go();
        self.answer_waiters(&answer);
    }

    fn answer_waiters(&mut self, answer: &Result<ExitRecord, Failure>) {
        for waiter in self.waiters.drain(..) {
            // One that is gone has cancelled its wait.
            let _ = waiter.send(answer.clone());
        }
    }

    /// What was held is its monitor's alone, and that has ended.
    fn let_go(&mut self) {
        if let Some(holds) = self.holds.take() {
            holds.let_go(&self.host);
        }
        if let Some(made) = &mut self.made {
            made.master = None;
        }
    }

    fn close(&mut self, context: &mut Context<Self>) {
        self.let_go();
        self.made = None;
        self.waiters.clear();
        self.phase = Phase::Closed;
        self.registry.do_send(Forget { id: self.id.clone(), owner: context.address() });
    }
}
