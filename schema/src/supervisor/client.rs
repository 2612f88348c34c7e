//! A typed client of the supervisor.

use super::model::{Held, ServiceCalls, ServiceStatus};
use crate::bindings::supervisor_capnp::supervisor;
use crate::link::Link;
use crate::rpc::request;
use crate::wire::{list, text};
use crate::{Call, Failure, Instance};
use std::path::PathBuf;

/// The supervisor, as its callers see it. Each method is described in the contract.
#[derive(Clone)]
pub struct Client {
    link: Link<supervisor::Client>,
}

impl Client {
    /// A client of an instance's supervisor; connects at the first call.
    pub fn new(instance: &Instance) -> Self {
        Self { link: Link::new(super::SERVICE, instance.socket(super::SERVICE)) }
    }

    /// The supervisor and its services.
    pub async fn status(&self, call: &Call) -> Result<Vec<ServiceStatus>, Failure> {
        request!(self, call, status_request, |params| {}, |answer| list(answer.get_services())).await
    }

    /// Kills a service (empty: each) and answers when its successor is ready.
    pub async fn restart(&self, call: &Call, service: &str) -> Result<(), Failure> {
        request!(
            self,
            call,
            restart_request,
            |params| {
                params.set_service(service);
            },
            |_| Ok(())
        )
        .await
    }

    /// Runs this program as the service; empty: the installed one.
    pub async fn replace(&self, call: &Call, service: &str, executable: &str) -> Result<(), Failure> {
        request!(
            self,
            call,
            replace_request,
            |params| {
                params.set_service(service);
                params.set_executable(executable);
            },
            |_| Ok(())
        )
        .await
    }

    /// Where a service writes its log.
    pub async fn log_file(&self, call: &Call, service: &str) -> Result<PathBuf, Failure> {
        request!(
            self,
            call,
            log_file_request,
            |params| {
                params.set_service(service);
            },
            |answer| Ok(text(answer.get_path())?.into())
        )
        .await
    }

    /// What each process of the instance holds.
    pub async fn audit(&self, call: &Call) -> Result<Vec<Held>, Failure> {
        request!(self, call, audit_request, |params| {}, |answer| list(answer.get_processes())).await
    }

    /// What was called at the supervisor and at each service that runs.
    pub async fn calls(&self, call: &Call) -> Result<Vec<ServiceCalls>, Failure> {
        request!(self, call, calls_request, |params| {}, |answer| list(answer.get_services())).await
    }

    /// Ends the services, the supervisor and its keeper.
    pub async fn shut_down(&self, call: &Call) -> Result<(), Failure> {
        request!(self, call, shut_down_request, |params| {}, |_| Ok(())).await
    }
}
