//! What a executor implements.

use super::model::{Prepared, ProcessSpec, SandboxSpec, SandboxState, Started};
use crate::bindings::executor_capnp::executor as wire;
use crate::common::{About, ExitRecord};
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
}
