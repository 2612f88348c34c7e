//! One actor a container: it owns the record, decides what is to be done, and has it done.
//!
//! Handlers decide at once. What takes time is a future that the actor drives, at most one for each phase;
//! it writes the record before anything that cannot be undone, does its part, and its result comes back to the
//! actor. So operations on one container never overlap, go on when their caller has gone, and never delay another
//! container.

mod auto_remove;
mod changes;
mod clean_up;
mod drive;
mod requests;
mod resuming;
mod retrying;
mod shared;
mod stopping;
mod view;

use crate::exec::ExecHandle;
use crate::journal::Page;
use crate::lifecycle::Phase;
use crate::record::{Cause, Record};
use crate::registry::{Forget, Registry};
use crate::workers::on_behalf;
use actix::prelude::*;
use schema::Failure;
use schema::call::RequestId;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

use clean_up::CleanUp;

pub(crate) use changes::{Committed, Joined, Named, Paused, Signalled, WriteAnew};
pub(crate) use requests::{Keep, Remove, Restart, Start, Stop};
pub(crate) use resuming::Recover;
pub(crate) use shared::{Parts, Shared};
pub(crate) use view::{Handle, Stage, View};

/// The owner of one container.
pub(crate) struct ContainerActor {
    record: Record,
    stage: Stage,
    /// Why the last try to clean up or to remove did not succeed. It is tried again.
    trouble: Option<Failure>,
    view: watch::Sender<View>,
    shared: Rc<Shared>,
    page: Page,
    registry: Addr<Registry>,
    /// Who made it, and wants it to be started at once.
    start: Option<RequestId>,
    /// What carries out the current phase.
    driver: Option<SpawnHandle>,
    /// What carries out an order to stop.
    escalation: Option<SpawnHandle>,
    removal: Option<SpawnHandle>,
    /// Until when a client wants it kept after its end.
    lease: Option<Instant>,
    /// Whether we have cleaned up after its last run.
    is_clean: bool,
    clean_up: Rc<CleanUp>,
    /// When it came to rest.
    rested: Option<Instant>,
    /// Whether its processes are stopped where they are, as far as we know, but for a commit.
    frozen: Rc<Cell<bool>>,
    /// Held by who stops its processes or lets them go on.
    freezer: Arc<tokio::sync::Mutex<()>>,
}

impl ContainerActor {
    /// Starts the actor of a container: of a new one, whose record is then written, and which is run for `start`, or of
    /// one that was recorded before, which waits for [`Recover`] and has these execs.
    pub(crate) fn spawn(
        record: Record,
        stage: Stage,
        start: Option<RequestId>,
        shared: Rc<Shared>,
        registry: Addr<Registry>,
        execs: Vec<ExecHandle>,
    ) -> Handle {
        let was_removing = stage == Stage::Recovering && record.phase == Phase::Removing;
        let is_end_recorded = record.phase == Phase::Ending;
        let shown = Arc::new(record.clone());
        let view = watch::Sender::new(View { record: shown, stage, trouble: None, was_removing, is_end_recorded });
        let observer = view.subscribe();
        let page = Page::new(Arc::clone(&shared.journal));
        let freezer = Arc::default();
        let clean_up = Rc::new(CleanUp::new(shared.workers.clone(), record.id().clone()));
        let actor = Self {
            record,
            stage,
            trouble: None,
            view,
            shared,
            page,
            registry,
            start,
            driver: None,
            escalation: None,
            removal: None,
            lease: None,
            is_clean: false,
            clean_up,
            rested: None,
            frozen: Rc::default(),
            freezer: Arc::clone(&freezer),
        };
        let actor = Self::create(|ctx| {
            let mut actor = actor;
            actor.record.container.execs.clear();
            for exec in execs {
                actor.join(exec, ctx);
            }
            actor
        });
        Handle::new(actor, observer, freezer)
    }

    /// Shows everybody what is.
    fn publish(&self) {
        self.view.send_modify(|view| {
            view.record = Arc::new(self.record.clone());
            view.stage = self.stage;
            view.trouble.clone_from(&self.trouble);
        });
    }

    /// Lets `work` carry out the current phase, in place of what carried out the one before.
    fn drive<T: 'static>(
        &mut self,
        ctx: &mut Context<Self>,
        work: impl Future<Output = T> + 'static,
        done: impl FnOnce(T, &mut Self, &mut Context<Self>) + 'static,
    ) {
        if let Some(previous) = self.driver.take() {
            ctx.cancel_future(previous);
        }
        let request = self.record.run.as_ref().map_or(0, |run| run.started_by);
        let span = tracing::info_span!(
            "container",
            id = self.record.id().short(),
            phase = ?self.record.phase,
            request = %schema::call::RequestId(request)
        );
        let driven = on_behalf(request, work).instrument(span).into_actor(self).map(move |result, actor, ctx| {
            actor.driver = None;
            done(result, actor, ctx);
        });
        self.driver = Some(ctx.spawn(driven));
    }

    /// Makes a change that the lifecycle must allow here; what it does not allow is a bug and changes nothing.
    fn apply(&mut self, change: impl FnOnce(&mut Record) -> Result<(), Failure>) -> bool {
        self.forget_told();
        match change(&mut self.record) {
            Ok(()) => true,
            Err(failure) => {
                tracing::error!(%failure, "a bug: an event out of order is ignored");
                false
            }
        }
    }

    /// What was told need not be noted any longer.
    fn forget_told(&mut self) {
        if !self.record.noted.is_empty() {
            let told = self.shared.journal.events().told(self.record.id());
            self.record.noted.retain(|noted| noted.number > told);
        }
    }

    /// Takes the container out of the registry and ends.
    fn depart(&mut self, ctx: &mut Context<Self>) {
        let forget = Forget(Arc::new(self.record.clone()));
        let told = self.registry.send(forget).into_actor(self).map(|_, actor, ctx| {
            actor.stage = Stage::Gone;
            actor.publish();
            ctx.stop();
        });
        ctx.spawn(told);
    }
}

impl Actor for ContainerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if self.stage != Stage::New {
            return;
        }
        self.record.created();
        match self.start {
            // What is not kept need not be found again after a power cut: the record of its start is as good as one before.
            Some(request) if !self.record.is_kept() => {
                self.stage = Stage::Live;
                if let Err(failure) = self.begin(request, Cause::Start, ctx) {
                    tracing::error!(%failure, "cannot start what was just made");
                }
            }
            _ => self.record_first(ctx),
        }
    }
}

impl ContainerActor {
    fn record_first(&mut self, ctx: &mut Context<Self>) {
        let (page, record) = (self.page.clone(), self.record.clone());
        self.drive(ctx, async move { page.write(&record).await }, Self::recorded);
    }

    /// The record of a new container is written, or cannot be.
    fn recorded(written: Result<(), Failure>, actor: &mut Self, ctx: &mut Context<Self>) {
        match written {
            Ok(()) => {
                actor.stage = Stage::Live;
                actor.publish();
            }
            Err(failure) => {
                actor.trouble = Some(failure.context("recording the container"));
                actor.depart(ctx);
            }
        }
    }
}
