//! What a executor implements.

use super::model::{ExecSpec, Prepared, Process, ProcessSpec, SandboxSpec, SandboxState, Started, Stats};
use crate::bindings::executor_capnp::executor as wire;
use crate::common::{About, CheckReport, ExitRecord};
use crate::rpc::{answer, answer_hello};
use crate::wire::{Wire, length, set_list, text};
use crate::{Call, ContainerId, Failure};
use std::rc::Rc;

/// The methods of the executor in domain types; the contract describes each.
#[allow(async_fn_in_trait)]
pub trait Server: 'static {
    /// Makes a sandbox.
    async fn prepare(&self, call: &Call, id: ContainerId, spec: SandboxSpec) -> Result<Prepared, Failure>;
    /// Executes PID 1.
    async fn start(&self, call: &Call, id: ContainerId, process: ProcessSpec) -> Result<Started, Failure>;
    /// Answers when PID 1 has ended and its output is captured.
    async fn wait(&self, call: &Call, id: ContainerId) -> Result<ExitRecord, Failure>;
    /// Sends a signal to PID 1.
    async fn signal(&self, call: &Call, id: ContainerId, signal: i32) -> Result<(), Failure>;
    /// Sets the size of the terminal.
    async fn resize(&self, call: &Call, id: ContainerId, rows: u16, columns: u16) -> Result<(), Failure>;
    /// Kills and removes a sandbox.
    async fn destroy(&self, call: &Call, id: ContainerId) -> Result<(), Failure>;
    /// Every sandbox that exists.
    async fn list(&self, call: &Call) -> Result<Vec<SandboxState>, Failure>;
    /// Makes ready a further process.
    async fn prepare_exec(
        &self,
        call: &Call,
        id: ContainerId,
        exec: ContainerId,
        spec: ExecSpec,
    ) -> Result<Prepared, Failure> {
        let _ = (call, id, exec, spec);
        Err(crate::rpc::missing("executor.prepare_exec"))
    }
    /// Stops every process of a sandbox where it is, or lets them go on.
    async fn freeze(&self, call: &Call, id: ContainerId, frozen: bool) -> Result<(), Failure> {
        let _ = (call, id, frozen);
        Err(crate::rpc::missing("executor.freeze"))
    }
    /// What a sandbox has used and uses.
    async fn stats(&self, call: &Call, id: ContainerId) -> Result<Stats, Failure> {
        let _ = (call, id);
        Err(crate::rpc::missing("executor.stats"))
    }
    /// The processes of a sandbox.
    async fn processes(&self, call: &Call, id: ContainerId) -> Result<Vec<Process>, Failure> {
        let _ = (call, id);
        Err(crate::rpc::missing("executor.processes"))
    }
    /// Does ahead what of a start does not depend on the process.
    async fn set_up(&self, call: &Call, id: ContainerId) -> Result<(), Failure> {
        let _ = (call, id);
        Err(crate::rpc::missing("executor.set_up"))
    }
    /// Compares what there is of sandboxes, and removes what belongs to none.
    async fn check(&self, call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        let _ = (call, repair);
        Err(crate::rpc::missing("executor.check"))
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
    async fn prepare(
        self: Rc<Self>,
        params: wire::PrepareParams,
        mut results: wire::PrepareResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "executor.prepare",
            |call, p| self.api.prepare(&call, text(p.get_id())?.parse()?, SandboxSpec::read(p.get_spec()?)?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn start(self: Rc<Self>, params: wire::StartParams, mut results: wire::StartResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "executor.start",
            |call, p| self.api.start(&call, text(p.get_id())?.parse()?, ProcessSpec::read(p.get_process()?)?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn wait(self: Rc<Self>, params: wire::WaitParams, mut results: wire::WaitResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "executor.wait",
            |call, p| self.api.wait(&call, text(p.get_id())?.parse()?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn signal(self: Rc<Self>, params: wire::SignalParams, mut results: wire::SignalResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "executor.signal",
            |call, p| self.api.signal(&call, text(p.get_id())?.parse()?, p.get_signal()).await,
            |(), _| ()
        )
    }

    async fn resize(self: Rc<Self>, params: wire::ResizeParams, mut results: wire::ResizeResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "executor.resize",
            |call, p| self.api.resize(&call, text(p.get_id())?.parse()?, p.get_rows(), p.get_columns()).await,
            |(), _| ()
        )
    }

    async fn set_up(self: Rc<Self>, params: wire::SetUpParams, mut results: wire::SetUpResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "executor.set_up",
            |call, p| self.api.set_up(&call, text(p.get_id())?.parse()?).await,
            |(), _| ()
        )
    }

    async fn destroy(
        self: Rc<Self>,
        params: wire::DestroyParams,
        mut results: wire::DestroyResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "executor.destroy",
            |call, p| self.api.destroy(&call, text(p.get_id())?.parse()?).await,
            |(), _| ()
        )
    }

    async fn list(self: Rc<Self>, params: wire::ListParams, mut results: wire::ListResults) -> capnp::Result<()> {
        answer!(params, results, "executor.list", |call, p| self.api.list(&call).await, |values, builder| set_list(
            builder.init_sandboxes(length(&values)),
            &values
        ))
    }

    async fn prepare_exec(
        self: Rc<Self>,
        params: wire::PrepareExecParams,
        mut results: wire::PrepareExecResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "executor.prepare_exec",
            |call, p| self
                .api
                .prepare_exec(
                    &call,
                    text(p.get_id())?.parse()?,
                    text(p.get_exec())?.parse()?,
                    ExecSpec::read(p.get_spec()?)?
                )
                .await,
            |value, builder| value.write(builder)
        )
    }

    async fn freeze(self: Rc<Self>, params: wire::FreezeParams, mut results: wire::FreezeResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "executor.freeze",
            |call, p| self.api.freeze(&call, text(p.get_id())?.parse()?, p.get_frozen()).await,
            |(), _| ()
        )
    }

    async fn stats(self: Rc<Self>, params: wire::StatsParams, mut results: wire::StatsResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "executor.stats",
            |call, p| self.api.stats(&call, text(p.get_id())?.parse()?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn processes(
        self: Rc<Self>,
        params: wire::ProcessesParams,
        mut results: wire::ProcessesResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "executor.processes",
            |call, p| self.api.processes(&call, text(p.get_id())?.parse()?).await,
            |values, builder| set_list(builder.init_processes(length(&values)), &values)
        )
    }

    async fn check(self: Rc<Self>, params: wire::CheckParams, mut results: wire::CheckResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "executor.check",
            |call, p| self.api.check(&call, p.get_repair()).await,
            |value, builder| value.write(builder)
        )
    }
}
