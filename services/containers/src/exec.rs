//! Further processes in a container: an actor each, from their preparation until their output is forgotten.
//!
//! ```text
//! prepareExec -> open the log -> start -> wait -> the log has all -> destroy -> nobody reads it -> forget
//! ```
//!
//! What did not start leaves nothing but the answer to who asked.

mod drive;
mod owner;
mod record;
mod view;

use crate::container::Parts;
use crate::journal::ExecPage;
use actix::prelude::*;
use schema::Failure;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use owner::{Execs, Find, Known, New, Of, Sandboxes};
pub(crate) use record::{ExecPhase, ExecRecord};
pub(crate) use view::{ExecHandle, ExecStage, ExecView, unknown};

/// How long the output of an exec is left to its client when it, or the client's last lease, is over.
const GRACE: Duration = Duration::from_secs(10);

/// The owner of one exec.
pub(crate) struct ExecActor {
    record: ExecRecord,
    stage: ExecStage,
    /// Why it did not start.
    failure: Option<Failure>,
    view: watch::Sender<ExecView>,
    parts: Rc<Parts>,
    page: ExecPage,
    owner: Addr<Execs>,
    driver: Option<SpawnHandle>,
    /// Until when a client wants its output kept.
    lease: Option<Instant>,
    /// Its container is removed: nobody can want anything of it.
    is_evicted: bool,
}

/// Keep its output for so long.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct KeepExec(pub(crate) Duration);

/// Its record was damaged on the disk: write it once more.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct WriteAnew;

/// Its container is being removed.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Evict;

/// What the executor has of it, asked after a restart of this service.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct RecoverExec(pub(crate) Option<schema::executor::Phase>);

impl ExecActor {
    /// Starts the actor of an exec: of a new one, or of one that was recorded before, which waits for
    /// [`RecoverExec`].
    pub(crate) fn spawn(record: ExecRecord, stage: ExecStage, parts: Rc<Parts>, owner: Addr<Execs>) -> ExecHandle {
        let view = watch::Sender::new(ExecView { record: Arc::new(record.clone()), stage, failure: None });
        let observer = view.subscribe();
        let page = ExecPage::new(Arc::clone(&parts.journal));
        let (failure, driver, lease) = (None, None, None);
        let actor = Self { record, stage, failure, view, parts, page, owner, driver, lease, is_evicted: false };
        ExecHandle::new(actor.start(), observer)
    }

    fn publish(&self) {
        let record = Arc::new(self.record.clone());
        self.view.send_replace(ExecView { record, stage: self.stage, failure: self.failure.clone() });
    }
}

impl Actor for ExecActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if self.stage == ExecStage::Live {
            self.begin(ctx);
        }
    }
}

impl Handler<KeepExec> for ExecActor {
    type Result = Result<(), Failure>;

    fn handle(&mut self, KeepExec(lease): KeepExec, _: &mut Context<Self>) -> Self::Result {
        self.lease = self.lease.max(Instant::now().checked_add(lease));
        Ok(())
    }
}

impl Handler<WriteAnew> for ExecActor {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, _: WriteAnew, _: &mut Context<Self>) -> Self::Result {
        let (page, record) = (self.page.clone(), self.record.clone());
        Box::pin(async move { page.write(&record).await })
    }
}

impl Handler<Evict> for ExecActor {
    type Result = Result<(), Failure>;

    fn handle(&mut self, _: Evict, ctx: &mut Context<Self>) -> Self::Result {
        if !self.is_evicted && self.stage != ExecStage::Gone {
            self.is_evicted = true;
            self.erase(ctx);
        }
        Ok(())
    }
}

impl Handler<RecoverExec> for ExecActor {
    type Result = Result<(), Failure>;

    fn handle(&mut self, RecoverExec(sandbox): RecoverExec, ctx: &mut Context<Self>) -> Self::Result {
        if self.stage == ExecStage::Recovering && !self.is_evicted {
            tracing::info!(exec = self.record.id.short(), phase = ?self.record.phase, ?sandbox, "recovering");
            self.stage = ExecStage::Live;
            self.resume(sandbox.as_ref(), ctx);
            self.publish();
        }
        Ok(())
    }
}
