//! What a supervisor implements.

use super::model::{Held, ServiceCalls, ServiceStatus};
use crate::bindings::supervisor_capnp::supervisor as wire;
use crate::common::About;
use crate::rpc::{answer, answer_hello};
use crate::wire::{length, set_list, text};
use crate::{Call, Failure};
use std::path::PathBuf;
use std::rc::Rc;

/// The methods of the supervisor in domain types; the contract describes each.
#[allow(async_fn_in_trait)]
pub trait Server: 'static {
    /// The supervisor and its services.
    async fn status(&self, call: &Call) -> Result<Vec<ServiceStatus>, Failure>;
    /// Kills a service (empty: each) and answers when its successor is ready.
    async fn restart(&self, call: &Call, service: String) -> Result<(), Failure>;
    /// Runs this program as the service; none: the installed one.
    async fn replace(&self, call: &Call, service: String, executable: Option<PathBuf>) -> Result<(), Failure>;
    /// Where a service writes its log.
    async fn log_file(&self, call: &Call, service: String) -> Result<PathBuf, Failure>;
    /// What each process of the instance holds.
    async fn audit(&self, call: &Call) -> Result<Vec<Held>, Failure>;
    /// What was called at the supervisor and at each service that runs.
    async fn calls(&self, call: &Call) -> Result<Vec<ServiceCalls>, Failure>;
    /// Ends the services, the supervisor and its keeper.
    async fn shut_down(&self, call: &Call) -> Result<(), Failure>;
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
    async fn status(self: Rc<Self>, params: wire::StatusParams, mut results: wire::StatusResults) -> capnp::Result<()> {
        answer!(params, results, "supervisor.status", |call, p| self.api.status(&call).await, |values, builder| {
            set_list(builder.init_services(length(&values)), &values)
        })
    }

    async fn restart(
        self: Rc<Self>,
        params: wire::RestartParams,
        mut results: wire::RestartResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "supervisor.restart",
            |call, p| self.api.restart(&call, text(p.get_service())?).await,
            |(), _| ()
        )
    }

    async fn replace(
        self: Rc<Self>,
        params: wire::ReplaceParams,
        mut results: wire::ReplaceResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "supervisor.replace",
            |call, p| {
                let executable = Some(text(p.get_executable())?).filter(|path| !path.is_empty());
                self.api.replace(&call, text(p.get_service())?, executable.map(PathBuf::from)).await
            },
            |(), _| ()
        )
    }

    async fn log_file(
        self: Rc<Self>,
        params: wire::LogFileParams,
        mut results: wire::LogFileResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "supervisor.log_file",
            |call, p| self.api.log_file(&call, text(p.get_service())?).await,
            |value, mut builder| builder.set_path(value.to_string_lossy())
        )
    }

    async fn audit(self: Rc<Self>, params: wire::AuditParams, mut results: wire::AuditResults) -> capnp::Result<()> {
        answer!(params, results, "supervisor.audit", |call, p| self.api.audit(&call).await, |values, builder| {
            set_list(builder.init_processes(length(&values)), &values)
        })
    }

    async fn calls(self: Rc<Self>, params: wire::CallsParams, mut results: wire::CallsResults) -> capnp::Result<()> {
        answer!(params, results, "supervisor.calls", |call, p| self.api.calls(&call).await, |values, builder| {
            set_list(builder.init_services(length(&values)), &values)
        })
    }

    async fn shut_down(
        self: Rc<Self>,
        params: wire::ShutDownParams,
        mut results: wire::ShutDownResults,
    ) -> capnp::Result<()> {
        answer!(params, results, "supervisor.shut_down", |call, p| self.api.shut_down(&call).await, |(), _| ())
    }
}
