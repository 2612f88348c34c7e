//! How each phase is carried out, and what follows.

use super::{CleanUp, ContainerActor, Shared, Stage, View};
use crate::exec::{Evict, Of};
use crate::journal::Page;
use crate::lifecycle::Phase;
use crate::plan::{self, Assembly, SANDBOXES};
use crate::record::{Cause, Record};
use crate::registry::Left;
use crate::resume::unknown_end;
use crate::spares::{Claim, MakeRoom};
use crate::workers::{STEP, insist, own_call};
use actix::prelude::*;
use kit::actor::ask;
use schema::call::RequestId;
use schema::common::ExitRecord;
use schema::containers::AutoRemove;
use schema::executor::Started;
use schema::{Call, Code, Failure};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long the end of a run waits for the output of its execs.
const EXECS: Duration = Duration::from_secs(10);

/// Its sandbox is filled; answers the record that says so.
#[derive(Message)]
#[rtype(result = "Result<Record, Failure>")]
struct Assembled(Assembly);

/// A try that did not succeed, of the driver that works on this revision of the record.
#[derive(Message)]
#[rtype(result = "()")]
struct Trouble {
    revision: u64,
    failure: Failure,
}

/// The end of its run is recorded.
#[derive(Message)]
#[rtype(result = "()")]
struct EndRecorded;

impl ContainerActor {
    /// Begins a run.
    pub(super) fn begin(&mut self, request: RequestId, cause: Cause, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.forget_told();
        self.record.begin(request, cause)?;
        if let Some(timer) = self.removal.take() {
            ctx.cancel_future(timer);
        }
        self.trouble = None;
        self.is_clean = false;
        self.clean_up = Rc::new(CleanUp::new(self.shared.workers.clone(), self.record.id().clone()));
        self.rested = None;
        self.view.send_modify(|view| view.is_end_recorded = false);
        self.publish();
        self.drive_start(false, ctx);
        Ok(())
    }

    /// Starting: fills the sandbox unless that is done, and executes PID 1.
    pub(super) fn drive_start(&mut self, assembled: bool, ctx: &mut Context<Self>) {
        let actor = ctx.address();
        let work = start(Rc::clone(&self.shared), self.page.clone(), self.record.clone(), actor, assembled);
        self.drive(ctx, work, |started, actor, ctx| match started {
            Ok(started) => actor.run_started(started, ctx),
            Err(failure) => actor.start_failed(&failure, ctx),
        });
    }

    fn run_started(&mut self, started: Started, ctx: &mut Context<Self>) {
        if !self.apply(|record| record.started(started)) {
            return;
        }
        let (page, record) = (self.page.clone(), self.record.clone());
        // It runs, whatever the disk says: after a crash the executor tells.
        let write = async move { warn("that it runs", page.write(&record).await) };
        if self.record.is_kept() {
            // What a policy is to start again must be known to have run before anybody relies on it, and of what is kept
            // `events` tells before its client is answered.
            self.drive(ctx, write, |(), actor, ctx| {
                actor.publish();
                actor.drive_run(ctx);
            });
        } else {
            ctx.spawn(write.into_actor(self));
            self.publish();
            self.drive_run(ctx);
        }
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
        self.frozen.set(false);
        let (page, record, view) = (self.page.clone(), self.record.clone(), self.view.subscribe());
        let recorded = {
            let actor = ctx.address();
            move || actor.do_send(EndRecorded)
        };
        let work = clean(Rc::clone(&self.clean_up), page, record, view, recorded, self.reporter(ctx));
        self.drive(ctx, work, |(), actor, ctx| {
            actor.trouble = None;
            actor.is_clean = true;
            if actor.apply(Record::cleaned) {
                actor.rest(ctx);
            }
        });
    }

