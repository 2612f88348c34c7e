//! What a filesystem service implements.

use super::model::{MountSpec, Names};
use crate::bindings::filesystem_capnp::filesystem as wire;
use crate::common::{About, SandboxRef};
use crate::rpc::{answer, answer_hello};
use crate::wire::{Wire, ids, text};
use crate::{Call, ContainerId, Failure};
use std::rc::Rc;

/// The methods of the filesystem service in domain types; the contract describes each.
#[allow(async_fn_in_trait)]
pub trait Server: 'static {
    /// Mounts a root filesystem into a sandbox.
    async fn mount(&self, call: &Call, id: ContainerId, sandbox: SandboxRef, spec: MountSpec) -> Result<(), Failure>;
    /// Writes /etc/hostname, /etc/hosts and /etc/resolv.conf.
    async fn set_names(&self, call: &Call, id: ContainerId, names: Names) -> Result<(), Failure>;
    /// Removes the writable layer.
    async fn release(&self, call: &Call, id: ContainerId) -> Result<(), Failure>;
    /// Removes what belongs to no live container.
    async fn reconcile(&self, call: &Call, live: Vec<ContainerId>) -> Result<(), Failure>;
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
    async fn mount(self: Rc<Self>, params: wire::MountParams, mut results: wire::MountResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.mount",
            |call, p| self
                .api
                .mount(
                    &call,
                    text(p.get_id())?.parse()?,
                    SandboxRef::read(p.get_sandbox()?)?,
                    MountSpec::read(p.get_spec()?)?
                )
                .await,
            |(), _| ()
        )
    }

    async fn set_names(
        self: Rc<Self>,
        params: wire::SetNamesParams,
        mut results: wire::SetNamesResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.set_names",
            |call, p| self.api.set_names(&call, text(p.get_id())?.parse()?, Names::read(p.get_names()?)?).await,
            |(), _| ()
        )
    }

    async fn release(
        self: Rc<Self>,
        params: wire::ReleaseParams,
        mut results: wire::ReleaseResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "filesystem.release",
            |call, p| self.api.release(&call, text(p.get_id())?.parse()?).await,
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
            "filesystem.reconcile",
            |call, p| self.api.reconcile(&call, ids(p.get_live())?).await,
            |(), _| ()
        )
    }
}
