//! How a sandbox is made and its process started.

use super::{Atomic, Made, Phase, Sandbox, answer, blocking};
use crate::control::{self, Control};
use crate::host::Host;
use crate::process::Process;
use crate::sandbox::ending::Ended;
use crate::sandbox::record::{Record, Spec};
use crate::sandbox::running::Running;
use crate::sandbox::start::Known;
use crate::sandbox::{prepare, start};
use actix::prelude::*;
use schema::executor::{Prepared, ProcessSpec, Started};
use schema::{Code, ContainerId, Failure};
use shim_protocol::control::{Phase as Reported, Report, Request};
use shim_protocol::layout;
use shim_protocol::plan::STEP_LOST;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Makes the sandbox. The answer is none if this owner is closed.
#[derive(Message)]
#[rtype(result = "Result<Option<Prepared>, Failure>")]
pub(crate) struct Prepare(pub(crate) Spec);

impl Handler<Prepare> for Sandbox {
    type Result = Atomic<Option<Prepared>>;

    fn handle(&mut self, Prepare(spec): Prepare, _: &mut Context<Self>) -> Self::Result {
        if let Some(made) = &self.made {
            match &self.phase {
                Phase::Failed(failure) if failure.code == Code::SandboxLost => return answer(Err(failure.clone())),
                _ if made.record.spec != spec => {
                    return answer(Err(Failure::conflict(format_args!("{} was prepared in another way", self.name()))
                        .hint("destroy it first")));
                }
                // Nobody can mount anything in it any more.
                Phase::SetUp => return answer(Err(self.lost())),
                // Its end was perhaps not told yet.
                Phase::Parked if !start::is_planned(&self.host, &self.id) => {}
                _ => return answer(Ok(Some(self.prepared(&made.record)))),
            }
            let (control, prepared, lost) = (made.control.clone(), self.prepared(&made.record), self.lost());
            let work = async move {
                // One that is being killed has given up its namespaces before it counts as dead; but it does not answer.
                match control.request(Request::Report, &[]).await {
                    Err(control::Error::Gone | control::Error::Unreached) => Err(lost),
                    _ => Ok(Some(prepared)),
                }
            };
            return AtomicResponse::new(Box::pin(work.into_actor(self)));
        }
        if matches!(self.phase, Phase::Closed) {
            return answer(Ok(None));
        }
        let (host, id) = (Arc::clone(&self.host), self.id.clone());
        let work = blocking(move || prepare::prepare(&host, &id, spec));
        AtomicResponse::new(Box::pin(work.into_actor(self).map(|outcome, this, context| {
            match outcome.and_then(|made| made) {
                Ok(prepare::Made { record, monitor, birth }) => {
                    let prepared = this.prepared(&record);
                    let control = Control::new(prepared.directory.clone());
                    let birth = birth.map(Arc::new);
                    this.made =
                        Some(Made { record, monitor: Some(monitor), control, master: None, birth, known: None });
                    this.phase = Phase::Parked;
                    this.watch(context);
                    Ok(Some(prepared))
                }
                Err(failure) => {
                    // What of it could not be removed keeps its owner, who is asked to destroy it.
                    if !this.host.directory(&this.id).is_dir() {
                        this.close(context);
                    }
                    Err(failure)
                }
            }
        })))
    }
}

/// Makes PID 1, up to where it has to know what it is to execute.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct SetUp;

impl Handler<SetUp> for Sandbox {
    type Result = Atomic<()>;

    fn handle(&mut self, SetUp: SetUp, _: &mut Context<Self>) -> Self::Result {
        let made = match (&self.phase, &self.made) {
            (Phase::SetUp | Phase::Running { .. } | Phase::Exited(_), _) => return answer(Ok(())),
            (Phase::Failed(failure), _) => return answer(Err(failure.clone())),
            (Phase::Parked, Some(made)) => made.clone(),
            _ => return answer(Err(self.unknown())),
        };
        let work = set_up(Arc::clone(&self.host), self.id.clone(), made);
        AtomicResponse::new(Box::pin(work.into_actor(self).map(|outcome, this, _| {
            let failure = match outcome? {
                SettingUp::Done(known) => {
                    this.phase = Phase::SetUp;
                    if let Some(made) = &mut this.made {
                        made.known = known.map(Arc::new);
                    }
                    return Ok(());
                }
                SettingUp::Failed(failure) => failure,
                SettingUp::Lost => this.lost(),
            };
            this.finish(Phase::Failed(failure.clone()));
            Err(failure)
        })))
    }
}