    /// Nothing of the run is left: starts again, removes itself, or rests.
    fn rest(&mut self, ctx: &mut Context<Self>) {
        if let Some(order) = self.record.stop_order().filter(|order| order.then_start) {
            if let Err(failure) = self.begin(RequestId(order.request), Cause::Restart, ctx) {
                tracing::error!(%failure, "cannot restart");
            }
            return;
        }
        if self.record.is_to_restart() {
            self.publish();
            self.drive_retry(ctx);
            return;
        }
        if self.record.is_kept() {
            // What a crash loses here is done again: cleaning up twice is harmless. So is what a container has no record of
            // that goes with its client or by itself.
            let (page, record) = (self.page.clone(), self.record.clone());
            self.drive(ctx, async move { warn("that it is cleaned up", page.write(&record).await) }, |(), _, _| ());
        }
        if self.record.container.spec.auto_remove != AutoRemove::OnExit {
            self.publish();
        }
        self.settle(ctx);
    }

    /// Removing: gives back what others may want; then nobody waits any more, and the rest is removed.
    pub(super) fn remove(&mut self, ctx: &mut Context<Self>) {
        self.trouble = None;
        self.publish();
        let (shared, page, record) = (Rc::clone(&self.shared), self.page.clone(), self.record.clone());
        let work = give_back(shared, page, record, self.left(), self.reporter(ctx));
        self.drive(ctx, work, |(), actor, ctx| actor.leave(ctx));
    }

    /// It is gone for its users.
    fn leave(&mut self, ctx: &mut Context<Self>) {
        let left = self.registry.send(Left(Arc::new(self.record.clone())));
        self.drive(ctx, left, |_, actor, ctx| {
            actor.stage = Stage::Leaving;
            actor.publish();
            let (shared, page, record) = (Rc::clone(&actor.shared), actor.page.clone(), actor.record.clone());
            let work = erase(shared, page, record, actor.left(), actor.reporter(ctx));
            actor.drive(ctx, work, |(), actor, ctx| actor.depart(ctx));
        });
    }

