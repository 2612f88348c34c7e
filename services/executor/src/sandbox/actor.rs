//! The owner of one sandbox. Its operations follow one another; only `wait` waits beside them.

use super::ending::{self, Ended};
use super::record::Record;
use super::{destroy, prepare, start};
use crate::control::{self, Control};
use crate::host::Host;
use crate::process::Process;
use crate::registry::{Forget, Registry};
use actix::prelude::*;
use schema::common::ExitRecord;
use schema::executor::{self, Prepared, ProcessSpec, SandboxSpec, SandboxState, Started};
use schema::{ContainerId, Failure};
use shim_protocol::control::{Phase as Reported, Report, Request};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a destroyed sandbox may take to end by itself, its last output captured.
const ORDERLY_END: Duration = Duration::from_secs(2);
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=64;

/// How far the sandbox is.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// It is not made yet.
    New,
    /// Prepared, not started.
    Parked,
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
}

/// The owner of one sandbox.
pub(crate) struct Sandbox {
    host: Arc<Host>,
    id: ContainerId,
    registry: Addr<Registry>,
    phase: Phase,
    made: Option<Made>,
    waiters: Vec<oneshot::Sender<Result<ExitRecord, Failure>>>,
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
    }
}

impl Sandbox {
    /// Of a sandbox that is not made yet.
    pub(crate) fn new(host: Arc<Host>, id: ContainerId, registry: Addr<Registry>) -> Self {
        Self { host, id, registry, phase: Phase::New, made: None, waiters: Vec::new() }
    }

    /// Of a sandbox that was found at the start.
    pub(super) fn found(host: Arc<Host>, id: ContainerId, registry: Addr<Registry>, made: Made, phase: Phase) -> Self {
        Self { made: Some(made), phase, ..Self::new(host, id, registry) }
    }

    /// Has this actor told of the end of the monitor; or, without a monitor, of the end of PID 1.
    fn watch(&self, context: &mut Context<Self>) {
        let Some(made) = &self.made else { return };
        let owner = context.address();
        match (&made.monitor, &self.phase) {
            (Some(monitor), _) => {
                let monitor = monitor.clone();
                actix::spawn(async move {
                    monitor.ended().await;
                    monitor.reap();
                    owner.do_send(MonitorEnded);
                });
            }
            (None, Phase::Running { first, .. }) => {
                let first = first.clone();
                actix::spawn(async move {
                    if let Some(first) = first {
                        first.ended().await;
                    }
                    owner.do_send(FirstEnded);
                });
            }
            (None, _) => {}
        }
    }

    fn unknown(&self) -> Failure {
        Failure::not_found(format_args!("container {} has no sandbox", self.id.short()))
    }

    fn monitor_killed(&self) -> Failure {
        Failure::internal(format_args!("the monitor of container {} was killed", self.id.short()))
            .hint("start the container again")
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
        for waiter in self.waiters.drain(..) {
            // One that is gone has cancelled its wait.
            let _ = waiter.send(answer.clone());
        }
    }

    fn close(&mut self, context: &mut Context<Self>) {
        self.made = None;
        self.waiters.clear();
        self.phase = Phase::Closed;
        self.registry.do_send(Forget { id: self.id.clone(), owner: context.address() });
    }
}

/// Makes the sandbox. The answer is none if this owner is closed.
#[derive(Message)]
#[rtype(result = "Result<Option<Prepared>, Failure>")]
pub(crate) struct Prepare(pub(crate) SandboxSpec);

impl Handler<Prepare> for Sandbox {
    type Result = Atomic<Option<Prepared>>;

