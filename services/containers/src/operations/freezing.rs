//! Stopping processes where they are.

use crate::container::{Handle, Paused, View};
use crate::decide::{self, Verdict, not_running};
use crate::lifecycle::Phase;
use crate::workers::Workers;
use schema::{Call, Code, ContainerId, Failure};

/// Pauses a container, or lets it go on.
///
/// First its processes, then the record: what is frozen and not recorded as paused is let go on after a crash,
/// and what was recorded as paused is frozen again.
pub(crate) async fn pause(handle: &Handle, workers: &Workers, call: &Call, is_paused: bool) -> Result<View, Failure> {
    let _turn = handle.freezer().await;
    handle.until_live().await?;
    let view = handle.until(|view| view.phase() != Phase::Starting).await;
    if decide::pause(&view.record, is_paused)? != Verdict::Begin {
        return Ok(view);
    }
    freeze(workers, call, &view, is_paused).await?;
    if let Err(failure) = handle.ask(Paused(is_paused)).await {
        if is_paused {
            let _ = freeze(workers, call, &view, false).await;
        }
        return Err(failure);
    }
    Ok(handle.now())
}

async fn freeze(workers: &Workers, call: &Call, view: &View, frozen: bool) -> Result<(), Failure> {
    match workers.executor.freeze(call, view.record.id(), frozen).await {
        Err(failure) if failure.code == Code::NotFound => Err(not_running(&view.record)),
        answer => answer,
    }
}

/// Lets go on what was frozen for a while. Nobody else does while this process lives.
pub(super) async fn thaw(workers: &Workers, id: &ContainerId) {
    let attempt = async || match workers.executor.freeze(&crate::workers::own_call(), id, false).await {
        // It has ended.
        Err(failure) if matches!(failure.code, Code::NotFound | Code::Conflict) => Ok(()),
        answer => answer,
    };
    crate::workers::insist(attempt, |failure| tracing::warn!(%failure, "cannot thaw")).await;
}
