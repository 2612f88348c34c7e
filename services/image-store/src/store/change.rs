//! Changes of the index and the disk, one after another.

use super::Store;
use crate::disk::Disk;
use actix::fut::{self, LocalBoxActorFuture};
use actix::{ActorFutureExt, AsyncContext, Context, ResponseFuture, WrapFuture};
use kit::actor::on_thread;
use schema::Failure;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::Instrument;

impl Store {
    /// Decides on what the index says now, writes that on a thread, and tells the index, before the next change
    /// may decide. The work belongs to the actor, not to the call: it goes on when the caller is gone.
    pub(super) fn change<D, W, T>(
        &self,
        context: &mut Context<Self>,
        span: tracing::Span,
        decide: impl FnOnce(&mut Self) -> Result<D, Failure> + 'static,
        write: impl FnOnce(&Disk, D) -> Result<W, Failure> + Send + 'static,
        apply: impl FnOnce(&mut Self, W) -> Result<T, Failure> + 'static,
    ) -> ResponseFuture<Result<T, Failure>>
    where
        D: Send + 'static,
        W: Send + 'static,
        T: 'static,
    {
        let (tell, answer) = oneshot::channel();
        let turn = Arc::clone(&self.commits).lock_owned();
        let work = turn.into_actor(self).then(move |turn, store, _| -> LocalBoxActorFuture<Self, _> {
            match decide(store) {
                Err(failure) => Box::pin(fut::ready((Err(failure), turn))),
                Ok(decided) => {
                    let disk = Arc::clone(&store.disk);
                    let writing = on_thread(move || write(&disk, decided)).instrument(span);
                    Box::pin(async move { (writing.await, turn) }.into_actor(store))
                }
            }
        });
        // The turn ends in the actor's own turn: the index knows what was written before the next decides.
        context.spawn(work.map(move |(written, _turn), store, _| {
            let result = written.and_then(|written| apply(store, written));
            // A caller that is gone needs no answer.
            let _gone = tell.send(result);
        }));
        answered(answer)
    }
}

/// What the actor's own work will answer.
pub(super) fn answered<T: 'static>(
    answer: impl Future<Output = Result<Result<T, Failure>, oneshot::error::RecvError>> + 'static,
) -> ResponseFuture<Result<T, Failure>> {
    Box::pin(async move { answer.await.unwrap_or_else(|_| Err(Failure::internal("work ended without an answer"))) })
}

/// An answer that needs no work.
pub(super) fn at_once<T: 'static>(result: Result<T, Failure>) -> ResponseFuture<Result<T, Failure>> {
    Box::pin(std::future::ready(result))
}