    fn handle(&mut self, Prepare(spec): Prepare, _: &mut Context<Self>) -> Self::Result {
        if let Some(made) = &self.made {
            return answer(if made.record.spec == spec {
                Ok(Some(self.prepared(&made.record)))
            } else {
                Err(Failure::conflict(format_args!("container {} has a sandbox of another kind", self.id.short()))
                    .hint("destroy it first"))
            });
        }
        if matches!(self.phase, Phase::Closed) {
            return answer(Ok(None));
        }
        let (host, id) = (Arc::clone(&self.host), self.id.clone());
        let work = blocking(move || prepare::prepare(&host, &id, spec));
        AtomicResponse::new(Box::pin(work.into_actor(self).map(|outcome, this, context| {
            match outcome.and_then(|made| made) {
                Ok(prepare::Made { record, monitor }) => {
                    let prepared = this.prepared(&record);
                    let control = Control::new(prepared.directory.clone());
                    this.made = Some(Made { record, monitor: Some(monitor), control });
                    this.phase = Phase::Parked;
                    this.watch(context);
                    Ok(Some(prepared))
                }
                Err(failure) => {
                    this.close(context);
                    Err(failure)
                }
            }
        })))
    }
}

/// Executes PID 1.
#[derive(Message)]
#[rtype(result = "Result<Started, Failure>")]
pub(crate) struct Start(pub(crate) ProcessSpec);

impl Handler<Start> for Sandbox {
    type Result = Atomic<Started>;

    fn handle(&mut self, Start(process): Start, _: &mut Context<Self>) -> Self::Result {
        let made = match (&self.phase, &self.made) {
            (Phase::Running { started, .. }, _) | (Phase::Exited(Ended { started, .. }), _) => {
                return answer(Ok(*started));
            }
            (Phase::Failed(failure), _) => return answer(Err(failure.clone())),
            (Phase::Parked, Some(made)) => made.clone(),
            _ => return answer(Err(self.unknown())),
        };
        let work = start_process(Arc::clone(&self.host), self.id.clone(), made, process);
        AtomicResponse::new(Box::pin(work.into_actor(self).map(|outcome, this, _| match outcome {
            Ok(Outcome::Started(started, first)) => {
                this.phase = Phase::Running { started, first };
                Ok(started)
            }
            Ok(Outcome::Failed(failure)) => {
                this.finish(Phase::Failed(failure.clone()));
                Err(failure)
            }
            Ok(Outcome::MonitorGone) => Err(this.monitor_killed()),
            Err(failure) => Err(failure),
        })))
    }
}

enum Outcome {
    Started(Started, Option<Process>),
    /// It was tried, and cannot be tried again.
    Failed(Failure),
    MonitorGone,
}

async fn start_process(host: Arc<Host>, id: ContainerId, made: Made, process: ProcessSpec) -> Result<Outcome, Failure> {
    let entrances = {
        let (host, id, record) = (Arc::clone(&host), id.clone(), made.record);
        blocking(move || start::plan(&host, &id, &record, &process)).await??
    };
    let report = match made.control.request(Request::Start, &entrances).await {
        Ok(report) => report,
        Err(control::Error::Gone) => return Ok(Outcome::MonitorGone),
        Err(control::Error::Io(error)) => return Err(Failure::io("asking the monitor to start the process", &error)),
    };
    outcome(host, id, report).await
}

/// What a monitor's report means for a start.
async fn outcome(host: Arc<Host>, id: ContainerId, report: Report) -> Result<Outcome, Failure> {
    match report.phase {
        Reported::Running { pid, started_at } => {
            let first =
                Process::child(pid, report.monitor).map_err(|error| Failure::io("watching the process", &error))?;
            Ok(Outcome::Started(Started { pid, started_at }, first))
        }
        Reported::Ended(exit) => Ok(Outcome::Started(Started { pid: exit.pid, started_at: exit.started_at }, None)),
        Reported::Failed { step, error } => {
            Ok(Outcome::Failed(blocking(move || start::failure(&host, &id, step, error)).await?))
        }
        Reported::Parked | Reported::Starting => Err(Failure::internal("the monitor did not start the process")),
    }
}

/// What the monitor of a sandbox that was found says of it.
pub(super) async fn phase_of(host: Arc<Host>, id: ContainerId, report: Report) -> Result<Phase, Failure> {
    if matches!(report.phase, Reported::Parked) {
        return Ok(Phase::Parked);
    }
    match outcome(host, id, report).await? {
        Outcome::Started(started, first) => Ok(Phase::Running { started, first }),
        Outcome::Failed(failure) => Ok(Phase::Failed(failure)),
        Outcome::MonitorGone => Err(Failure::internal("the monitor is gone")),
    }
}

