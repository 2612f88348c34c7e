//! A typed client of the executor.

use super::model::{ExecSpec, Prepared, Process, ProcessSpec, SandboxSpec, SandboxState, Started, Stats};
use crate::bindings::executor_capnp::executor;
use crate::common::{CheckReport, ExitRecord};
use crate::link::Link;
use crate::rpc::request;
use crate::wire::{Wire, list};
use crate::{Call, ContainerId, Failure, Instance};

/// The executor, as its callers see it. Each method is described in the contract.
#[derive(Clone)]
pub struct Client {
    link: Link<executor::Client>,
}

impl Client {
    /// A client of an instance's executor; connects at the first call.
    pub fn new(instance: &Instance) -> Self {
        Self { link: Link::new(super::SERVICE, instance.socket(super::SERVICE)) }
    }

    /// Makes a sandbox.
    pub async fn prepare(&self, call: &Call, id: &ContainerId, spec: &SandboxSpec) -> Result<Prepared, Failure> {
        request!(
            self,
            call,
            prepare_request,
            |params| {
                params.set_id(id.as_str());
                spec.write(params.reborrow().init_spec());
            },
            Prepared::read
        )
        .await
    }

    /// Executes PID 1.
    pub async fn start(&self, call: &Call, id: &ContainerId, process: &ProcessSpec) -> Result<Started, Failure> {
        request!(
            self,
            call,
            start_request,
            |params| {
                params.set_id(id.as_str());
                process.write(params.reborrow().init_process());
            },
            Started::read
        )
        .await
    }

    /// Answers when PID 1 has ended and its output is captured.
    pub async fn wait(&self, call: &Call, id: &ContainerId) -> Result<ExitRecord, Failure> {
        request!(
            self,
            call,
            wait_request,
            |params| {
                params.set_id(id.as_str());
            },
            ExitRecord::read
        )
        .await
    }

    /// Sends a signal to PID 1.
    pub async fn signal(&self, call: &Call, id: &ContainerId, signal: i32) -> Result<(), Failure> {
        request!(
            self,
            call,
            signal_request,
            |params| {
                params.set_id(id.as_str());
                params.set_signal(signal);
            },
            |_| Ok(())
        )
        .await
    }

    /// Sets the size of the terminal.
    pub async fn resize(&self, call: &Call, id: &ContainerId, rows: u16, columns: u16) -> Result<(), Failure> {
        request!(
            self,
            call,
            resize_request,
            |params| {
                params.set_id(id.as_str());
                params.set_rows(rows);
                params.set_columns(columns);
            },
            |_| Ok(())
        )
        .await
    }

    /// Does ahead what of a start does not depend on the process.
    pub async fn set_up(&self, call: &Call, id: &ContainerId) -> Result<(), Failure> {
        request!(
            self,
            call,
            set_up_request,
            |params| {
                params.set_id(id.as_str());
            },
            |_| Ok(())
        )
        .await
    }

    /// Kills and removes a sandbox.
    pub async fn destroy(&self, call: &Call, id: &ContainerId) -> Result<(), Failure> {
        request!(
            self,
            call,
            destroy_request,
            |params| {
                params.set_id(id.as_str());
            },
            |_| Ok(())
        )
        .await
    }

    /// Every sandbox that exists.
    pub async fn list(&self, call: &Call) -> Result<Vec<SandboxState>, Failure> {
        request!(self, call, list_request, |params| {}, |answer| list(answer.get_sandboxes())).await
    }

    /// Makes ready a further process.
    pub async fn prepare_exec(
        &self,
        call: &Call,
        id: &ContainerId,
        exec: &ContainerId,
        spec: &ExecSpec,
    ) -> Result<Prepared, Failure> {
        request!(
            self,
            call,
            prepare_exec_request,
            |params| {
                params.set_id(id.as_str());
                params.set_exec(exec.as_str());
                spec.write(params.reborrow().init_spec());
            },
            Prepared::read
        )
        .await
    }

    /// Stops every process of a sandbox where it is, or lets them go on.
    pub async fn freeze(&self, call: &Call, id: &ContainerId, frozen: bool) -> Result<(), Failure> {
        request!(
            self,
            call,
            freeze_request,
            |params| {
                params.set_id(id.as_str());
                params.set_frozen(frozen);
            },
            |_| Ok(())
        )
        .await
    }

    /// What a sandbox has used and uses.
    pub async fn stats(&self, call: &Call, id: &ContainerId) -> Result<Stats, Failure> {
        request!(
            self,
            call,
            stats_request,
            |params| {
                params.set_id(id.as_str());
            },
            Stats::read
        )
        .await
    }

    /// The processes of a sandbox.
    pub async fn processes(&self, call: &Call, id: &ContainerId) -> Result<Vec<Process>, Failure> {
        request!(
            self,
            call,
            processes_request,
            |params| {
                params.set_id(id.as_str());
            },
            |answer| list(answer.get_processes())
        )
        .await
    }

    /// Compares what there is of sandboxes, and removes what belongs to none.
    pub async fn check(&self, call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        request!(self, call, check_request, |params| params.set_repair(repair), CheckReport::read).await
    }
}
