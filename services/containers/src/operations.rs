//! What users ask of one container, from the request to its end. Requests are decided by the container's
//! actor, which goes on by itself; here is only who waits for what.

mod commit;
mod ending;
mod execs;
mod files;
mod freezing;
mod renaming;

use crate::container::{Handle, Restart, Start, View};
use crate::decide::Verdict;
use schema::Failure;
use schema::call::RequestId;
use std::future::Future;
use tracing::Instrument;

pub(crate) use commit::commit;
pub(crate) use ending::{kill, remove, stop, stop_with_all};
pub(crate) use execs::exec;
pub(crate) use files::in_place;
pub(crate) use freezing::pause;
pub(crate) use renaming::rename;

/// Runs what must not end with its caller's connection.
pub(crate) async fn detached<T: 'static>(
    work: impl Future<Output = Result<T, Failure>> + 'static,
) -> Result<T, Failure> {
    actix::spawn(work.in_current_span())
        .await
        .unwrap_or_else(|error| Err(Failure::internal(format_args!("an operation did not finish: {error}"))))
}

/// Runs a container; answers when it runs, or could not be run and that was undone.
pub(crate) async fn start(handle: Handle, request: RequestId) -> Result<View, Failure> {
    // It may be on its way out again by now.
    if handle.now().record.started_by(request) {
        return started(&handle, request).await;
    }
    while handle.ask(Start(request)).await? == Verdict::Later {
        ending::passed(&handle).await;
    }
    started(&handle, request).await
}

/// Ends a container's run, if it runs, and runs it.
pub(crate) async fn restart(handle: Handle, request: RequestId, timeout_ms: u32) -> Result<View, Failure> {
    while handle.ask(Restart { request, timeout_ms }).await? == Verdict::Later {
        ending::passed(&handle).await;
    }
    started(&handle, request).await
}

async fn started(handle: &Handle, request: RequestId) -> Result<View, Failure> {
    let view = handle.until(|view| view.is_start_over(request)).await;
    if !view.record.started_by(request) {
        return Err(Failure::conflict(format_args!("container {:?} was stopped meanwhile", view.record.name())));
    }
    match view.record.start_failure().filter(|_| !view.is_restarted()) {
        Some(failure) => Err(failure),
        None => Ok(view),
    }
}

/// Answers when a container does not run and nothing of its run is left: at once, or at the end of a run. One
/// that is about to be restarted is waited for until its next run has ended, as Docker does it.
pub(crate) async fn wait(handle: Handle) -> View {
    let ends = handle.now().record.ends;
    handle.until(|view| view.is_settled() || view.has_ended_since(ends)).await
}

/// Answers when a container does not run, whatever is left of its run.
pub(crate) async fn ended(handle: Handle) -> View {
    handle.until(View::has_ended).await
}