/// What came of setting up a sandbox.
enum SettingUp {
    Done(Option<Known>),
    /// It cannot be tried again.
    Failed(Failure),
    /// Its monitor, or who was to be its first process, was killed.
    Lost,
}

async fn set_up(host: Arc<Host>, id: ContainerId, made: Made) -> Result<SettingUp, Failure> {
    let (request, descriptors, known) = {
        let (host, id) = (Arc::clone(&host), id.clone());
        blocking(move || start::plan_first(&host, &id, &made.record)).await??
    };
    let report = match made.control.request(request, &descriptors).await {
        Ok(report) => report,
        Err(control::Error::Gone | control::Error::Unreached) => return Ok(SettingUp::Lost),
        Err(control::Error::Io(error)) => return Err(Failure::io("asking the monitor to set up the sandbox", &error)),
    };
    match report.phase {
        Reported::SetUp => Ok(SettingUp::Done(known)),
        Reported::Failed { step: STEP_LOST, .. } => Ok(SettingUp::Lost),
        Reported::Failed { step, error } => {
            let failure = blocking(move || start::failure(&host, &id, layout::SETUP, step, error)).await?;
            Ok(SettingUp::Failed(failure))
        }
        _ => Err(Failure::internal("the monitor did not set up the sandbox")),
    }
}

/// Executes PID 1; or the process of an exec, in the sandbox that it joins.
#[derive(Message)]
#[rtype(result = "Result<Started, Failure>")]
pub(crate) struct Start(pub(crate) ProcessSpec, pub(crate) Option<Result<Running, Failure>>);

impl Handler<Start> for Sandbox {
    type Result = Atomic<Started>;

    fn handle(&mut self, Start(process, joined): Start, _: &mut Context<Self>) -> Self::Result {
        let made = match (&self.phase, &self.made) {
            (Phase::Running { started, .. }, _) | (Phase::Exited(Ended { started, .. }), _) => {
                return answer(Ok(*started));
            }
            (Phase::Failed(failure), _) => return answer(Err(failure.clone())),
            (Phase::Parked | Phase::SetUp, Some(made)) => made.clone(),
            _ => return answer(Err(self.unknown())),
        };
        let is_set_up = matches!(self.phase, Phase::SetUp);
        let joined = match joined.transpose() {
            Ok(joined) => joined,
            Err(failure) => return answer(Err(failure)),
        };
        let work = start_process(Arc::clone(&self.host), self.id.clone(), made, process, joined, is_set_up);
        AtomicResponse::new(Box::pin(work.into_actor(self).map(|outcome, this, context| match outcome {
            Ok(Outcome::Started(Begun { record, started, first, master })) => {
                if let Some(made) = &mut this.made {
                    (made.record, made.master, made.birth, made.known) = (record, master, None, None);
                }
                this.phase = Phase::Running { started, first };
                this.watch_first(context);
                this.hold();
                Ok(started)
            }
            Ok(Outcome::Failed(failure)) => {
                this.finish(Phase::Failed(failure.clone()));
                Err(failure)
            }
            Ok(Outcome::Lost) => {
                let failure = this.lost();
                this.finish(Phase::Failed(failure.clone()));
                Err(failure)
            }
            Ok(Outcome::MonitorGone) => Err(this.monitor_killed()),
            Err(failure) => Err(failure),
        })))
    }
}

enum Outcome {
    Started(Begun),
    /// It was tried, and cannot be tried again.
    Failed(Failure),
    MonitorGone,
    /// Nothing was tried: there was no monitor any more.
    Lost,
}

/// What runs.
struct Begun {
    record: Record,
    started: Started,
    /// None: it has ended.
    first: Option<Process>,
    master: Option<Arc<OwnedFd>>,
}

