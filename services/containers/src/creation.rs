//! New containers.

use crate::container::{Handle, Shared};
use crate::operations;
use crate::record::Record;
use crate::registry::{Admit, Departed, Known, Leaving, Registry};
use crate::spares::Take;
use crate::validate;
use crate::workers::{STEP, own_call};
use actix::Addr;
use kit::actor::ask;
use schema::call::RequestId;
use schema::containers::{Container, ContainerSpec};
use schema::{Call, Code, ContainerId, Failure};
use std::rc::Rc;

/// What is to be made.
pub(crate) struct New {
    pub(crate) call: Call,
    /// As its maker calls it.
    pub(crate) id: ContainerId,
    pub(crate) spec: ContainerSpec,
}

/// Records a container, or finds the one that the same request made before.
pub(crate) async fn create(shared: Rc<Shared>, registry: Addr<Registry>, new: New) -> Result<Handle, Failure> {
    if let Some(known) = known(&registry, &new).await? {
        known.until_live().await?;
        return Ok(known);
    }
    let id = new.id.clone();
    make(&shared, &registry, &new, id, None).await
}

/// Records a container and runs it, in a sandbox that stands ready if there is one; or finds the one that the same request
/// made before, or the last of it, if it has removed itself meanwhile.
pub(crate) async fn run(shared: Rc<Shared>, registry: Addr<Registry>, new: New) -> Result<Container, Failure> {
    let request = new.call.request;
    if let Some(known) = known(&registry, &new).await? {
        return Ok(operations::start(known, request).await?.container());
    }
    if let Some(last) = ask(&registry, Departed(new.id.to_string())).await?
        && last.started_by(request)
    {
        return last.start_failure().map_or_else(|| Ok(last.container.clone()), Err);
    }
    let ready = ask(&shared.spares, Take(new.spec.clone())).await?;
    let id = ready.unwrap_or_else(|| new.id.clone());
    let handle = make(&shared, &registry, &new, id.clone(), Some(request)).await?;
    if handle.now().record.id() != &id {
        // The same request was on its way twice, and the other came first.
        give_back(&shared, &id).await;
    }
    Ok(operations::start(handle, request).await?.container())
}

async fn known(registry: &Addr<Registry>, new: &New) -> Result<Option<Handle>, Failure> {
    ask(registry, Known { id: new.id.clone(), spec: new.spec.clone() }).await
}

/// Makes one with this id, which is run for `start`.
///
/// Its image is leased first, so that it cannot go before the record is written. A lease without a record is
/// given back, by this or, after a crash, by the recovery.
async fn make(
    shared: &Shared,
    registry: &Addr<Registry>,
    new: &New,
    id: ContainerId,
    start: Option<RequestId>,
) -> Result<Handle, Failure> {
    let spec = &new.spec;
    let warnings = validate::check(spec, validate::processors())?;
    let pool = shared.ids.read()?.pool;
    shared.leases.pass(STEP).await?;
    shared.users.pass(STEP).await?;
    let admitted = async {
        let image = shared.workers.image_store.lease(&new.call, id.as_str(), &spec.image).await?;
        let mut record = Record::new(id.clone(), spec, image, warnings)?;
        record.asked_as = (id != new.id).then(|| new.id.clone());
        let admit = Admit { record, pool, start };
        let handle = match ask(registry, admit.clone()).await {
            Err(failure) if failure.code == Code::ResourceExhausted => {
                erased(registry).await?;
                ask(registry, admit).await?
            }
            admitted => admitted?,
        };
        handle.until_live().await?;
        Ok(handle)
    }
    .await;
    let known = Known { id: id.clone(), spec: spec.clone() };
    if admitted.is_err() && matches!(ask(registry, known).await, Ok(None)) {
        give_back(shared, &id).await;
    }
    admitted
}

/// Waits until what was removed a moment ago, and has user ids until it is erased, is gone.
async fn erased(registry: &Addr<Registry>) -> Result<(), Failure> {
    let leaving = ask(registry, Leaving).await?;
    let gone = futures::future::join_all(leaving.iter().map(Handle::erased));
    // What cannot be erased in time keeps its ids.
    let _ = tokio::time::timeout(STEP, gone).await;
    Ok(())
}

async fn give_back(shared: &Shared, id: &ContainerId) {
    if let Err(failure) = shared.workers.image_store.release(&own_call(), id.as_str()).await {
        tracing::warn!(%failure, id = id.short(), "cannot give back the image of a container that was not made");
    }
}
