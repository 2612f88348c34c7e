//! What a container manager implements.

use super::model::{Container, ContainerSpec, Info};
use crate::bindings::containers_capnp::containers as wire;
use crate::common::About;
use crate::rpc::{answer, answer_hello};
use crate::wire::{Wire, length, set_list, text};
use crate::{Call, ContainerId, Failure};
use std::rc::Rc;

/// The methods of the container manager in domain types; the contract describes each.
#[allow(async_fn_in_trait)]
pub trait Server: 'static {
    /// Records a container.
    async fn create(&self, call: &Call, id: ContainerId, spec: ContainerSpec) -> Result<Container, Failure>;
    /// Runs a container.
    async fn start(&self, call: &Call, container: String) -> Result<Container, Failure>;
    /// Ends a container: stop signal, time, SIGKILL.
    async fn stop(&self, call: &Call, container: String, timeout_ms: u32) -> Result<Container, Failure>;
    /// Sends a signal to PID 1.
    async fn kill(&self, call: &Call, container: String, signal: i32) -> Result<Container, Failure>;
    /// Stops and starts a container.
    async fn restart(&self, call: &Call, container: String, timeout_ms: u32) -> Result<Container, Failure>;
    /// Answers when it is not running.
    async fn wait(&self, call: &Call, container: String) -> Result<Container, Failure>;
    /// All containers, newest first.
    async fn list(&self, call: &Call) -> Result<Vec<Container>, Failure>;
    /// One container.
    async fn inspect(&self, call: &Call, container: String) -> Result<Container, Failure>;
    /// Sets the size of its terminal.
    async fn resize(&self, call: &Call, container: String, rows: u16, columns: u16) -> Result<(), Failure>;
    /// Renews the lease of its client.
    async fn keep(&self, call: &Call, container: String, lease_ms: u32) -> Result<(), Failure>;
    /// Stops every container and removes what the instance has in the kernel.
    async fn shut_down(&self, call: &Call, timeout_ms: u32) -> Result<(), Failure>;
    /// Counts, and what the workers say of the host.
    async fn info(&self, call: &Call) -> Result<Info, Failure>;
    /// Removes a container.
    async fn remove(&self, call: &Call, container: String, force: bool) -> Result<(), Failure>;
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
    async fn create(self: Rc<Self>, params: wire::CreateParams, mut results: wire::CreateResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.create",
            |call, p| self.api.create(&call, text(p.get_id())?.parse()?, ContainerSpec::read(p.get_spec()?)?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn start(self: Rc<Self>, params: wire::StartParams, mut results: wire::StartResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.start",
            |call, p| self.api.start(&call, text(p.get_container())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn stop(self: Rc<Self>, params: wire::StopParams, mut results: wire::StopResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.stop",
            |call, p| self.api.stop(&call, text(p.get_container())?, p.get_timeout_ms()).await,
            |value, builder| value.write(builder)
        )
    }

    async fn kill(self: Rc<Self>, params: wire::KillParams, mut results: wire::KillResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.kill",
            |call, p| self.api.kill(&call, text(p.get_container())?, p.get_signal()).await,
            |value, builder| value.write(builder)
        )
    }

    async fn restart(
        self: Rc<Self>,
        params: wire::RestartParams,
        mut results: wire::RestartResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.restart",
            |call, p| self.api.restart(&call, text(p.get_container())?, p.get_timeout_ms()).await,
            |value, builder| value.write(builder)
        )
    }

    async fn wait(self: Rc<Self>, params: wire::WaitParams, mut results: wire::WaitResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.wait",
            |call, p| self.api.wait(&call, text(p.get_container())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn list(self: Rc<Self>, params: wire::ListParams, mut results: wire::ListResults) -> capnp::Result<()> {
        answer!(params, results, "containers.list", |call, p| self.api.list(&call).await, |values, builder| set_list(
            builder.init_containers(length(&values)),
            &values
        ))
    }

    async fn inspect(
        self: Rc<Self>,
        params: wire::InspectParams,
        mut results: wire::InspectResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.inspect",
            |call, p| self.api.inspect(&call, text(p.get_container())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn resize(self: Rc<Self>, params: wire::ResizeParams, mut results: wire::ResizeResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.resize",
            |call, p| self.api.resize(&call, text(p.get_container())?, p.get_rows(), p.get_columns()).await,
            |(), _| ()
        )
    }

    async fn keep(self: Rc<Self>, params: wire::KeepParams, mut results: wire::KeepResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.keep",
            |call, p| self.api.keep(&call, text(p.get_container())?, p.get_lease_ms()).await,
            |(), _| ()
        )
    }

    async fn shut_down(
        self: Rc<Self>,
        params: wire::ShutDownParams,
        mut results: wire::ShutDownResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.shut_down",
            |call, p| self.api.shut_down(&call, p.get_timeout_ms()).await,
            |(), _| ()
        )
    }

    async fn info(self: Rc<Self>, params: wire::InfoParams, mut results: wire::InfoResults) -> capnp::Result<()> {
        answer!(params, results, "containers.info", |call, p| self.api.info(&call).await, |value, builder| value
            .write(builder))
    }

    async fn remove(self: Rc<Self>, params: wire::RemoveParams, mut results: wire::RemoveResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.remove",
            |call, p| self.api.remove(&call, text(p.get_container())?, p.get_force()).await,
            |(), _| ()
        )
    }
}