/// Where the end of the run will be told.
#[derive(Message)]
#[rtype(result = "Result<oneshot::Receiver<Result<ExitRecord, Failure>>, Failure>")]
pub(crate) struct Wait;

impl Handler<Wait> for Sandbox {
    type Result = Result<oneshot::Receiver<Result<ExitRecord, Failure>>, Failure>;

    fn handle(&mut self, Wait: Wait, _: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        match &self.phase {
            Phase::Exited(ended) => drop(sender.send(Ok(ended.exit.clone()))),
            Phase::Failed(failure) => return Err(failure.clone()),
            Phase::New | Phase::Closed => return Err(self.unknown()),
            Phase::Parked | Phase::Running { .. } => {
                self.waiters.retain(|waiter| !waiter.is_closed());
                self.waiters.push(sender);
            }
        }
        Ok(receiver)
    }
}

/// Sends a signal to PID 1.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Signal(pub(crate) i32);

impl Handler<Signal> for Sandbox {
    type Result = Atomic<()>;

    fn handle(&mut self, Signal(number): Signal, _: &mut Context<Self>) -> Self::Result {
        if !SIGNALS.contains(&number) {
            return answer(Err(Failure::invalid(format_args!("{number} is not the number of a signal"))
                .hint("signals have the numbers 1 to 64")));
        }
        let (first, made) = match (&self.phase, &self.made) {
            (Phase::Running { first, .. }, Some(made)) => (first.clone(), made.clone()),
            (Phase::Exited(_), _) => return answer(Ok(())),
            (Phase::New | Phase::Closed, _) => return answer(Err(self.unknown())),
            _ => {
                return answer(Err(Failure::conflict(format_args!("container {} is not running", self.id.short()))));
            }
        };
        let killed = self.monitor_killed();
        let work = async move {
            match first {
                // The descriptor names PID 1 and nothing else, whether there is a monitor or not.
                Some(first) => first.signal(number),
                None => match made.control.request(Request::Signal { number }, &[]).await {
                    Ok(_) => Ok(()),
                    Err(_) => Err(killed),
                },
            }
        };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}

/// Sets the size of the terminal.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Resize {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

impl Handler<Resize> for Sandbox {
    type Result = Atomic<()>;

    fn handle(&mut self, Resize { rows, columns }: Resize, _: &mut Context<Self>) -> Self::Result {
        let made = match &self.made {
            Some(made) if made.record.spec.terminal => made.clone(),
            Some(_) => {
                return answer(Err(Failure::conflict(format_args!("container {} has no terminal", self.id.short()))));
            }
            None => return answer(Err(self.unknown())),
        };
        if matches!(self.phase, Phase::Exited(_)) {
            return answer(Ok(()));
        }
        let work = async move {
            match made.control.request(Request::Resize { rows, columns }, &[]).await {
                Ok(report) if report.error == 0 => Ok(()),
                Ok(report) => Err(Failure::io(
                    format_args!("setting the terminal's size to {columns}x{rows}"),
                    &std::io::Error::from_raw_os_error(report.error),
                )),
                // Its terminal went with it.
                Err(control::Error::Gone) => Ok(()),
                Err(control::Error::Io(error)) => Err(Failure::io("asking the monitor to set the size", &error)),
            }
        };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}

/// Kills and removes it.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Destroy;

impl Handler<Destroy> for Sandbox {
    type Result = Atomic<()>;