async fn start_process(
    host: Arc<Host>,
    id: ContainerId,
    Made { record, control, birth, known, .. }: Made,
    process: ProcessSpec,
    joined: Option<Running>,
    is_set_up: bool,
) -> Result<Outcome, Failure> {
    let (request, descriptors) = match known {
        Some(known) => (start::plan_rest(&host, &id, &record, &process, &known)?, Vec::new()),
        None => {
            let (host, id, record, joined) = (Arc::clone(&host), id.clone(), record.clone(), joined.clone());
            blocking(move || {
                birth.map_or(Ok(()), |birth| birth.wait())?;
                if is_set_up {
                    let known = Known::found(&host, &id, &record)?;
                    return start::plan_rest(&host, &id, &record, &process, &known)
                        .map(|request| (request, Vec::new()));
                }
                start::plan(&host, &id, &record, &process, joined.as_ref())
            })
            .await??
        }
    };
    let report = match control.request(request, &descriptors).await {
        Ok(report) => report,
        Err(control::Error::Gone) => return Ok(Outcome::MonitorGone),
        Err(control::Error::Unreached) => {
            return blocking(move || start::withdraw(&host, &id)).await?.map(|()| Outcome::Lost);
        }
        Err(control::Error::Io(error)) => return Err(Failure::io("asking the monitor to start the process", &error)),
    };
    let outcome = outcome(host, id, record, &control, report).await?;
    match (&outcome, joined) {
        // Whatever has failed: this is why.
        (Outcome::Failed(_), Some(joined)) if joined.first.has_ended() => Ok(Outcome::Failed(joined.ended())),
        _ => Ok(outcome),
    }
}

/// What a monitor's report means for a start.
async fn outcome(
    host: Arc<Host>,
    id: ContainerId,
    record: Record,
    control: &Control,
    report: Report,
) -> Result<Outcome, Failure> {
    match report.phase {
        Reported::Running { pid, started_at } => {
            let started = Started { pid, started_at };
            let first = find(&record, pid, report.monitor);
            // It runs: whatever is missing here, this is no reason to try another sandbox.
            let first = first.map_err(|error| Failure::internal(format_args!("watching the process: {error}")))?;
            let record = match &first {
                Some(first) => start::note(&host, &id, record, first, started),
                None => record,
            };
            let master = if record.spec.terminal() { lend(control).await } else { None };
            Ok(Outcome::Started(Begun { record, started, first, master }))
        }
        Reported::Ended(exit) => {
            let started = Started { pid: exit.pid, started_at: exit.started_at };
            Ok(Outcome::Started(Begun { record, started, first: None, master: None }))
        }
        Reported::Failed { step: STEP_LOST, .. } => {
            blocking(move || start::withdraw(&host, &id)).await?.map(|()| Outcome::Lost)
        }
        Reported::Failed { step, error } => {
            Ok(Outcome::Failed(blocking(move || start::failure(&host, &id, layout::PLAN, step, error)).await?))
        }
        Reported::Parked | Reported::SettingUp | Reported::SetUp | Reported::Starting => {
            Err(Failure::internal("the monitor did not start the process"))
        }
    }
}

/// The process that a monitor speaks of: its child, or one that was noted down, if it was adopted. None if it has ended.
fn find(record: &Record, pid: i32, monitor: i32) -> io::Result<Option<Process>> {
    match record.first {
        Some(first) if first.pid == pid => Process::noted(first),
        _ => Process::child(pid, monitor),
    }
}

/// A duplicate of the terminal's master.
async fn lend(control: &Control) -> Option<Arc<OwnedFd>> {
    let lent = control.lend().await;
    if !matches!(lent, Ok(Some(_))) {
        tracing::warn!("the terminal's master is with its monitor alone");
    }
    lent.ok().flatten().map(Arc::new)
}

/// What the monitor of a sandbox that was found says of it: its phase, its record, and the master of its terminal.
pub(in crate::sandbox) async fn phase_of(
    host: Arc<Host>,
    id: ContainerId,
    record: Record,
    control: &Control,
    report: Report,
) -> Result<(Phase, Record, Option<Arc<OwnedFd>>), Failure> {
    match report.phase {
        Reported::Parked => return Ok((Phase::Parked, record, None)),
        Reported::SetUp => return Ok((Phase::SetUp, record, None)),
        _ => {}
    }
    match outcome(host, id, record.clone(), control, report).await? {
        Outcome::Started(Begun { record, started, first, master }) => {
            Ok((Phase::Running { started, first }, record, master))
        }
        Outcome::Failed(failure) => Ok((Phase::Failed(failure), record, None)),
        Outcome::Lost => Ok((Phase::Failed(Failure::sandbox_lost("its first process was killed")), record, None)),
        Outcome::MonitorGone => Err(Failure::internal("the monitor is gone")),
    }
}
