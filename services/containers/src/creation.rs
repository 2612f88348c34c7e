//! New containers.

use crate::container::{Handle, Shared};
use crate::record::Record;
use crate::registry::{Admit, Known, Registry};
use crate::validate;
use crate::workers::{STEP, own_call};
use actix::Addr;
use kit::actor::{ask, on_thread};
use schema::containers::ContainerSpec;
use schema::{Call, ContainerId, Failure};
use std::rc::Rc;

/// Records a container, or finds the one that the same request made before.
///
/// Its image is leased first, so that it cannot go before the record is written. A lease without a record is
/// given back, by this or, after a crash, by the recovery.
pub(crate) async fn create(
    shared: Rc<Shared>,
    registry: Addr<Registry>,
    call: Call,
    id: ContainerId,
    spec: ContainerSpec,
) -> Result<Handle, Failure> {
    let known = Known { id: id.clone(), spec: spec.clone() };
    if let Some(known) = ask(&registry, known.clone()).await? {
        known.until_live().await?;
        return Ok(known);
    }
    let warnings = validate::check(&spec, validate::processors())?;
    let source = shared.ids.clone();
    let pool = on_thread(move || source.read()).await?.pool;
    shared.leases.pass(STEP).await?;
    let admitted = async {
        let image = shared.workers.image_store.lease(&call, id.as_str(), &spec.image).await?;
        let handle = ask(&registry, Admit(Record::new(id.clone(), &spec, image, warnings)?, pool)).await?;
        handle.until_live().await?;
        Ok(handle)
    }
    .await;
    if admitted.is_err() && matches!(ask(&registry, known).await, Ok(None)) {
        give_back(&shared, &id).await;
    }
    admitted
}

async fn give_back(shared: &Shared, id: &ContainerId) {
    if let Err(failure) = shared.workers.image_store.release(&own_call(), id.as_str()).await {
        tracing::warn!(%failure, id = id.short(), "cannot give back the image of a container that was not made");
    }
}
