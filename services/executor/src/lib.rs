//! The executor: sandboxes and their monitors.
//!
//! A sandbox is a directory, a monitor process (`cctl-shim`) that holds the namespaces, and cgroups. It lives
//! until it is destroyed, whatever happens to this service: at its start the service lists the directories,
//! asks every monitor, and knows everything again.
//!
//! * `plan`, `security`, `users` and the plan of `cgroup` decide, and are pure.
//! * `sandbox` carries out: an actor owns each sandbox, and `registry` knows the actors.

mod api;
mod cgroup;
mod clock;
mod control;
mod devices;
mod host;
mod lsm;
mod nursery;
mod plan;
mod process;
mod procfs;
mod program;
mod registry;
mod sandbox;
mod security;
mod survey;
mod sys;
mod users;

use actix::Actor;
use host::Host;
use registry::{Adopt, Owner, Registry};
use sandbox::keep::Keep;
use schema::Failure;
use schema::bindings::executor_capnp::executor;
use std::sync::Arc;

/// Who this service is.
pub const IDENTITY: kit::Identity =
    kit::Identity { service: schema::executor::SERVICE, needs: &[], version: env!("CARGO_PKG_VERSION") };

/// What the program of this service does, from its start to its end.
pub fn main() -> std::process::ExitCode {
    kit::boot::run(IDENTITY, start)
}

/// Finds the sandboxes that exist, and serves.
pub async fn start(context: kit::Context) -> Result<executor::Client, Failure> {
    let keep = Keep::new(context.shelf.clone(), context.epoch);
    let host = Arc::new(Host::detect(context.instance.clone(), keep)?);
    let registry = Registry::new(Arc::clone(&host)).start();
    for (id, sandbox) in sandbox::recover::recover(&host, &registry).await? {
        let (exec_of, ids) = (sandbox.exec_of(), sandbox.ids());
        kit::actor::ask(&registry, Adopt(id, Owner { address: sandbox.start(), exec_of, ids })).await?;
    }
    Ok(schema::executor::serve(context.about(), api::Api::new(host, registry)))
}
