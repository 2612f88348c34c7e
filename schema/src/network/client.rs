//! A typed client of the network service.

use super::model::{AttachSpec, Attachment, NetworkInfo};
use crate::bindings::network_capnp::network;
use crate::common::{CheckReport, SandboxRef};
use crate::link::Link;
use crate::rpc::request;
use crate::wire::{Wire, length, set_ids};
use crate::{Call, ContainerId, Failure, Instance};

/// The network service, as its callers see it. Each method is described in the contract.
#[derive(Clone)]
pub struct Client {
    link: Link<network::Client>,
}

impl Client {
    /// A client of an instance's network service; connects at the first call.
    pub fn new(instance: &Instance) -> Self {
        Self { link: Link::new(super::SERVICE, instance.socket(super::SERVICE)) }
    }

    /// Connects a sandbox.
    pub async fn attach(
        &self,
        call: &Call,
        id: &ContainerId,
        sandbox: &SandboxRef,
        spec: &AttachSpec,
    ) -> Result<Attachment, Failure> {
        request!(
            self,
            call,
            attach_request,
            |params| {
                params.set_id(id.as_str());
                sandbox.write(params.reborrow().init_sandbox());
                spec.write(params.reborrow().init_spec());
            },
            Attachment::read
        )
        .await
    }

    /// Gives address and ports back.
    pub async fn detach(&self, call: &Call, id: &ContainerId) -> Result<(), Failure> {
        request!(
            self,
            call,
            detach_request,
            |params| {
                params.set_id(id.as_str());
            },
            |_| Ok(())
        )
        .await
    }

    /// Releases what belongs to no live container, restores the rest.
    pub async fn reconcile(&self, call: &Call, live: &[ContainerId]) -> Result<(), Failure> {
        request!(
            self,
            call,
            reconcile_request,
            |params| {
                set_ids(params.reborrow().init_live(length(live)), live);
            },
            |_| Ok(())
        )
        .await
    }

    /// What this instance uses on the host.
    pub async fn info(&self, call: &Call) -> Result<NetworkInfo, Failure> {
        request!(self, call, info_request, |params| {}, NetworkInfo::read).await
    }

    /// Removes bridge and table when nothing is attached.
    pub async fn tear_down(&self, call: &Call) -> Result<(), Failure> {
        request!(self, call, tear_down_request, |params| {}, |_| Ok(())).await
    }

    /// Compares bridge, table and ports with the records, and mends what is otherwise.
    pub async fn check(&self, call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        request!(self, call, check_request, |params| params.set_repair(repair), CheckReport::read).await
    }
}
