//! Asking an actor, and having it wait for a thread.

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use schema::Failure;

/// Sends a message whose answer is a result with a [`Failure`], and waits for it. An actor that is gone is a
/// bug: actors live as long as their process.
pub async fn ask<A, M, T>(actor: &Addr<A>, message: M) -> Result<T, Failure>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message<Result = Result<T, Failure>> + Send + 'static,
    T: Send + 'static,
{
    actor
        .send(message)
        .await
        .unwrap_or_else(|error| Err(Failure::internal(format_args!("an actor does not answer: {error}"))))
}

/// Runs work that blocks on a thread, inside the caller's tracing span, and waits for it. A thread that
/// cannot be had or that panicked is a bug.
pub async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
        .await
        .unwrap_or_else(|error| Err(Failure::internal(format_args!("a thread ended early: {error}"))))
}
