//! A typed client of the container manager.

use super::model::{Container, ContainerSpec, Info};
use crate::bindings::containers_capnp::containers;
use crate::link::Link;
use crate::rpc::request;
use crate::wire::{Wire, list, read_outcome};
use crate::{Call, Code, ContainerId, Failure, Instance};

/// The container manager, as its callers see it. Each method is described in the contract.
#[derive(Clone)]
pub struct Client {
    link: Link<containers::Client>,
}

impl Client {
    /// A client of an instance's container manager; connects at the first call.
    pub fn new(instance: &Instance) -> Self {
        Self { link: Link::new(super::SERVICE, instance.socket(super::SERVICE)) }
    }

    /// Records a container.
    pub async fn create(&self, call: &Call, id: &ContainerId, spec: &ContainerSpec) -> Result<Container, Failure> {
        request!(
            self,
            call,
            create_request,
            |params| {
                params.set_id(id.as_str());
                spec.write(params.reborrow().init_spec());
            },
            Container::read
        )
        .await
    }

    /// Runs a container.
    pub async fn start(&self, call: &Call, container: &str) -> Result<Container, Failure> {
        request!(
            self,
            call,
            start_request,
            |params| {
                params.set_container(container);
            },
            Container::read
        )
        .await
    }

    /// Ends a container: stop signal, time, SIGKILL.
    pub async fn stop(&self, call: &Call, container: &str, timeout_ms: u32) -> Result<Container, Failure> {
        request!(
            self,
            call,
            stop_request,
            |params| {
                params.set_container(container);
                params.set_timeout_ms(timeout_ms);
            },
            Container::read
        )
        .await
    }

    /// Sends a signal to PID 1.
    pub async fn kill(&self, call: &Call, container: &str, signal: i32) -> Result<Container, Failure> {
        request!(
            self,
            call,
            kill_request,
            |params| {
                params.set_container(container);
                params.set_signal(signal);
            },
            Container::read
        )
        .await
    }

    /// Stops and starts a container.
    pub async fn restart(&self, call: &Call, container: &str, timeout_ms: u32) -> Result<Container, Failure> {
        request!(
            self,
            call,
            restart_request,
            |params| {
                params.set_container(container);
                params.set_timeout_ms(timeout_ms);
            },
            Container::read
        )
        .await
    }

    /// Answers when it is not running.
    pub async fn wait(&self, call: &Call, container: &str) -> Result<Container, Failure> {
        request!(
            self,
            call,
            wait_request,
            |params| {
                params.set_container(container);
            },
            Container::read
        )
        .await
    }

    /// All containers, newest first.
    pub async fn list(&self, call: &Call) -> Result<Vec<Container>, Failure> {
        request!(self, call, list_request, |params| {}, |answer| list(answer.get_containers())).await
    }

    /// One container.
    pub async fn inspect(&self, call: &Call, container: &str) -> Result<Container, Failure> {
        request!(
            self,
            call,
            inspect_request,
            |params| {
                params.set_container(container);
            },
            Container::read
        )
        .await
    }

    /// Sets the size of its terminal.
    pub async fn resize(&self, call: &Call, container: &str, rows: u16, columns: u16) -> Result<(), Failure> {
        request!(
            self,
            call,
            resize_request,
            |params| {
                params.set_container(container);
                params.set_rows(rows);
                params.set_columns(columns);
            },
            |_| Ok(())
        )
        .await
    }

    /// Renews the lease of its client.
    pub async fn keep(&self, call: &Call, container: &str, lease_ms: u32) -> Result<(), Failure> {
        request!(
            self,
            call,
            keep_request,
            |params| {
                params.set_container(container);
                params.set_lease_ms(lease_ms);
            },
            |_| Ok(())
        )
        .await
    }

    /// Stops every container and removes what the instance has in the kernel.
    pub async fn shut_down(&self, call: &Call, timeout_ms: u32) -> Result<(), Failure> {
        request!(
            self,
            call,
            shut_down_request,
            |params| {
                params.set_timeout_ms(timeout_ms);
            },
            |_| Ok(())
        )
        .await
    }

    /// Counts, and what the workers say of the host.
    pub async fn info(&self, call: &Call) -> Result<Info, Failure> {
        request!(self, call, info_request, |params| {}, Info::read).await
    }

    /// Removes a container. If a first try was cut off and the second finds nothing, the first had done it.
    pub async fn remove(&self, call: &Call, container: &str, force: bool) -> Result<(), Failure> {
        self.link
            .call(call, |attempt| {
                let mut request = attempt.client.remove_request();
                let mut params = request.get();
                call.write(params.reborrow().init_call());
                params.set_container(container);
                params.set_force(force);
                async move {
                    let response = request.send().promise.await?;
                    Ok(match read_outcome(response.get()?.get_outcome()?, |_| Ok(())) {
                        Err(failure) if failure.code == Code::NotFound && attempt.number > 1 => Ok(()),
                        answer => answer,
                    })
                }
            })
            .await
    }
}
