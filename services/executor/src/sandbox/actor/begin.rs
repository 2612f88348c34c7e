//! How a sandbox is made and its process started.

use super::{Atomic, Made, Phase, Sandbox, answer, blocking};
use crate::control::{self, Control};
use crate::host::Host;
use crate::process::Process;
use crate::sandbox::ending::Ended;
use crate::sandbox::record::Spec;
use crate::sandbox::running::Running;
use crate::sandbox::{prepare, start};
use actix::prelude::*;
use schema::executor::{Prepared, ProcessSpec, Started};
use schema::{ContainerId, Failure};
use shim_protocol::control::{Phase as Reported, Report, Request};
use std::sync::Arc;

/// Makes the sandbox. The answer is none if this owner is closed.
#[derive(Message)]
#[rtype(result = "Result<Option<Prepared>, Failure>")]
pub(crate) struct Prepare(pub(crate) Spec);

impl Handler<Prepare> for Sandbox {
    type Result = Atomic<Option<Prepared>>;

    fn handle(&mut self, Prepare(spec): Prepare, _: &mut Context<Self>) -> Self::Result {
        if let Some(made) = &self.made {
            return answer(if made.record.spec == spec {
                Ok(Some(self.prepared(&made.record)))
            } else {
                Err(Failure::conflict(format_args!("{} was prepared in another way", self.name()))
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
            (Phase::Parked, Some(made)) => made.clone(),
            _ => return answer(Err(self.unknown())),
        };
        let joined = match joined.transpose() {
            Ok(joined) => joined,
            Err(failure) => return answer(Err(failure)),
        };
        let work = start_process(Arc::clone(&self.host), self.id.clone(), made, process, joined);
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

async fn start_process(
    host: Arc<Host>,
    id: ContainerId,
    Made { record, control, .. }: Made,
    process: ProcessSpec,
    joined: Option<Running>,
) -> Result<Outcome, Failure> {
    let descriptors = {
        let (host, id, record, joined) = (Arc::clone(&host), id.clone(), record.clone(), joined.clone());
        blocking(move || start::plan(&host, &id, &record, &process, joined.as_ref())).await??
    };
    let report = match control.request(Request::Start, &descriptors).await {
        Ok(report) => report,
        Err(control::Error::Gone) => return Ok(Outcome::MonitorGone),
        Err(control::Error::Io(error)) => return Err(Failure::io("asking the monitor to start the process", &error)),
    };
    let outcome = outcome(Arc::clone(&host), id.clone(), report).await?;
    let Some(joined) = joined else { return Ok(outcome) };
    match &outcome {
        Outcome::Started(_, Some(first)) => {
            let first = first.clone();
            blocking(move || start::note(&host, &id, &record, &first)).await?;
        }
        // Whatever has failed: this is why.
        Outcome::Failed(_) if joined.first.has_ended() => return Ok(Outcome::Failed(joined.ended())),
        _ => {}
    }
    Ok(outcome)
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
pub(in crate::sandbox) async fn phase_of(host: Arc<Host>, id: ContainerId, report: Report) -> Result<Phase, Failure> {
    if matches!(report.phase, Reported::Parked) {
        return Ok(Phase::Parked);
    }
    match outcome(host, id, report).await? {
        Outcome::Started(started, first) => Ok(Phase::Running { started, first }),
        Outcome::Failed(failure) => Ok(Phase::Failed(failure)),
        Outcome::MonitorGone => Err(Failure::internal("the monitor is gone")),
    }
}
