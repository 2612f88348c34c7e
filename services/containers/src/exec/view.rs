//! What others see of an exec, without waiting for its actor.

use super::{ExecActor, ExecPhase, ExecRecord};
use actix::dev::ToEnvelope;
use actix::{Addr, Handler, Message};
use schema::common::ExitRecord;
use schema::containers::Exec;
use schema::{ContainerId, Failure};
use std::sync::Arc;
use tokio::sync::watch;

/// How much is known of an exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExecStage {
    /// Its record was found at start; the executor has not been asked yet.
    Recovering,
    /// The record tells what is.
    Live,
    /// It is forgotten.
    Gone,
}

/// An exec at one moment.
#[derive(Clone, Debug)]
pub(crate) struct ExecView {
    pub(crate) record: Arc<ExecRecord>,
    pub(crate) stage: ExecStage,
    /// Why it did not start.
    pub(crate) failure: Option<Failure>,
}

impl ExecView {
    fn has_begun(&self) -> bool {
        self.stage != ExecStage::Recovering
            && (self.failure.is_some() || matches!(self.record.phase, ExecPhase::Running | ExecPhase::Ended))
    }

    fn has_ended(&self) -> bool {
        self.stage == ExecStage::Gone || self.record.phase == ExecPhase::Ended
    }
}

/// An exec, for those who ask something of it.
#[derive(Clone)]
pub(crate) struct ExecHandle {
    actor: Addr<ExecActor>,
    view: watch::Receiver<ExecView>,
}

/// The failure that no exec has this id.
pub(crate) fn unknown(id: &ContainerId) -> Failure {
    Failure::not_found(format_args!("no exec {}", id.short()))
        .hint("an exec is forgotten some seconds after it has ended, and with its container")
}

impl ExecHandle {
    pub(super) fn new(actor: Addr<ExecActor>, view: watch::Receiver<ExecView>) -> Self {
        Self { actor, view }
    }

    /// What is now.
    pub(crate) fn now(&self) -> ExecView {
        self.view.borrow().clone()
    }

    async fn until(&self, is_true: impl Fn(&ExecView) -> bool) -> ExecView {
        let mut view = self.view.clone();
        // An error means that the actor has ended: then the last view holds.
        let _ = view.wait_for(|view| view.stage == ExecStage::Gone || is_true(view)).await;
        view.borrow().clone()
    }

    /// Waits until it runs, has run, or could not be run and that is cleaned up.
    pub(crate) async fn begun(&self) -> Result<Exec, Failure> {
        let view = self.until(|view| view.has_begun() && view.failure.is_none()).await;
        match view.failure {
            Some(failure) => Err(failure),
            None if view.record.pid == 0 && view.record.exit.is_none() => Err(unknown(&view.record.id)),
            None => Ok(view.record.exec()),
        }
    }

    /// Waits until it has ended. Fails with `notFound` if it was forgotten meanwhile.
    pub(crate) async fn ended(&self) -> Result<ExitRecord, Failure> {
        let view = self.until(ExecView::has_ended).await;
        view.record.exit.clone().ok_or_else(|| view.failure.unwrap_or_else(|| unknown(&view.record.id)))
    }

    /// Waits until nothing of it is left.
    pub(crate) async fn gone(&self) {
        self.until(|_| false).await;
    }

    /// Asks its actor.
    pub(crate) async fn ask<M>(&self, message: M) -> Result<(), Failure>
    where
        ExecActor: Handler<M>,
        <ExecActor as actix::Actor>::Context: ToEnvelope<ExecActor, M>,
        M: Message<Result = Result<(), Failure>> + Send + 'static,
    {
        match kit::actor::ask(&self.actor, message).await {
            Err(_) if self.now().stage == ExecStage::Gone => Err(unknown(&self.now().record.id)),
            answer => answer,
        }
    }
}
