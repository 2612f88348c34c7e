//! Other names.

use crate::container::{Handle, Named, View};
use crate::plan;
use crate::registry::{GiveBack, Registry, Rename};
use crate::workers::{Workers, own_call};
use actix::Addr;
use kit::actor::ask;
use schema::Failure;

/// Gives a container another name. It has both until the record is written.
pub(crate) async fn rename(
    handle: Handle,
    registry: Addr<Registry>,
    workers: Workers,
    name: String,
) -> Result<View, Failure> {
    let id = handle.until_live().await?.record.id().clone();
    let old = ask(&registry, Rename { id: id.clone(), name: name.clone() }).await?;
    if old == name {
        return Ok(handle.now());
    }
    let named = handle.ask(Named(name.clone())).await;
    let unused = if named.is_ok() { old } else { name };
    registry
        .send(GiveBack { id, name: unused })
        .await
        .map_err(|error| Failure::internal(format_args!("the registry does not answer: {error}")))?;
    named?;
    let view = handle.now();
    if view.phase().is_running()
        && let Err(failure) = plan::name(&workers, &own_call(), &view.record).await
    {
        // It has its name; what it finds in its own /etc/hosts is right again at its next start.
        tracing::warn!(%failure, "cannot tell the container its new name");
    }
    Ok(view)
}