    fn handle(&mut self, Destroy: Destroy, _: &mut Context<Self>) -> Self::Result {
        let Some(made) = self.made.clone() else { return answer(Ok(())) };
        let first = match &self.phase {
            Phase::Running { first, .. } => first.clone(),
            _ => None,
        };
        let work = destroy_sandbox(Arc::clone(&self.host), self.id.clone(), made, first);
        AtomicResponse::new(Box::pin(work.into_actor(self).map(|outcome, this, context| {
            if let Some(ended) = outcome? {
                // Who waited is told how it ended.
                this.finish(Phase::Exited(ended));
            }
            this.close(context);
            Ok(())
        })))
    }
}

async fn destroy_sandbox(
    host: Arc<Host>,
    id: ContainerId,
    made: Made,
    first: Option<Process>,
) -> Result<Option<Ended>, Failure> {
    if let Some(monitor) = &made.monitor {
        let orderly = async {
            if made.control.request(Request::Kill, &[]).await.is_ok() {
                monitor.ended().await;
            }
        };
        // If it does not end by itself in time, it is killed.
        let _ = tokio::time::timeout(ORDERLY_END, orderly).await;
    }
    blocking(move || {
        destroy::kill(made.monitor.as_ref(), first.as_ref())?;
        let ended = ending::read(&host, &id).unwrap_or_else(|failure| {
            tracing::warn!(%id, %failure, "how the destroyed sandbox ended is not known");
            None
        });
        destroy::clear(&host, &id).map(|()| ended)
    })
    .await?
}

/// How far it is; none if it does not exist.
#[derive(Message)]
#[rtype(result = "Result<Option<SandboxState>, Failure>")]
pub(crate) struct State;

impl Handler<State> for Sandbox {
    type Result = Result<Option<SandboxState>, Failure>;

    fn handle(&mut self, State: State, _: &mut Context<Self>) -> Self::Result {
        let phase = match &self.phase {
            Phase::New | Phase::Closed => return Ok(None),
            Phase::Parked | Phase::Failed(_) => executor::Phase::Parked,
            Phase::Running { started, .. } => executor::Phase::Running(*started),
            Phase::Exited(ended) => executor::Phase::Exited(ended.exit.clone()),
        };
        Ok(Some(SandboxState { id: self.id.clone(), phase }))
    }
}

/// The monitor has ended: by itself, with an exit record, or because somebody killed it.
#[derive(Message)]
#[rtype(result = "()")]
struct MonitorEnded;

impl Handler<MonitorEnded> for Sandbox {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, MonitorEnded: MonitorEnded, _: &mut Context<Self>) -> Self::Result {
        if let Some(made) = &mut self.made {
            made.monitor = None;
        }
        let (host, id) = (Arc::clone(&self.host), self.id.clone());
        let work = blocking(move || ending::read(&host, &id));
        AtomicResponse::new(Box::pin(work.into_actor(self).map(|outcome, this, context| {
            match (outcome.and_then(|read| read), &this.phase) {
                (_, Phase::New | Phase::Closed | Phase::Exited(_)) => {}
                (Ok(Some(ended)), _) => this.finish(Phase::Exited(ended)),
                (Err(failure), _) => this.finish(Phase::Failed(failure)),
                (Ok(None), Phase::Running { .. }) => {
                    tracing::error!(id = %this.id, "the monitor was killed; the container runs on");
                    this.watch(context);
                }
                (Ok(None), Phase::Failed(_)) => {}
                (Ok(None), Phase::Parked) => {
                    let failure = this.monitor_killed();
                    this.finish(Phase::Failed(failure));
                }
            }
        })))
    }
}

/// PID 1 has ended, and there is no monitor that tells how.
#[derive(Message)]
#[rtype(result = "()")]
struct FirstEnded;

impl Handler<FirstEnded> for Sandbox {
    type Result = ();

    fn handle(&mut self, FirstEnded: FirstEnded, context: &mut Context<Self>) {
        let Phase::Running { started, first } = self.phase.clone() else { return };
        let (host, id) = (Arc::clone(&self.host), self.id.clone());
        // Whoever captures the output may take long; a destroy does not wait for that.
        let work = blocking(move || ending::conclude(&host, &id, first.as_ref(), started));
        context.spawn(work.into_actor(self).map(|outcome, this, _| {
            if matches!(this.phase, Phase::Running { .. }) {
                this.finish(match outcome.and_then(|ended| ended) {
                    Ok(ended) => Phase::Exited(ended),
                    Err(failure) => Phase::Failed(failure),
                });
            }
        }));
    }
}
