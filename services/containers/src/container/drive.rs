//! How each phase is carried out, and what follows.

use super::{ContainerActor, Shared};
use crate::journal::Page;
use crate::lifecycle::Event;
use crate::plan;
use crate::record::Record;
use crate::resume::unknown_end;
use crate::workers::{STEP, insist, own_call};
use actix::prelude::*;
use schema::call::RequestId;
use schema::common::ExitRecord;
use schema::containers::AutoRemove;
use schema::{Call, Code, Failure};
use std::rc::Rc;

/// A try that did not succeed, of the driver that works on this revision of the record.
#[derive(Message)]
#[rtype(result = "()")]
struct Trouble {
    revision: u64,
    failure: Failure,
}

impl ContainerActor {
    /// Begins a run.
    pub(super) fn begin(&mut self, request: RequestId, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.record.begin(request)?;
        if let Some(timer) = self.removal.take() {
            ctx.cancel_future(timer);
        }
        self.trouble = None;
        self.rested = None;
        self.publish();
        self.drive_start(false, ctx);
        Ok(())
    }

    /// Starting: fills the sandbox unless that is done, and executes PID 1.
    pub(super) fn drive_start(&mut self, assembled: bool, ctx: &mut Context<Self>) {
        let work = start(Rc::clone(&self.shared), self.page.clone(), self.record.clone(), assembled);
        self.drive(ctx, work, |(record, started), actor, ctx| {
            actor.record = record;
            match started {
                Ok(()) => {
                    actor.publish();
                    actor.drive_run(ctx);
                }
                Err(failure) => actor.start_failed(&failure, ctx),
            }
        });
    }

    fn start_failed(&mut self, failure: &Failure, ctx: &mut Context<Self>) {
        tracing::info!(id = self.record.id().short(), %failure, "cannot start");
        if self.apply(|record| record.failed(failure)) {
            self.publish();
            self.drive_clean(ctx);
        }
    }

    /// Running, stopping: waits for the end.
    pub(super) fn drive_run(&mut self, ctx: &mut Context<Self>) {
        let work = end_of_run(Rc::clone(&self.shared), self.record.clone());
        self.drive(ctx, work, |exit, actor, ctx| actor.run_ended(exit, ctx));
    }

    /// The run is over: everybody may know at once, and then it is recorded and cleaned up.
    pub(super) fn run_ended(&mut self, exit: ExitRecord, ctx: &mut Context<Self>) {
        if let Some(escalation) = self.escalation.take() {
            ctx.cancel_future(escalation);
        }
        if self.apply(|record| record.ended(exit)) {
            self.publish();
            self.drive_clean(ctx);
        }
    }

    /// Ending: removes what the run has in the kernel.
    pub(super) fn drive_clean(&mut self, ctx: &mut Context<Self>) {
        let work = clean(Rc::clone(&self.shared), self.page.clone(), self.record.clone(), self.reporter(ctx));
        self.drive(ctx, work, |(), actor, ctx| {
            actor.trouble = None;
            if actor.apply(|record| record.apply(Event::Cleaned)) {
                actor.rest(ctx);
            }
        });
    }

    /// Nothing of the run is left: starts again, removes itself, or rests.
    fn rest(&mut self, ctx: &mut Context<Self>) {
        if let Some(order) = self.record.stop_order().filter(|order| order.then_start) {
            if let Err(failure) = self.begin(RequestId(order.request), ctx) {
                tracing::error!(%failure, "cannot restart");
            }
            return;
        }
        if self.record.container.spec.auto_remove != AutoRemove::OnExit {
            // What a crash loses here is done again: cleaning up twice is harmless.
            let (page, record) = (self.page.clone(), self.record.clone());
            self.drive(ctx, async move { warn("that it is cleaned up", page.write(&record).await) }, |(), _, _| ());
            self.publish();
        }
        self.settle(ctx);
    }

