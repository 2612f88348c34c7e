//! How an exec is carried out.

use super::owner::Forget;
use super::{ExecActor, ExecPhase, ExecRecord, ExecStage, GRACE};
use crate::container::Parts;
use crate::journal::ExecPage;
use crate::plan::{self, SANDBOXES};
use crate::resume::unknown_end;
use crate::workers::{STEP, insist, on_behalf, own_call};
use actix::prelude::*;
use schema::call::RequestId;
use schema::common::ExitRecord;
use schema::executor::{Phase as Sandbox, Started};
use schema::{Code, Failure};
use std::rc::Rc;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::Instrument;

impl ExecActor {
    /// Lets `work` carry out what comes next, in place of what went before.
    fn drive<T: 'static>(
        &mut self,
        ctx: &mut Context<Self>,
        work: impl Future<Output = T> + 'static,
        done: impl FnOnce(T, &mut Self, &mut Context<Self>) + 'static,
    ) {
        if let Some(previous) = self.driver.take() {
            ctx.cancel_future(previous);
        }
        let ExecRecord { id, container, request, .. } = &self.record;
        let (id, container, number) = (id.short(), container.short(), RequestId(*request));
        let span = tracing::info_span!("exec", id, container, request = %number);
        let driven = on_behalf(*request, work).instrument(span).into_actor(self).map(move |result, actor, ctx| {
            actor.driver = None;
            done(result, actor, ctx);
        });
        self.driver = Some(ctx.spawn(driven));
    }

    /// Prepares it and starts it.
    pub(super) fn begin(&mut self, ctx: &mut Context<Self>) {
        let work = begin(Rc::clone(&self.parts), self.page.clone(), self.record.clone());
        self.drive(ctx, work, |(record, begun), actor, ctx| {
            actor.record = record;
            match begun {
                Ok(()) => {
                    actor.publish();
                    let (page, record) = (actor.page.clone(), actor.record.clone());
                    // It runs, whatever the disk says: after a crash the executor tells.
                    let write = async move { warn("that it runs", page.write(&record).await) };
                    ctx.spawn(write.into_actor(actor));
                    actor.watch(ctx);
                }
                Err(failure) => {
                    tracing::info!(exec = actor.record.id.short(), %failure, "cannot start");
                    actor.failure = Some(failure);
                    actor.erase(ctx);
                }
            }
        });
    }

    /// Goes on after a restart of this service.
    pub(super) fn resume(&mut self, sandbox: Option<&Sandbox>, ctx: &mut Context<Self>) {
        match (self.record.phase, sandbox) {
            (ExecPhase::Ended, _) => self.clean(ctx),
            (ExecPhase::Running, Some(Sandbox::Running(_) | Sandbox::Exited(_))) => self.watch(ctx),
            // It may have run: it is not run a second time.
            (ExecPhase::Running | ExecPhase::Assembled, None) | (ExecPhase::Running, Some(Sandbox::Parked)) => {
                self.ended(unknown_end("its sandbox is gone"), ctx);
            }
            // Each step recognises what is there; the executor answers a repeated start as the first.
            (ExecPhase::Preparing | ExecPhase::Assembled, _) => self.begin(ctx),
        }
    }

    /// Running: waits for its end.
    fn watch(&mut self, ctx: &mut Context<Self>) {
        let work = end(Rc::clone(&self.parts), self.record.clone());
        self.drive(ctx, work, |exit, actor, ctx| actor.ended(exit, ctx));
    }

    fn ended(&mut self, exit: ExitRecord, ctx: &mut Context<Self>) {
        if self.record.phase == ExecPhase::Assembled {
            self.record.started(Started { pid: 0, started_at: exit.finished_at });
        }
        self.record.ended(exit);
        self.clean(ctx);
    }

    /// Ended: records how, tells everybody, and removes what it has in the kernel.
    fn clean(&mut self, ctx: &mut Context<Self>) {
        self.publish();
        let work = clean(Rc::clone(&self.parts), self.page.clone(), self.record.clone());
        self.drive(ctx, work, |(), actor, ctx| {
            let lease = actor.lease.map_or_else(Instant::now, |lease| lease.max(Instant::now()));
            actor.wait_for_client(lease + GRACE, ctx);
        });
    }

    /// Forgets it when nobody wants its output any more. A lease that is renewed meanwhile makes it wait again.
    fn wait_for_client(&mut self, due: Instant, ctx: &mut Context<Self>) {
        self.drive(ctx, tokio::time::sleep_until(due), move |(), actor, ctx| {
            match actor.lease.map(|lease| lease + GRACE).filter(|later| *later > due) {
                Some(later) => actor.wait_for_client(later, ctx),
                None => actor.erase(ctx),
            }
        });
    }

    /// Removes all that there is of it, and its record.
    pub(super) fn erase(&mut self, ctx: &mut Context<Self>) {
        let work = erase(Rc::clone(&self.parts), self.page.clone(), self.record.clone());
        self.drive(ctx, work, |(), actor, ctx| actor.depart(ctx));
    }

    fn depart(&mut self, ctx: &mut Context<Self>) {
        let forget = Forget { record: Arc::new(self.record.clone()), failure: self.failure.clone() };
        let told = self.owner.send(forget).into_actor(self).map(|_, actor, ctx| {
            actor.stage = ExecStage::Gone;
            actor.publish();
            ctx.stop();
        });
        ctx.spawn(told);
    }
}

