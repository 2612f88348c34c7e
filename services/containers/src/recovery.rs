//! After a start of this service: hears what runs, and tells the workers which containers there are. It takes
//! as long as the workers take; what needs no worker is served meanwhile.

use crate::check::tell_of_orphan;
use crate::container::Shared;
use crate::exec::Sandboxes;
use crate::gate::Gate;
use crate::journal::Loaded;
use crate::lifecycle::Phase;
use crate::record::Record;
use crate::registry::{Discard, Recovered, Registry};
use crate::workers::{insist, own_call};
use actix::Addr;
use schema::image_store::{self, Lease};
use schema::{ContainerId, Failure, executor, filesystem, log_collector, network};
use std::collections::HashSet;
use std::rc::Rc;

/// The workers that are told. The gate waits for them.
pub(crate) const TOLD: [&str; 4] = [executor::SERVICE, filesystem::SERVICE, network::SERVICE, log_collector::SERVICE];

/// The worker that is told before anything is leased.
pub(crate) const LESSOR: [&str; 1] = [image_store::SERVICE];

/// The worker that alone knows user ids: those of containers whose records cannot be read.
pub(crate) fn knower(loaded: &Loaded) -> &'static [&'static str] {
    if loaded.damaged.is_empty() { &[] } else { &[executor::SERVICE] }
}

/// Whose belongings stay.
pub(crate) struct Living {
    /// Containers with a record, damaged or not.
    containers: Vec<ContainerId>,
    /// These, and the execs.
    writers: Vec<ContainerId>,
    /// The images of the containers; one that is being removed has perhaps given back its own. That of a damaged record is not known any more.
    leases: Vec<Lease>,
}

/// What is alive by the records.
pub(crate) fn living(loaded: &Loaded) -> Living {
    let containers: Vec<_> = loaded.records.keys().chain(loaded.damaged.keys()).cloned().collect();
    let execs = loaded.execs.iter().map(|exec| exec.id.clone());
    let lease = |(id, record): (&ContainerId, &Record)| Lease {
        holder: id.to_string(),
        image: record.container.image_id.clone(),
    };
    Living {
        writers: containers.iter().cloned().chain(execs).collect(),
        leases: loaded.records.iter().filter(|(_, record)| record.phase != Phase::Removing).map(lease).collect(),
        containers,
    }
}

/// Recovers. Each worker is asked by itself: one that is absent does not keep the others.
pub(crate) async fn run(shared: Rc<Shared>, registry: Addr<Registry>, living: Living) {
    let workers = &shared.workers;
    let Living { containers, writers, leases } = &living;
    let (gate, lessor) = (&shared.gate, &shared.leases);
    futures::join!(
        sandboxes(&shared, &registry),
        tell(gate, filesystem::SERVICE, async || workers.filesystem.reconcile(&own_call(), containers).await),
        tell(gate, network::SERVICE, async || workers.network.reconcile(&own_call(), containers).await),
        tell(gate, log_collector::SERVICE, async || workers.log_collector.reconcile(&own_call(), writers).await),
        tell(lessor, image_store::SERVICE, async || workers.image_store.reconcile(&own_call(), leases).await),
    );
    tracing::info!("recovered");
}

async fn tell(gate: &Gate, worker: &'static str, reconcile: impl AsyncFn() -> Result<(), Failure>) {
    insist(reconcile, |failure| tracing::warn!(worker, %failure, "cannot reconcile")).await;
    gate.open(worker);
}

async fn sandboxes(shared: &Shared, registry: &Addr<Registry>) {
    let executor = &shared.workers.executor;
    let warn = |failure: Failure| tracing::warn!(%failure, "cannot recover the sandboxes");
    // Only sandboxes that were there before any container could be started are looked at: the gate is closed.
    let (leftovers, parked) = insist(
        async || {
            let all = executor.list(&own_call()).await?;
            let parked = all.iter().filter(|state| matches!(state.phase, executor::Phase::Parked));
            let parked: HashSet<_> = parked.map(|state| state.id.clone()).collect();
            let (execs, sandboxes): (Vec<_>, Vec<_>) = all.into_iter().partition(|state| state.exec_of.is_some());
            let mut leftovers = kit::actor::ask(registry, Recovered(sandboxes)).await?;
            leftovers.extend(kit::actor::ask(&shared.execs, Sandboxes(execs)).await?);
            Ok((leftovers, parked))
        },
        warn,
    )
    .await;
    shared.users.open(executor::SERVICE);
    let destroy = async |id: &ContainerId| {
        executor.destroy(&own_call(), id).await?;
        registry.do_send(Discard(id.clone()));
        Ok(())
    };
    // Before the gate opens: then a client may ask again for what was given up, and it has the same id.
    let mut stuck = Vec::new();
    for id in &leftovers {
        if let Err(failure) = destroy(id).await {
            warn(failure);
            stuck.push(id);
        }
        // In one that stood ready, or was about to be recorded, nothing ever ran.
        if parked.contains(id) {
            tracing::info!(id = id.short(), "destroyed a sandbox that nobody had taken yet");
            continue;
        }
        tracing::warn!(id = id.short(), "destroyed a sandbox that belongs to nobody");
        tell_of_orphan(&shared.journal, executor::SERVICE, id).await.unwrap_or_else(warn);
    }
    shared.gate.open(executor::SERVICE);
    for id in stuck {
        insist(async || destroy(id).await, warn).await;
    }
}