    /// What is to be cleaned up after the last run, unless that is done.
    fn left(&self) -> Option<Rc<CleanUp>> {
        (!self.is_clean).then(|| Rc::clone(&self.clean_up))
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

impl Handler<EndRecorded> for ContainerActor {
    type Result = ();

    fn handle(&mut self, EndRecorded: EndRecorded, _: &mut Context<Self>) {
        // Unless it was started again meanwhile.
        let is_of_this_run = self.record.phase == Phase::Ending;
        self.view.send_modify(|view| view.is_end_recorded |= is_of_this_run);
    }
}

impl Handler<Assembled> for ContainerActor {
    type Result = Result<Record, Failure>;

    fn handle(&mut self, Assembled(assembly): Assembled, _: &mut Context<Self>) -> Self::Result {
        let Assembly { sandbox, attachment, position, warnings, is_named: _ } = assembly;
        self.record.assembled(sandbox, attachment, position, warnings);
        Ok(self.record.clone())
    }
}

async fn start(
    shared: Rc<Shared>,
    page: Page,
    mut record: Record,
    actor: Addr<ContainerActor>,
    assembled: bool,
) -> Result<Started, Failure> {
    let request = RequestId(record.run.as_ref().map_or(0, |run| run.started_by));
    let mut assembled = assembled;
    for _ in 1..SANDBOXES {
        let failure = match try_start(&shared, &page, &mut record, &actor, assembled).await {
            // No user is to do without what sandboxes have that stand ready: addresses, processes, memory.
            Err(failure) if failure.code == Code::ResourceExhausted && ask(&shared.spares, MakeRoom).await? => failure,
            Err(failure) if plan::has_lost_sandbox(&shared.workers, request, &record, &failure).await => failure,
            outcome => return outcome,
        };
        tracing::warn!(id = record.id().short(), %failure, "nothing was executed: trying another sandbox");
        plan::clean(&shared.workers, record.id()).await?;
        assembled = false;
    }
    try_start(&shared, &page, &mut record, &actor, assembled).await
}

/// In one sandbox.
async fn try_start(
    shared: &Shared,
    page: &Page,
    record: &mut Record,
    actor: &Addr<ContainerActor>,
    assembled: bool,
) -> Result<Started, Failure> {
    let request = RequestId(record.run.as_ref().map_or(0, |run| run.started_by));
    if !assembled {
        shared.gate.pass(STEP).await?;
        let ready = ask(&shared.spares, Claim(record.clone())).await?;
        // With a sandbox that stands ready, it is only a moment until the record is written that says so.
        let is_ready = ready.is_some();
        let write = async { if is_ready { Ok(()) } else { page.write(record).await } };
        // A sandbox of which the record does not know yet is swept away after a crash.
        let (written, assembly) = futures::join!(write, plan::assemble(&shared.workers, request, record, ready));
        written?;
        let assembly = assembly?;
        let is_named = assembly.is_named;
        *record = ask(actor, Assembled(assembly)).await?;
        let name =
            async { if is_named { Ok(()) } else { plan::name(&shared.workers, &plan::step(request), record).await } };
        let (named, written) = futures::join!(name, page.write(record));
        named?;
        written?;
    }
    plan::launch(&shared.workers, request, record).await
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

async fn clean(
    clean_up: Rc<CleanUp>,
    page: Page,
    record: Record,
    mut view: watch::Receiver<View>,
    recorded: impl Fn(),
    report: impl Fn(Failure),
) {
    // They have ended with PID 1. Their output goes to their logs before their container's sandbox goes.
    let have_ended = view.wait_for(|view| view.record.container.execs.is_empty());
    if tokio::time::timeout(EXECS, have_ended).await.is_err() {
        tracing::warn!("execs have not ended with their container");
    }
    let attempt = async || {
        if record.container.exit.is_some() {
            let write = async { page.write(&record).await.inspect(|()| recorded()) };
            let (written, drained, detached) = futures::join!(write, clean_up.drained(), clean_up.detached());
            // The sandbox holds the only other copy of the exit code.
            written?;
            drained?;
            let destroyed = clean_up.destroyed().await;
            detached?;
            return destroyed;
        }
        warn("why it did not start", page.write(&record).await);
        let (detached, destroyed) = futures::join!(clean_up.detached(), clean_up.destroyed());
        detached?;
        destroyed
    };
    insist(attempt, report).await;
}

/// Its address and ports, and its image; its name goes with them. To remove its writable layer needs none of the image's.
///
/// Nobody waits for its sandbox to go, unless that has something of the host mounted.
async fn give_back(
    shared: Rc<Shared>,
    page: Page,
    record: Record,
    left: Option<Rc<CleanUp>>,
    report: impl Fn(Failure),
) {
    let attempt = async || {
        // On a full disk this fails, and removing containers is how one makes room: a crash would then leave
        // it to its user to remove the rest.
        warn("that it is being removed", page.write(&record).await);
        for exec in ask(&shared.execs, Of(record.id().clone())).await? {
            // One that is gone already is as good.
            let _ = exec.ask(Evict).await;
            exec.gone().await;
        }
        shared.leases.pass(STEP).await?;
        let detached = async {
            let Some(left) = &left else { return Ok(()) };
            if record.container.spec.volumes.is_empty() {
                return left.detached().await;
            }
            // Both are tried, whatever the other says.
            let (detached, destroyed) = futures::join!(left.detached(), left.destroyed());
            detached.and(destroyed)
        };
        let (detached, released) = futures::join!(detached, plan::release_image(&shared.workers, record.id()));
        detached?;
        released?;
        page.leave(&record).await
    };
    insist(attempt, report).await;
}

/// What only it had, and then its record.
async fn erase(shared: Rc<Shared>, page: Page, record: Record, left: Option<Rc<CleanUp>>, report: impl Fn(Failure)) {
    if let Some(left) = left.as_ref().filter(|_| record.container.exit.is_some()) {
        // For who still reads. It is about to be removed: what is not captured in time is not missed.
        let _ = left.drained().await;
    }
    let attempt = async || {
        if let Some(left) = &left {
            left.destroyed().await?;
        }
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

/// Stops all its processes where they are, or lets them go on, unless there are none.
pub(super) async fn freeze(shared: &Shared, record: &Record, frozen: bool) {
    let freeze = async || match shared.workers.executor.freeze(&own_call(), record.id(), frozen).await {
        Err(failure) if matches!(failure.code, Code::NotFound | Code::Conflict | Code::Unimplemented) => Ok(()),
        answer => answer,
    };
    insist(freeze, |failure| tracing::warn!(%failure, frozen, "cannot freeze or thaw")).await;
}
