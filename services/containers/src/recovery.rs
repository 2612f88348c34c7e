//! After a start of this service: hears what runs, and tells the workers which containers there are. It takes
//! as long as the workers take; what needs no worker is served meanwhile.

use crate::container::Shared;
use crate::journal::Loaded;
use crate::registry::{Recovered, Registry};
use crate::workers::{insist, own_call};
use actix::Addr;
use schema::{ContainerId, Failure, executor, filesystem, log_collector, network};
use std::rc::Rc;

/// The workers that are told. The gate waits for them.
pub(crate) const TOLD: [&str; 4] = [executor::SERVICE, filesystem::SERVICE, network::SERVICE, log_collector::SERVICE];

/// The containers whose belongings stay: those with a record, damaged or not.
pub(crate) fn live(loaded: &Loaded) -> Vec<ContainerId> {
    loaded.records.keys().chain(loaded.damaged.keys()).cloned().collect()
}

/// Recovers. Each worker is asked by itself: one that is absent does not keep the others.
pub(crate) async fn run(shared: Rc<Shared>, registry: Addr<Registry>, live: Vec<ContainerId>) {
    let workers = &shared.workers;
    futures::join!(
        sandboxes(&shared, &registry),
        tell(&shared, filesystem::SERVICE, async || workers.filesystem.reconcile(&own_call(), &live).await),
        tell(&shared, network::SERVICE, async || workers.network.reconcile(&own_call(), &live).await),
        tell(&shared, log_collector::SERVICE, async || workers.log_collector.reconcile(&own_call(), &live).await),
    );
    tracing::info!("recovered");
}

async fn tell(shared: &Shared, worker: &'static str, reconcile: impl AsyncFn() -> Result<(), Failure>) {
    insist(reconcile, |failure| tracing::warn!(worker, %failure, "cannot reconcile")).await;
    shared.gate.open(worker);
}

async fn sandboxes(shared: &Shared, registry: &Addr<Registry>) {
    let executor = &shared.workers.executor;
    let warn = |failure: Failure| tracing::warn!(%failure, "cannot recover the sandboxes");
    // Only sandboxes that were there before any container could be started are looked at: the gate is closed.
    let leftovers = insist(
        async || {
            let sandboxes = executor.list(&own_call()).await?;
            kit::actor::ask(registry, Recovered(sandboxes)).await
        },
        warn,
    )
    .await;
    shared.gate.open(executor::SERVICE);
    for id in leftovers {
        tracing::warn!(id = id.short(), "destroying the sandbox of a container that does not exist");
        insist(async || executor.destroy(&own_call(), &id).await, warn).await;
    }
}