    /// Removing: removes what the workers have, then the record.
    pub(super) fn remove(&mut self, ctx: &mut Context<Self>) {
        self.trouble = None;
        self.publish();
        let work = remove(Rc::clone(&self.shared), self.page.clone(), self.record.clone(), self.reporter(ctx));
        self.drive(ctx, work, |(), actor, ctx| actor.depart(ctx));
    }

    /// Tells the actor of a driver's failures.
    fn reporter(&self, ctx: &mut Context<Self>) -> impl Fn(Failure) + use<> {
        let (actor, revision) = (ctx.address(), self.record.revision);
        move |failure| {
            tracing::warn!(%failure, "trying again");
            actor.do_send(Trouble { revision, failure });
        }
    }
}

impl Handler<Trouble> for ContainerActor {
    type Result = ();

    fn handle(&mut self, Trouble { revision, failure }: Trouble, _: &mut Context<Self>) {
        if revision == self.record.revision {
            self.trouble = Some(failure);
            self.publish();
        }
    }
}

/// Gives the record as far as the start came, also if it failed.
async fn start(shared: Rc<Shared>, page: Page, mut record: Record, assembled: bool) -> (Record, Result<(), Failure>) {
    let started = async {
        let request = RequestId(record.run.as_ref().map_or(0, |run| run.started_by));
        page.write(&record).await?;
        if !assembled {
            shared.gate.pass(STEP).await?;
            plan::assemble(&shared.workers, request, &mut record).await?;
            page.write(&record).await?;
        }
        let started = plan::launch(&shared.workers, request, &record).await?;
        record.started(started)?;
        // It runs, whatever the disk says: after a crash the executor tells.
        warn("that it runs", page.write(&record).await);
        Ok(())
    }
    .await;
    (record, started)
}

/// However often the executor has to be asked: a run whose end is not known is not over.
async fn end_of_run(shared: Rc<Shared>, record: Record) -> ExitRecord {
    let call = Call { request: RequestId(record.run.as_ref().map_or(0, |run| run.started_by)), deadline: None };
    let wait = async || match shared.workers.executor.wait(&call, record.id()).await {
        Err(failure) if failure.code == Code::NotFound => Ok(unknown_end("its sandbox is gone")),
        answer => answer,
    };
    insist(wait, |failure| tracing::warn!(%failure, "cannot wait for the end of the run")).await
}

async fn clean(shared: Rc<Shared>, page: Page, record: Record, report: impl Fn(Failure)) {
    let attempt = async || {
        let written = page.write(&record).await;
        if record.container.exit.is_some() {
            // The sandbox holds the only other copy of the exit code.
            written?;
            plan::drained(&shared.workers, record.id()).await?;
        } else {
            warn("why it did not start", written);
        }
        plan::clean(&shared.workers, record.id()).await
    };
    insist(attempt, report).await;
}

async fn remove(shared: Rc<Shared>, page: Page, record: Record, report: impl Fn(Failure)) {
    let attempt = async || {
        // On a full disk this fails, and removing containers is how one makes room: a crash would then leave
        // it to its user to remove the rest.
        warn("that it is being removed", page.write(&record).await);
        plan::erase(&shared.workers, record.id()).await?;
        page.delete(&record).await
    };
    insist(attempt, report).await;
}

/// For what a restart would find out anyway.
pub(super) fn warn(what: &str, written: Result<(), Failure>) {
    if let Err(failure) = written {
        tracing::warn!(%failure, "cannot record {what}");
    }
}

/// Sends a signal to PID 1 until the executor has taken it, or has nothing to send it to.
pub(super) async fn signal(shared: &Shared, record: &Record, signal: i32) {
    let send = async || match shared.workers.executor.signal(&own_call(), record.id(), signal).await {
        Err(failure) if failure.code == Code::NotFound => Ok(()),
        answer => answer,
    };
    insist(send, |failure| tracing::warn!(%failure, signal, "cannot send the signal")).await;
}
