//! What users ask of one container, from the request to its end. Requests are decided by the container's
//! actor, which goes on by itself; here is only who waits for what.

mod ending;

use crate::container::{Handle, Restart, Start, View};
use crate::decide::Verdict;
use schema::Failure;
use schema::call::RequestId;
use std::future::Future;
use tracing::Instrument;

pub(crate) use ending::{kill, remove, stop};

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
    while handle.ask(Start(request)).await? == Verdict::Later {
        handle.until(View::is_settled).await;
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
    match view.record.start_failure() {
        Some(failure) => Err(failure),
        None => Ok(view),
    }
}

/// Answers when a container does not run and nothing of its run is left.
pub(crate) async fn wait(handle: Handle) -> View {
    handle.until(View::is_settled).await
}
