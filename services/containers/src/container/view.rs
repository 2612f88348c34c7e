//! What others see of a container, without waiting for its actor.

use super::ContainerActor;
use crate::lifecycle::Phase;
use crate::lookup;
use crate::record::{Cause, Record};
use actix::dev::ToEnvelope;
use actix::{Addr, Handler, Message};
use schema::Failure;
use schema::call::RequestId;
use schema::containers::Container;
use std::borrow::Borrow;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard, watch};

/// How much is known of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its record is being written.
    New,
    /// Its record was found at start; the workers have not been asked yet.
    Recovering,
    /// The record tells what is.
    Live,
    /// It was removed, for its users: its name, its ports and its image are free. What else it had is being removed.
    Leaving,
    /// Nothing of it is left.
    Gone,
}

/// A container at one moment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) record: Arc<Record>,
    pub(crate) stage: Stage,
    /// Why it is not cleaned up or removed yet, if that was tried without success.
    pub(crate) trouble: Option<Failure>,
    /// Whether its removal had begun before this process did.
    pub(crate) was_removing: bool,
    /// Whether the end of its last run is recorded.
    pub(crate) is_end_recorded: bool,
}

impl View {
    /// Where it is in its life.
    pub(crate) fn phase(&self) -> Phase {
        self.record.phase
    }

    /// Whether it exists for its users.
    pub(crate) fn is_listed(&self) -> bool {
        matches!(self.stage, Stage::Recovering | Stage::Live)
    }

    /// Whether lists show it. Of one whose removal an earlier process had begun, its user was perhaps told already that it
    /// is gone.
    pub(crate) fn is_shown(&self) -> bool {
        self.is_listed() && (!self.was_removing || self.trouble.is_some())
    }

    /// Whether it was removed, as far as its users are concerned.
    pub(crate) fn is_removed(&self) -> bool {
        matches!(self.stage, Stage::Leaving | Stage::Gone)
    }

    /// Whether nothing happens to it by itself any more, as far as its users have to wait for. What cannot
    /// be cleaned up is not waited for; what will be started again is.
    pub(crate) fn is_settled(&self) -> bool {
        match (self.stage, self.phase()) {
            (Stage::New | Stage::Recovering, _) => false,
            (Stage::Leaving | Stage::Gone, _) => true,
            (Stage::Live, Phase::Created | Phase::Exited) => true,
            (Stage::Live, Phase::Starting | Phase::Running | Phase::Paused | Phase::Stopping | Phase::Restarting) => {
                false
            }
            (Stage::Live, Phase::Ending | Phase::Removing) => self.trouble.is_some(),
        }
    }

    /// Whether the start by a request is over, well or not; a failed one is over when it is cleaned up. Also
    /// true when there is no such start to come.
    pub(crate) fn is_start_over(&self, request: RequestId) -> bool {
        if !self.record.started_by(request) {
            return self.is_settled();
        }
        let is_pending = self.phase() == Phase::Starting || self.record.start_failure().is_some();
        if self.is_restarted() || !is_pending { self.stage != Stage::Recovering } else { self.is_settled() }
    }

    /// Whether its restart policy began the run: then the start that a user asked for is long over.
    pub(crate) fn is_restarted(&self) -> bool {
        self.record.run.as_ref().is_some_and(|run| run.cause == Cause::Policy)
    }

    /// Whether a run has ended, and nothing of it is left, since `ends` runs had.
    pub(crate) fn has_ended_since(&self, ends: u64) -> bool {
        self.stage == Stage::Live && self.record.ends > ends && !matches!(self.phase(), Phase::Ending | Phase::Removing)
    }

    /// Whether it does not run, nor is about to, and that is recorded, whatever is left of its run.
    pub(crate) fn has_ended(&self) -> bool {
        let is_over = match self.phase() {
            Phase::Ending => self.is_end_recorded,
            phase => phase == Phase::Removing,
        };
        self.is_settled() || (self.stage == Stage::Live && is_over)
    }

    /// As its users see it.
    pub(crate) fn container(&self) -> Container {
        self.record.container.clone()
    }
}

impl Borrow<Container> for View {
    fn borrow(&self) -> &Container {
        &self.record.container
    }
}

/// A container, for those who ask something of it.
#[derive(Clone)]
pub(crate) struct Handle {
    actor: Addr<ContainerActor>,
    view: watch::Receiver<View>,
    freezer: Arc<Mutex<()>>,
}

impl Handle {
    pub(super) fn new(actor: Addr<ContainerActor>, view: watch::Receiver<View>, freezer: Arc<Mutex<()>>) -> Self {
        Self { actor, view, freezer }
    }

    /// Waits for one's turn to stop its processes where they are, or to let them go on.
    pub(crate) async fn freezer(&self) -> MutexGuard<'_, ()> {
        self.freezer.lock().await
    }

    /// What is now.
    pub(crate) fn now(&self) -> View {
        self.view.borrow().clone()
    }

    /// Waits until nothing of a container that was removed is left.
    pub(crate) async fn erased(&self) {
        // An error means that the actor has ended.
        let _ = self.view.clone().wait_for(|view| view.stage == Stage::Gone).await;
    }

    /// Waits until something is true of the container, and gives what is then. A container that was removed does
    /// not change any more, and is given as it is.
    pub(crate) async fn until(&self, mut is_true: impl FnMut(&View) -> bool) -> View {
        let mut view = self.view.clone();
        // An error means that the actor has ended: then the last view holds.
        let _ = view.wait_for(|view| view.is_removed() || is_true(view)).await;
        view.borrow().clone()
    }

    /// Waits until its recovery has begun or its record is written.
    pub(crate) async fn until_live(&self) -> Result<View, Failure> {
        let view = self.until(|view| view.stage == Stage::Live).await;
        match view.stage {
            Stage::Leaving | Stage::Gone => {
                Err(view.trouble.unwrap_or_else(|| lookup::unknown(view.record.id().as_str())))
            }
            _ => Ok(view),
        }
    }

    /// Asks its actor.
    pub(crate) async fn ask<M, T>(&self, message: M) -> Result<T, Failure>
    where
        ContainerActor: Handler<M>,
        <ContainerActor as actix::Actor>::Context: ToEnvelope<ContainerActor, M>,
        M: Message<Result = Result<T, Failure>> + Send + 'static,
        T: Send + 'static,
    {
        self.until_live().await?;
        match kit::actor::ask(&self.actor, message).await {
            Err(_) if self.now().stage == Stage::Gone => Err(lookup::unknown(self.now().record.id().as_str())),
            answer => answer,
        }
    }

    /// Tells its actor, without waiting.
    pub(crate) fn tell<M>(&self, message: M)
    where
        ContainerActor: Handler<M>,
        <ContainerActor as actix::Actor>::Context: ToEnvelope<ContainerActor, M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.actor.do_send(message);
    }
}
