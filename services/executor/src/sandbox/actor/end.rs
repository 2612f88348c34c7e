//! How a sandbox ends: by itself, by somebody killing its processes, by being destroyed.

use super::{Atomic, Made, Phase, Sandbox, answer, blocking};
use crate::control::Control;
use crate::host::Host;
use crate::process::Process;
use crate::sandbox::destroy;
use crate::sandbox::ending::{self, Ended};
use crate::sandbox::running::not_running;
use crate::sandbox::start;
use actix::prelude::*;
use schema::common::ExitRecord;
use schema::{Code, ContainerId, Failure};
use shim_protocol::control::{Phase as Reported, Request};
use std::sync::Arc;
use std::time::Duration;

/// How long a destroyed sandbox may take to end by itself, its last output captured.
const ORDERLY_END: Duration = Duration::from_secs(2);
/// When to try again to read how a sandbox ended, if there is no descriptor or memory for that.
const READ_AGAIN: Duration = Duration::from_millis(200);

/// Kills and removes it.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Destroy;

impl Handler<Destroy> for Sandbox {
    type Result = Atomic<()>;

    fn handle(&mut self, Destroy: Destroy, _: &mut Context<Self>) -> Self::Result {
        let Some(made) = self.made.clone() else {
            if matches!(self.phase, Phase::Closed) {
                return answer(Ok(()));
            }
            // What was made of it could not be removed when the rest could not be made.
            let (host, id) = (Arc::clone(&self.host), self.id.clone());
            let work = blocking(move || destroy::clear(&host, &id));
            return AtomicResponse::new(Box::pin(work.into_actor(self).map(|outcome, this, context| {
                outcome??;
                this.close(context);
                Ok(())
            })));
        };
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
                thaw(&host, &id).await;
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

/// Lets what was killed while it was frozen die: on v1 it does not before.
async fn thaw(host: &Arc<Host>, id: &ContainerId) {
    let (host, id) = (Arc::clone(host), id.clone());
    // What does not thaw is reported when its cgroup cannot be removed.
    let _ = blocking(move || host.cgroups.thaw(&id)).await;
}

/// The sandbox of an exec is destroyed: what was not started never will be. A process that runs has ended with the
/// sandbox, which its monitor tells.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct EndExec;

impl Handler<EndExec> for Sandbox {
    type Result = Atomic<()>;

    fn handle(&mut self, EndExec: EndExec, _: &mut Context<Self>) -> Self::Result {
        let (Phase::Parked, Some(made)) = (&self.phase, self.made.clone()) else { return answer(Ok(())) };
        if let Some(of) = made.record.spec.exec_of() {
            let failure = not_running(of);
            self.finish(Phase::Failed(failure));
        }
        // One that does not answer is killed when the exec is destroyed.
        let work = async move { made.control.request(Request::Kill, &[]).await.map_or(Ok(()), |_| Ok(())) };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}

/// How PID 1 has ended, by its monitor's word. None if that does not say, or does not know.
pub(super) async fn first_ended(host: Arc<Host>, id: ContainerId, control: &Control) -> Option<ExitRecord> {
    match control.request(Request::Report, &[]).await.ok()?.phase {
        Reported::Ended(exit) if exit.is_known() => blocking(move || ending::ended(&host, &id, exit).exit).await.ok(),
        _ => None,
    }
}

/// PID 1 has ended. What it has written is perhaps still on its way.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct FirstEnded(pub(super) ExitRecord);

impl Handler<FirstEnded> for Sandbox {
    type Result = ();

    fn handle(&mut self, FirstEnded(exit): FirstEnded, _: &mut Context<Self>) {
        if matches!(self.phase, Phase::Running { .. }) {
            self.told = Some(exit.clone());
            self.answer_waiters(&Ok(exit));
        }
    }
}

/// The monitor has ended: by itself, with an exit record, or because somebody killed it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct MonitorEnded;

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
                // How it ended is there, and will be read.
                (Err(failure), _) if failure.code == Code::ResourceExhausted => {
                    tracing::warn!(id = %this.id, %failure, "cannot read yet how it ended");
                    context.notify_later(MonitorEnded, READ_AGAIN);
                }
                (Err(failure), _) => this.finish(Phase::Failed(failure)),
                (Ok(None), Phase::Running { .. }) => {
                    tracing::error!(id = %this.id, "the monitor was killed: it is replaced");
                    this.adopt_later(context);
                }
                (Ok(None), Phase::Failed(_)) => {}
                (Ok(None), Phase::Parked | Phase::SetUp) => {
                    // What it may have started is not started a second time.
                    let is_planned = start::is_planned(&this.host, &this.id);
                    let failure = if is_planned { this.monitor_killed() } else { this.lost() };
                    this.finish(Phase::Failed(failure));
                }
            }
        })))
    }
}
