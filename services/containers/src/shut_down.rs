//! The end of all containers.

use crate::container::Shared;
use crate::operations;
use crate::plan;
use crate::registry::{Registry, Views};
use crate::workers::own_call;
use actix::Addr;
use futures::future::join_all;
use kit::actor::ask;
use schema::call::RequestId;
use schema::{ContainerId, Failure};
use std::rc::Rc;

/// Stops every container, all at a time, and removes what the instance has in the kernel. What fails does not
/// keep the rest; the first failure is told.
pub(crate) async fn run(
    shared: Rc<Shared>,
    registry: Addr<Registry>,
    request: RequestId,
    timeout_ms: u32,
) -> Result<(), Failure> {
    let views = ask(&registry, Views).await?;
    let stops = views.into_iter().map(async |(handle, view)| {
        operations::stop(handle, request, timeout_ms)
            .await
            .map(drop)
            .map_err(|failure| failure.context(format_args!("stopping container {:?}", view.record.name())))
    });
    join_all(stops).await.into_iter().collect::<Result<(), _>>()?;
    // Those of damaged records are all that is left.
    let left = shared.workers.executor.list(&own_call()).await?;
    let sweeps = left.iter().map(|sandbox| sweep(&shared, &sandbox.id));
    join_all(sweeps).await.into_iter().collect::<Result<(), _>>()?;
    shared.workers.network.tear_down(&own_call()).await
}

async fn sweep(shared: &Shared, id: &ContainerId) -> Result<(), Failure> {
    plan::clean(&shared.workers, id).await
}
