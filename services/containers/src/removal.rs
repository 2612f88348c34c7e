//! Removing what is left of a container whose record cannot be read.

use crate::container::Shared;
use crate::journal::Damage;
use crate::plan;
use crate::registry::{Discard, Registry};
use actix::Addr;
use kit::actor::on_thread;
use schema::{ContainerId, Failure};
use std::rc::Rc;
use std::sync::Arc;

/// Kills it, removes all that the workers have of it, and then its damaged record.
pub(crate) async fn damaged(
    shared: Rc<Shared>,
    registry: Addr<Registry>,
    id: ContainerId,
    damage: Damage,
) -> Result<(), Failure> {
    let (cleaned, released) =
        futures::join!(plan::clean(&shared.workers, &id), plan::release_image(&shared.workers, &id));
    cleaned?;
    released?;
    plan::erase(&shared.workers, &id).await?;
    let journal = Arc::clone(&shared.journal);
    on_thread(move || journal.discard(&damage)).await?;
    registry
        .send(Discard(id))
        .await
        .map_err(|error| Failure::internal(format_args!("the registry does not answer: {error}")))
}
