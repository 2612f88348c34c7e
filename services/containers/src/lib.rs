//! The container manager: owns the record and the lifecycle of every container. It has no privilege: it keeps
//! records, and asks five workers to do the rest.
//!
//! ```text
//! api          the contract                       lifecycle  what can follow what (pure)
//! operations   who waits for what                 decide     what to do about a request (pure)
//! registry     an actor: names and ids            resume     where to go on after a crash (pure)
//! container    an actor each: one at a time       restart    when a run follows another (pure)
//! exec         an actor each: further processes   plan       which worker does what, in which order
//! journal      records, before their effects      recovery   asks and tells the workers after a start
//! events       what happened, after its record
//! confined     the contract, for users who have a part of the containers
//! ids          whose user ids a container has on the host
//! ```

mod api;
mod check;
mod compose;
mod confined;
mod container;
mod creation;
mod decide;
mod events;
mod exec;
#[cfg(test)]
mod fixture;
mod gate;
mod ids;
mod journal;
mod lifecycle;
mod lookup;
mod names;
mod noted;
mod operations;
mod plan;
mod record;
mod recovery;
mod registry;
mod removal;
mod restart;
mod resume;
mod shut_down;
mod signals;
mod spares;
mod validate;
mod watching;
mod workers;

use actix::Actor;
use kit::serve::Bootstrap;
use schema::{Failure, containers as contract};
use std::rc::Rc;
use std::sync::Arc;

/// Who this is.
pub const IDENTITY: kit::Identity =
    kit::Identity { service: contract::SERVICE, needs: &workers::NEEDS, version: env!("CARGO_PKG_VERSION") };

/// What the program of this service does, from its start to its end.
pub fn main() -> std::process::ExitCode {
    kit::boot::run(IDENTITY, start)
}

/// Reads the records and serves them. It is ready before the workers have answered: they may be starting too.
/// What is asked of a container waits until its own recovery is under way.
pub async fn start(context: kit::Context) -> Result<Bootstrap, Failure> {
    let boot = kit::process::boot_id().map_err(|error| Failure::io("reading the boot id", &error))?;
    let journal = Arc::new(journal::Journal::open(&context.state()?, &boot)?);
    let loaded = journal.load()?;
    tracing::info!(containers = loaded.records.len(), damaged = loaded.damaged.len(), "records read");
    let living = recovery::living(&loaded);
    let parts = Rc::new(container::Parts {
        workers: workers::Workers::new(&context.instance),
        journal,
        gate: gate::Gate::new(&recovery::TOLD),
        leases: gate::Gate::new(&recovery::LESSOR),
        users: gate::Gate::new(recovery::knower(&loaded)),
        ids: ids::Source::new(&context.instance),
    });
    let (execs, recovered) = exec::Execs::start(Rc::clone(&parts), loaded.execs.clone());
    let spares = spares::Spares::new(Rc::clone(&parts)).start();
    let shared = Rc::new(container::Shared { parts, execs, spares: spares.clone() });
    let registry = registry::Registry::new(Rc::clone(&shared), loaded, recovered).start();
    spares.do_send(spares::Connect(registry.clone()));
    actix::spawn(recovery::run(Rc::clone(&shared), registry.clone(), living));
    let about = context.about();
    let api = api::Api { registry, shared };
    let full = contract::serve(about.clone(), api.clone());
    let confined = move |rights| contract::serve(about.clone(), confined::Confined::new(api.clone(), rights));
    Ok(Bootstrap::from(full).confined(confined))
}
