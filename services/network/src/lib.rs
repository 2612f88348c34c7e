//! The network service: the bridge, the containers' addresses, and the one nftables table of an instance.
//!
//! `subnet`, `subnet6`, `ipam`, `ports`, `books`, `lease`, `published` and `ruleset` decide; they touch nothing and are
//! tested without privileges. `link` (rtnetlink), `netfilter` (nfnetlink), `watch`, `conntrack`, `namespace`, `reservation` and
//! `sysctl` are the ways to the kernel. [`engine`] joins the two, and `actor` owns it.

mod actor;
mod books;
mod conntrack;
pub mod engine;
mod expression;
mod family;
mod ground;
mod hash;
mod header;
pub mod ipam;
mod lease;
mod leaving;
mod link;
mod message;
mod namespace;
mod netfilter;
mod netlink;
mod plug;
pub mod ports;
pub mod probe;
mod published;
mod records;
mod reservation;
mod ruleset;
pub mod subnet;
mod subnet6;
mod subnets;
mod sysctl;
mod watch;

use actix::{Addr, SyncArbiter};
use actor::{Attach, Check, Detach, Info, Mend, Network, OwnPort, Reconcile, Recovered, Sweep, TearDown};
use engine::Engine;
use kit::actor::ask;
use kit::{Context, Identity};
use netfilter::Port;
use schema::bindings::network_capnp::network;
use schema::common::{CheckReport, SandboxRef};
use schema::network::{AttachSpec, Attachment, NetworkInfo, SERVICE, Server, serve};
use schema::{Call, ContainerId, Failure};
use std::time::Duration;
use watch::Watch;

/// What this service is.
pub const IDENTITY: Identity = Identity { service: SERVICE, needs: &[], version: env!("CARGO_PKG_VERSION") };

/// The owner waits for the kernel, which may be busy with the networks of others; but not for so long.
const UNANSWERED: Duration = Duration::from_secs(20);

/// How long what others do to the table is left to become whole: a reload of their rules is several steps.
const SETTLING: Duration = Duration::from_millis(50);
/// When it is tried again to undo it.
const AGAIN: Duration = Duration::from_secs(1);

/// What the program of this service does, from its start to its end.
pub fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some(probe::ARGUMENT) {
        return probe::run();
    }
    kit::boot::run(IDENTITY, start)
}

/// Recovers the network, and gives the service's bootstrap capability. Fails if the records cannot be read.
pub async fn start(context: Context) -> Result<network::Client, Failure> {
    reservation::allow_many();
    let (state, name) = (context.state()?, context.instance.kernel_name());
    // Before it is looked at how the table is, so that no change is missed.
    let watch = Watch::open(&name);
    let owner = SyncArbiter::start(1, move || Network::new(Engine::open(&state, &name)));
    let ours = ask(&owner, OwnPort).await?;
    match watch {
        Ok(watch) => drop(actix::spawn(guard(owner.clone(), watch, ours))),
        Err(refused) => tracing::error!(%refused, "what others do to the table is noticed late"),
    }
    let vital = owner.clone();
    context.vital.add("the owner of the network", UNANSWERED, move || {
        let answer = vital.send(Recovered);
        async { drop(answer.await) }
    });
    Ok(serve(context.about(), Api { owner }))
}

/// Undoes whatever others do to the table of this instance: another firewall that starts begins by flushing all.
async fn guard(owner: Addr<Network>, mut watch: Watch, ours: Port) {
    loop {
        if let Err(error) = watch.changed(&ours).await {
            tracing::error!(%error, "what others do to the table is noticed late from now on");
            return;
        }
        tokio::time::sleep(SETTLING).await;
        // What is told from here on leads to another look.
        let _ = watch.drain(&ours);
        while let Err(failure) = ask(&owner, Mend).await {
            tracing::error!(%failure, "somebody has changed the table, and it cannot be restored yet");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// The contract's methods, each a question to the owner.
struct Api {
    owner: Addr<Network>,
}

impl Server for Api {
    async fn attach(
        &self,
        _call: &Call,
        id: ContainerId,
        sandbox: SandboxRef,
        spec: AttachSpec,
    ) -> Result<Attachment, Failure> {
        ask(&self.owner, Attach { id, sandbox, spec }).await
    }

    async fn detach(&self, _call: &Call, id: ContainerId) -> Result<(), Failure> {
        ask(&self.owner, Detach(id)).await?;
        let owner = self.owner.clone();
        actix::spawn(async move {
            tokio::time::sleep(leaving::GRACE).await;
            if let Err(failure) = ask(&owner, Sweep).await {
                tracing::warn!(%failure, "cannot remove the interface of a container that is gone");
            }
        });
        Ok(())
    }

    async fn reconcile(&self, _call: &Call, live: Vec<ContainerId>) -> Result<(), Failure> {
        ask(&self.owner, Reconcile(live)).await
    }

    async fn check(&self, _call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        ask(&self.owner, Check(repair)).await
    }

    async fn info(&self, _call: &Call) -> Result<NetworkInfo, Failure> {
        ask(&self.owner, Info).await
    }

    async fn tear_down(&self, _call: &Call) -> Result<(), Failure> {
        ask(&self.owner, TearDown).await
    }
}
