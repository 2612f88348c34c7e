//! A typed client of the filesystem service.

use super::model::{MountSpec, Names};
use crate::bindings::filesystem_capnp::filesystem;
use crate::common::SandboxRef;
use crate::link::Link;
use crate::rpc::request;
use crate::wire::{Wire, length, set_ids};
use crate::{Call, ContainerId, Failure, Instance};

/// The filesystem service, as its callers see it. Each method is described in the contract.
#[derive(Clone)]
pub struct Client {
    link: Link<filesystem::Client>,
}

impl Client {
    /// A client of an instance's filesystem service; connects at the first call.
    pub fn new(instance: &Instance) -> Self {
        Self { link: Link::new(super::SERVICE, instance.socket(super::SERVICE)) }
    }

    /// Mounts a root filesystem into a sandbox.
    pub async fn mount(
        &self,
        call: &Call,
        id: &ContainerId,
        sandbox: &SandboxRef,
        spec: &MountSpec,
    ) -> Result<(), Failure> {
        request!(
            self,
            call,
            mount_request,
            |params| {
                params.set_id(id.as_str());
                sandbox.write(params.reborrow().init_sandbox());
                spec.write(params.reborrow().init_spec());
            },
            |_| Ok(())
        )
        .await
    }

    /// Writes /etc/hostname, /etc/hosts and /etc/resolv.conf.
    pub async fn set_names(&self, call: &Call, id: &ContainerId, names: &Names) -> Result<(), Failure> {
        request!(
            self,
            call,
            set_names_request,
            |params| {
                params.set_id(id.as_str());
                names.write(params.reborrow().init_names());
            },
            |_| Ok(())
        )
        .await
    }

    /// Removes the writable layer.
    pub async fn release(&self, call: &Call, id: &ContainerId) -> Result<(), Failure> {
        request!(
            self,
            call,
            release_request,
            |params| {
                params.set_id(id.as_str());
            },
            |_| Ok(())
        )
        .await
    }

    /// Removes what belongs to no live container.
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
}
