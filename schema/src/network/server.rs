//! What a network service implements.

use super::model::{AttachSpec, Attachment, NetworkInfo};
use crate::bindings::network_capnp::network as wire;
use crate::common::{About, CheckReport, SandboxRef};
use crate::rpc::{answer, answer_hello};
use crate::wire::{Wire, ids, text};
use crate::{Call, ContainerId, Failure};
use std::rc::Rc;

/// The methods of the network service in domain types; the contract describes each.
#[allow(async_fn_in_trait)]
pub trait Server: 'static {
    /// Connects a sandbox.
    async fn attach(
        &self,
        call: &Call,
        id: ContainerId,
        sandbox: SandboxRef,
        spec: AttachSpec,
    ) -> Result<Attachment, Failure>;
    /// Gives address and ports back.
    async fn detach(&self, call: &Call, id: ContainerId) -> Result<(), Failure>;
    /// Releases what belongs to no live container, restores the rest.
    async fn reconcile(&self, call: &Call, live: Vec<ContainerId>) -> Result<(), Failure>;
    /// What this instance uses on the host.
    async fn info(&self, call: &Call) -> Result<NetworkInfo, Failure>;
    /// Removes bridge and table when nothing is attached.
    async fn tear_down(&self, call: &Call) -> Result<(), Failure>;
    /// Compares bridge, table and ports with the records, and mends what is otherwise.
    async fn check(&self, call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        let _ = (call, repair);
        Err(crate::rpc::missing("network.check"))
    }
}

struct Served<A> {
    about: About,
    api: A,
}

/// The bootstrap capability of a service that implements [`Server`].
pub fn serve<A: Server>(about: About, api: A) -> wire::Client {
    capnp_rpc::new_client(Served { about, api })
}

answer_hello!(Served, Server);

impl<A: Server> wire::Server for Served<A> {
    async fn attach(self: Rc<Self>, params: wire::AttachParams, mut results: wire::AttachResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "network.attach",
            |call, p| self
                .api
                .attach(
                    &call,
                    text(p.get_id())?.parse()?,
                    SandboxRef::read(p.get_sandbox()?)?,
                    AttachSpec::read(p.get_spec()?)?
                )
                .await,
            |value, builder| value.write(builder)
        )
    }

    async fn detach(self: Rc<Self>, params: wire::DetachParams, mut results: wire::DetachResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "network.detach",
            |call, p| self.api.detach(&call, text(p.get_id())?.parse()?).await,
            |(), _| ()
        )
    }

    async fn reconcile(
        self: Rc<Self>,
        params: wire::ReconcileParams,
        mut results: wire::ReconcileResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "network.reconcile",
            |call, p| self.api.reconcile(&call, ids(p.get_live())?).await,
            |(), _| ()
        )
    }

    async fn info(self: Rc<Self>, params: wire::InfoParams, mut results: wire::InfoResults) -> capnp::Result<()> {
        answer!(params, results, "network.info", |call, p| self.api.info(&call).await, |value, builder| value
            .write(builder))
    }

    async fn tear_down(
        self: Rc<Self>,
        params: wire::TearDownParams,
        mut results: wire::TearDownResults,
    ) -> capnp::Result<()> {
        answer!(params, results, "network.tear_down", |call, p| self.api.tear_down(&call).await, |(), _| ())
    }

    async fn check(self: Rc<Self>, params: wire::CheckParams, mut results: wire::CheckResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "network.check",
            |call, p| self.api.check(&call, p.get_repair()).await,
            |value, builder| value.write(builder)
        )
    }
}
