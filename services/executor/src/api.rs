//! The contract, method by method: each is a message to the owner of the sandbox.

use crate::host::Host;
use crate::registry::{All, ExecsOf, Find, Ids, Obtain, Owner, Registry};
use crate::sandbox::actor::{
    Destroy, EndExec, Freeze, GetRunning, Prepare, Resize, Sandbox, SetUp, Signal, Start, State, Wait, blocking,
};
use crate::sandbox::record::Spec;
use crate::sandbox::recover::{leftovers, take_up};
use crate::sandbox::running::Running;
use crate::survey;
use actix::Addr;
use futures::future::try_join_all;
use kit::actor::ask;
use schema::common::{CheckReport, ExitRecord, Problem};
use schema::executor::{ExecSpec, Prepared, Process, ProcessSpec, SandboxSpec, SandboxState, Server, Started, Stats};
use schema::{Call, ContainerId, Failure};
use std::sync::Arc;

/// Serves the contract.
pub(crate) struct Api {
    host: Arc<Host>,
    registry: Addr<Registry>,
}

impl Api {
    pub(crate) fn new(host: Arc<Host>, registry: Addr<Registry>) -> Self {
        Self { host, registry }
    }

    async fn find(&self, id: ContainerId) -> Result<Owner, Failure> {
        let unknown = Failure::not_found(format_args!("container {} has no sandbox", id.short()));
        ask(&self.registry, Find(id)).await?.ok_or(unknown)
    }

    async fn owner(&self, id: ContainerId) -> Result<Addr<Sandbox>, Failure> {
        Ok(self.find(id).await?.address)
    }

    /// Makes a sandbox or an exec.
    async fn make(&self, id: ContainerId, spec: Spec) -> Result<Prepared, Failure> {
        loop {
            let obtain = Obtain { id: id.clone(), exec_of: spec.exec_of().cloned(), ids: spec.ids() };
            let owner = ask(&self.registry, obtain).await?;
            // An owner that has just destroyed its sandbox has left the registry: the next one is new.
            if let Some(prepared) = ask(&owner, Prepare(spec.clone())).await? {
                return Ok(prepared);
            }
        }
    }

    async fn running(&self, id: ContainerId) -> Result<Running, Failure> {
        ask(&self.owner(id).await?, GetRunning).await
    }
}

impl Server for Api {
    async fn prepare(&self, _: &Call, id: ContainerId, spec: SandboxSpec) -> Result<Prepared, Failure> {
        self.make(id, Spec::Sandbox(spec)).await
    }

    async fn prepare_exec(
        &self,
        _: &Call,
        id: ContainerId,
        exec: ContainerId,
        spec: ExecSpec,
    ) -> Result<Prepared, Failure> {
        // Whether one that exists is the same, its owner tells.
        if ask(&self.registry, Find(exec.clone())).await?.is_none() {
            self.running(id.clone()).await?;
        }
        self.make(exec, Spec::Exec { of: id, exec: spec }).await
    }

    async fn start(&self, _: &Call, id: ContainerId, process: ProcessSpec) -> Result<Started, Failure> {
        let Owner { address, exec_of, .. } = self.find(id).await?;
        // Why it cannot be joined only matters if it was not started before.
        let joined = match exec_of {
            Some(of) => Some(self.running(of).await),
            None => None,
        };
        ask(&address, Start(process, joined)).await
    }

    async fn set_up(&self, _: &Call, id: ContainerId) -> Result<(), Failure> {
        ask(&self.owner(id).await?, SetUp).await
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
        match ask(&self.registry, Find(id.clone())).await? {
            Some(owner) => ask(&owner.address, Destroy).await?,
            None => return Ok(()),
        }
        // Their processes have ended with the sandbox.
        let execs = ask(&self.registry, ExecsOf(id)).await?;
        try_join_all(execs.iter().map(|exec| ask(exec, EndExec))).await.map(drop)
    }

    async fn freeze(&self, _: &Call, id: ContainerId, frozen: bool) -> Result<(), Failure> {
        ask(&self.owner(id).await?, Freeze(frozen)).await
    }

    async fn stats(&self, _: &Call, id: ContainerId) -> Result<Stats, Failure> {
        let running = self.running(id).await?;
        let host = Arc::clone(&self.host);
        blocking(move || survey::stats(&host, &running)).await?
    }

    async fn processes(&self, _: &Call, id: ContainerId) -> Result<Vec<Process>, Failure> {
        let running = self.running(id).await?;
        let host = Arc::clone(&self.host);
        blocking(move || survey::processes(&host, &running)).await?
    }

    async fn check(&self, _: &Call, repair: bool) -> Result<CheckReport, Failure> {
        let mut report = CheckReport::default();
        for id in leftovers(&self.host, &self.registry).await? {
            let object = format!("sandbox of {}", id.short());
            let message = "there is a directory or a cgroup of it, and nobody owns it";
            if repair {
                take_up(&self.host, &self.registry, &id).await?;
                report.repaired.push(Problem::new(object, format!("{message}: taken up, or removed"), ""));
            } else {
                report.problems.push(Problem::new(object, message, "`cctl system check --repair` removes it"));
            }
        }
        report.owners = ask(&self.registry, Ids).await?.into_iter().collect();
        report.examined = report.owners.len() as u64;
        Ok(report)
    }

    async fn list(&self, _: &Call) -> Result<Vec<SandboxState>, Failure> {
        let owners = ask(&self.registry, All).await?;
        let states = try_join_all(owners.iter().map(|owner| ask(owner, State))).await?;
        let host = Arc::clone(&self.host);
        blocking(move || {
            let frozen = |state: &SandboxState| host.cgroups.is_frozen(state.exec_of.as_ref().unwrap_or(&state.id));
            states.into_iter().flatten().map(|state| SandboxState { frozen: frozen(&state), ..state }).collect()
        })
        .await
    }
}