/// Gives the record as far as the start came, also if it failed.
async fn begin(parts: Rc<Parts>, page: ExecPage, mut record: ExecRecord) -> (ExecRecord, Result<(), Failure>) {
    for _ in 1..SANDBOXES {
        let failure = match try_begin(&parts, &page, &mut record).await {
            Err(failure) if plan::has_lost_exec(&parts.workers, &record, &failure).await => failure,
            outcome => return (record, outcome),
        };
        tracing::warn!(%failure, "nothing was executed: trying another sandbox");
        // Recorded first: an exec that was assembled and has no sandbox may have run.
        record.phase = ExecPhase::Preparing;
        let given_up = async {
            page.write(&record).await?;
            parts.workers.executor.destroy(&own_call(), &record.id).await
        };
        if let Err(failure) = given_up.await {
            return (record, Err(failure));
        }
    }
    let begun = try_begin(&parts, &page, &mut record).await;
    (record, begun)
}

/// In one sandbox.
async fn try_begin(parts: &Parts, page: &ExecPage, record: &mut ExecRecord) -> Result<(), Failure> {
    parts.gate.pass(STEP).await?;
    if record.phase == ExecPhase::Preparing {
        // A sandbox of which the record does not know yet is swept away after a crash.
        let before = record.clone();
        let (written, assembled) = futures::join!(page.write(&before), assemble(parts, record));
        written?;
        assembled?;
    }
    page.write(record).await?;
    let started = parts.workers.executor.start(&own_call(), &record.id, &record.process).await?;
    record.started(started);
    Ok(())
}

/// Makes its sandbox and opens its log.
async fn assemble(parts: &Parts, record: &mut ExecRecord) -> Result<(), Failure> {
    let (workers, sandbox) = (&parts.workers, record.sandbox());
    let prepared = workers.executor.prepare_exec(&own_call(), &record.container, &record.id, &sandbox).await?;
    record.log.directory = prepared.directory;
    let opened = workers.log_collector.open(&own_call(), &record.id, &record.log).await;
    record.position = opened.map_err(|failure| failure.context("opening the log"))?;
    record.phase = ExecPhase::Assembled;
    Ok(())
}

/// However often the executor has to be asked: an exec whose end is not known is not over.
async fn end(parts: Rc<Parts>, record: ExecRecord) -> ExitRecord {
    let call = own_call().unbounded();
    let wait = async || match parts.workers.executor.wait(&call, &record.id).await {
        Err(failure) if failure.code == Code::NotFound => Ok(unknown_end("its sandbox is gone")),
        answer => answer,
    };
    insist(wait, |failure| tracing::warn!(%failure, "cannot wait for the end of the exec")).await
}

async fn clean(parts: Rc<Parts>, page: ExecPage, record: ExecRecord) {
    let attempt = async || {
        // The sandbox holds the only other copy of the exit code.
        page.write(&record).await?;
        plan::drained(&parts.workers, &record.id).await?;
        parts.workers.executor.destroy(&own_call(), &record.id).await
    };
    insist(attempt, |failure| tracing::warn!(%failure, "cannot clean up the exec yet")).await;
}

async fn erase(parts: Rc<Parts>, page: ExecPage, record: ExecRecord) {
    let attempt = async || {
        // First: what is left of an exec without a record is removed after a crash, and no one takes it for one
        // that ran.
        page.delete(&record.id).await?;
        parts.workers.executor.destroy(&own_call(), &record.id).await?;
        parts.workers.log_collector.remove(&own_call(), &record.id).await
    };
    insist(attempt, |failure| tracing::warn!(%failure, "cannot remove the exec yet")).await;
}

fn warn(what: &str, written: Result<(), Failure>) {
    if let Err(failure) = written {
        tracing::warn!(%failure, "cannot record {what}");
    }
}
