//! Changes that operations have made, or are about to make, and that the record has to know.

use super::ContainerActor;
use super::drive::warn;
use crate::decide;
use crate::exec::ExecHandle;
use crate::lifecycle::Phase;
use actix::prelude::*;
use schema::Failure;
use schema::call::RequestId;

/// Its processes are stopped where they are, or let go on.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Paused(pub(crate) bool);

/// A signal is going to be sent to PID 1, for a request.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Signalled(pub(crate) i32, pub(crate) RequestId);

/// It has another name.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Named(pub(crate) String);

/// How far a commit is.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) enum Committed {
    /// This upload holds its layer.
    Layer(String),
    /// This upload holds nothing of use.
    Nothing(String),
    /// This image was made of it.
    Image { id: String, reference: String },
}

/// An exec runs in it.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Joined(pub(crate) ExecHandle);

/// Its record was damaged on the disk: write it once more.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct WriteAnew;

type Written = ResponseActFuture<ContainerActor, Result<(), Failure>>;

impl ContainerActor {
    /// Shows a change, and answers when it is recorded.
    fn write(&self) -> Written {
        self.publish();
        let (page, record) = (self.page.clone(), self.record.clone());
        Box::pin(async move { page.write(&record).await }.into_actor(self))
    }

    fn refuse(&self, failure: Failure) -> Written {
        Box::pin(std::future::ready(Err(failure)).into_actor(self))
    }

    /// Lists an exec until it has ended.
    pub(super) fn join(&mut self, exec: ExecHandle, ctx: &mut Context<Self>) {
        let id = exec.now().record.id.clone();
        if self.record.container.execs.contains(&id) {
            return;
        }
        self.record.container.execs.push(id.clone());
        self.publish();
        let ended = async move { drop(exec.ended().await) };
        ctx.spawn(ended.into_actor(self).map(move |(), actor, _| {
            actor.record.container.execs.retain(|other| *other != id);
            actor.publish();
        }));
    }
}

impl Handler<WriteAnew> for ContainerActor {
    type Result = Written;

    fn handle(&mut self, _: WriteAnew, _: &mut Context<Self>) -> Self::Result {
        let (page, record) = (self.page.clone(), self.record.clone());
        Box::pin(async move { page.write_anew(&record).await }.into_actor(self))
    }
}

impl Handler<Paused> for ContainerActor {
    type Result = Written;

    fn handle(&mut self, Paused(is_paused): Paused, _: &mut Context<Self>) -> Self::Result {
        self.forget_told();
        if !matches!(self.record.phase, Phase::Running | Phase::Paused) {
            return self.refuse(decide::not_running(&self.record));
        }
        if let Err(failure) = self.record.paused(is_paused) {
            return self.refuse(failure);
        }
        self.frozen.set(is_paused);
        self.write()
    }
}

impl Handler<Signalled> for ContainerActor {
    type Result = Written;

    fn handle(&mut self, Signalled(signal, request): Signalled, _: &mut Context<Self>) -> Self::Result {
        self.forget_told();
        if !self.record.phase.is_running() {
            return self.refuse(decide::not_running(&self.record));
        }
        self.record.signalled(signal, request);
        self.publish();
        let (page, record) = (self.page.clone(), self.record.clone());
        // On a full disk this fails, and what is killed makes room.
        let work = async move { warn("that a signal is sent", page.write(&record).await) };
        Box::pin(work.into_actor(self).map(|(), _, _| Ok(())))
    }
}

impl Handler<Named> for ContainerActor {
    type Result = Written;

    fn handle(&mut self, Named(name): Named, _: &mut Context<Self>) -> Self::Result {
        self.forget_told();
        if self.record.phase == Phase::Removing {
            return self.refuse(crate::lookup::unknown(self.record.id().as_str()));
        }
        let old = self.record.name().to_owned();
        self.record.renamed(&name);
        self.publish();
        let (page, record) = (self.page.clone(), self.record.clone());
        // A name must be as durable as the container: it may be another's old one.
        let written = async move { page.keep(&record).await }.into_actor(self);
        Box::pin(written.map(|written, actor, _| {
            if written.is_err() {
                actor.record.not_renamed(old);
                actor.publish();
            }
            written
        }))
    }
}

impl Handler<Committed> for ContainerActor {
    type Result = Written;

    fn handle(&mut self, committed: Committed, _: &mut Context<Self>) -> Self::Result {
        self.forget_told();
        match committed {
            Committed::Layer(upload) => self.record.layer_written(&upload),
            Committed::Nothing(upload) => self.record.layer_given_up(&upload),
            Committed::Image { id, reference } => self.record.committed(&id, &reference),
        }
        self.write()
    }
}

impl Handler<Joined> for ContainerActor {
    type Result = ();

    fn handle(&mut self, Joined(exec): Joined, ctx: &mut Context<Self>) {
        self.join(exec, ctx);
    }
}
