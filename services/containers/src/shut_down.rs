//! The end of all containers.

use crate::container::Shared;
use crate::operations;
use crate::plan;
use crate::registry::{Leaving, Registry, Views};
use crate::spares::Close;
use crate::workers::own_call;
use actix::Addr;
use futures::future::join_all;
use kit::actor::{ask, on_thread};
use schema::call::RequestId;
use schema::{ContainerId, Failure};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long what is left of removed containers may take to be removed.
const LEAVING: Duration = Duration::from_secs(20);

/// Stops every container, all at a time, and removes what the instance has in the kernel. What fails does not
/// keep the rest; the first failure is told.
pub(crate) async fn run(
    shared: Rc<Shared>,
    registry: Addr<Registry>,
    request: RequestId,
    timeout_ms: u32,
) -> Result<(), Failure> {
    let views = ask(&registry, Views).await?;
    let known: HashSet<_> = views.iter().map(|(_, view)| view.record.id().clone()).collect();
    let stops = views.into_iter().map(async |(handle, view)| {
        operations::stop_with_all(handle, request, timeout_ms)
            .await
            .map(drop)
            .map_err(|failure| failure.context(format_args!("stopping container {:?}", view.record.name())))
    });
    let stopped = join_all(stops).await.into_iter().collect::<Result<(), _>>();
    ask(&shared.spares, Close).await?;
    let swept = sweep(&shared, &known).await;
    // Removed a moment ago: what is interrupted here is only done at the next start.
    let leaving = ask(&registry, Leaving).await?;
    let erased = join_all(leaving.iter().map(|handle| handle.erased()));
    if tokio::time::timeout(LEAVING, erased).await.is_err() {
        tracing::warn!("containers that were removed have left something behind, which the next start removes");
    }
    let torn_down = shared.workers.network.tear_down(&own_call()).await;
    let journal = Arc::clone(&shared.journal);
    on_thread(move || {
        journal.forget_departed(|_| true);
        Ok::<_, Failure>(())
    })
    .await?;
    stopped.and(swept).and(torn_down)
}

/// Removes the sandboxes of containers whose records are damaged: nobody else does.
async fn sweep(shared: &Shared, known: &HashSet<ContainerId>) -> Result<(), Failure> {
    let sandboxes = shared.workers.executor.list(&own_call()).await?;
    let strays = sandboxes.iter().map(|sandbox| &sandbox.id).filter(|id| !known.contains(*id));
    join_all(strays.map(|id| plan::clean(&shared.workers, id))).await.into_iter().collect()
}
