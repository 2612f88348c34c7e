//! The contract, method by method: each is a message to the owner of the sandbox.

use crate::registry::{All, Find, Obtain, Registry};
use crate::sandbox::actor::{Destroy, Prepare, Resize, Sandbox, Signal, Start, State, Wait};
use actix::Addr;
use futures::future::try_join_all;
use kit::actor::ask;
use schema::common::ExitRecord;
use schema::executor::{Prepared, ProcessSpec, SandboxSpec, SandboxState, Server, Started};
use schema::{Call, ContainerId, Failure};

/// Serves the contract.
pub(crate) struct Api {
    registry: Addr<Registry>,
}

impl Api {
    pub(crate) fn new(registry: Addr<Registry>) -> Self {
        Self { registry }
    }

    async fn owner(&self, id: ContainerId) -> Result<Addr<Sandbox>, Failure> {
        let unknown = Failure::not_found(format_args!("container {} has no sandbox", id.short()));
        ask(&self.registry, Find(id)).await?.ok_or(unknown)
    }
}

impl Server for Api {
    async fn prepare(&self, _: &Call, id: ContainerId, spec: SandboxSpec) -> Result<Prepared, Failure> {
        loop {
            let owner = ask(&self.registry, Obtain(id.clone())).await?;
            // An owner that has just destroyed its sandbox has left the registry: the next one is new.
            if let Some(prepared) = ask(&owner, Prepare(spec.clone())).await? {
                return Ok(prepared);
            }
        }
    }

    async fn start(&self, _: &Call, id: ContainerId, process: ProcessSpec) -> Result<Started, Failure> {
        ask(&self.owner(id).await?, Start(process)).await
    }

    async fn wait(&self, _: &Call, id: ContainerId) -> Result<ExitRecord, Failure> {
        let destroyed = Failure::not_found(format_args!("the sandbox of container {} was destroyed", id.short()));
        let ended = ask(&self.owner(id).await?, Wait).await?;
        ended.await.unwrap_or(Err(destroyed))
    }

    async fn signal(&self, _: &Call, id: ContainerId, signal: i32) -> Result<(), Failure> {
        ask(&self.owner(id).await?, Signal(signal)).await
    }

    async fn resize(&self, _: &Call, id: ContainerId, rows: u16, columns: u16) -> Result<(), Failure> {
        ask(&self.owner(id).await?, Resize { rows, columns }).await
    }

    async fn destroy(&self, _: &Call, id: ContainerId) -> Result<(), Failure> {
        match ask(&self.registry, Find(id)).await? {
            Some(owner) => ask(&owner, Destroy).await,
            None => Ok(()),
        }
    }

    async fn list(&self, _: &Call) -> Result<Vec<SandboxState>, Failure> {
        let owners = ask(&self.registry, All).await?;
        let states = try_join_all(owners.iter().map(|owner| ask(owner, State))).await?;
        Ok(states.into_iter().flatten().collect())
    }
}
