//! A typed client of the container manager.

use super::model::{CommitSpec, Container, ContainerSpec, EventList, Exec, ExecSpec, Info, Summary};
use crate::bindings::containers_capnp::containers;
use crate::common::{CheckReport, ExitRecord};
use crate::executor::{Process, Stats};
use crate::filesystem::{ArchiveChunk, ArchiveRequest, ChangeList, ExtractRequest, PathStat, Usage};
use crate::image_store::Image;
use crate::link::Link;
use crate::rpc::request;
use crate::wire::{Wire, list, list_of, read_outcome, text};
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

    /// An id for a container that is about to be created with this specification, and started.
    pub async fn offer(&self, call: &Call, spec: &ContainerSpec) -> Result<ContainerId, Failure> {
        request!(
            self,
            call,
            offer_request,
            |params| spec.write(params.reborrow().init_spec()),
            |offer: crate::bindings::containers_capnp::offer::Reader<'_>| text(offer.get_id())?.parse()
        )
        .await
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

    /// Removes the sandboxes that stand ready.
    pub async fn stand_down(&self, call: &Call) -> Result<(), Failure> {
        request!(self, call, stand_down_request, |params| {}, |_| Ok(())).await
    }

    /// Records a container and runs it; it may have another id than this.
    pub async fn run(&self, call: &Call, id: &ContainerId, spec: &ContainerSpec) -> Result<Container, Failure> {
        request!(
            self,
            call,
            run_request,
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

    /// Answers when its run has ended, and before that is cleaned up.
    pub async fn ended(&self, call: &Call, container: &str) -> Result<Container, Failure> {
        request!(
            self,
            call,
            ended_request,
            |params| {
                params.set_container(container);
            },
            Container::read
        )
        .await
    }

    /// All containers, newest first.
    pub async fn list(&self, call: &Call) -> Result<Vec<Summary>, Failure> {
        request!(look: self, call, list_request, |params| {}, |answer| list_of(answer.get_containers(), Summary::read))
            .await
    }

    /// One container.
    pub async fn inspect(&self, call: &Call, container: &str) -> Result<Container, Failure> {
        request!(
            look: self,
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

    /// Gives a container another name.
    pub async fn rename(&self, call: &Call, container: &str, new_name: &str) -> Result<Container, Failure> {
        request!(
            self,
            call,
            rename_request,
            |params| {
                params.set_container(container);
                params.set_new_name(new_name);
            },
            Container::read
        )
        .await
    }

    /// Stops all its processes where they are.
    pub async fn pause(&self, call: &Call, container: &str) -> Result<Container, Failure> {
        request!(
            self,
            call,
            pause_request,
            |params| {
                params.set_container(container);
            },
            Container::read
        )
        .await
    }

    /// Lets a paused container go on.
    pub async fn unpause(&self, call: &Call, container: &str) -> Result<Container, Failure> {
        request!(
            self,
            call,
            unpause_request,
            |params| {
                params.set_container(container);
            },
            Container::read
        )
        .await
    }

    /// What it has used and uses.
    pub async fn stats(&self, call: &Call, container: &str) -> Result<Stats, Failure> {
        request!(
            self,
            call,
            stats_request,
            |params| {
                params.set_container(container);
            },
            Stats::read
        )
        .await
    }

    /// Its processes.
    pub async fn top(&self, call: &Call, container: &str) -> Result<Vec<Process>, Failure> {
        request!(
            self,
            call,
            top_request,
            |params| {
                params.set_container(container);
            },
            |answer| list(answer.get_processes())
        )
        .await
    }

    /// What happened to containers; waits for it if there is nothing yet.
    pub async fn events(&self, call: &Call, after: u64, since: i64, wait_ms: u32) -> Result<EventList, Failure> {
        request!(
            self,
            call,
            events_request,
            |params| {
                params.set_after(after);
                params.set_since(since);
                params.set_wait_ms(wait_ms);
            },
            EventList::read
        )
        .await
    }

    /// Runs a further process in it.
    pub async fn exec(
        &self,
        call: &Call,
        container: &str,
        exec: &ContainerId,
        spec: &ExecSpec,
    ) -> Result<Exec, Failure> {
        request!(
            self,
            call,
            exec_request,
            |params| {
                params.set_container(container);
                params.set_exec(exec.as_str());
                spec.write(params.reborrow().init_spec());
            },
            Exec::read
        )
        .await
    }

    /// Answers when a further process has ended.
    pub async fn exec_wait(&self, call: &Call, exec: &ContainerId) -> Result<ExitRecord, Failure> {
        request!(
            self,
            call,
            exec_wait_request,
            |params| {
                params.set_exec(exec.as_str());
            },
            ExitRecord::read
        )
        .await
    }

    /// Sets the size of the terminal of a further process.
    pub async fn exec_resize(&self, call: &Call, exec: &ContainerId, rows: u16, columns: u16) -> Result<(), Failure> {
        request!(
            self,
            call,
            exec_resize_request,
            |params| {
                params.set_exec(exec.as_str());
                params.set_rows(rows);
                params.set_columns(columns);
            },
            |_| Ok(())
        )
        .await
    }

    /// Renews the lease of the client of a further process.
    pub async fn exec_keep(&self, call: &Call, exec: &ContainerId, lease_ms: u32) -> Result<(), Failure> {
        request!(
            self,
            call,
            exec_keep_request,
            |params| {
                params.set_exec(exec.as_str());
                params.set_lease_ms(lease_ms);
            },
            |_| Ok(())
        )
        .await
    }

    /// How its files differ from its image.
    pub async fn changes(
        &self,
        call: &Call,
        container: &str,
        after: &[u8],
        max_count: u32,
    ) -> Result<ChangeList, Failure> {
        request!(
            self,
            call,
            changes_request,
            |params| {
                params.set_container(container);
                params.set_after(after);
                params.set_max_count(max_count);
            },
            ChangeList::read
        )
        .await
    }

    /// A part of a tar archive of its files.
    pub async fn archive(
        &self,
        call: &Call,
        container: &str,
        request: &ArchiveRequest,
        cursor: &[u8],
        max_bytes: u32,
    ) -> Result<ArchiveChunk, Failure> {
        request!(
            self,
            call,
            archive_request,
            |params| {
                params.set_container(container);
                request.write(params.reborrow().init_request());
                params.set_cursor(cursor);
                params.set_max_bytes(max_bytes);
            },
            ArchiveChunk::read
        )
        .await
    }

    /// Unpacks an upload of the image store into it.
    pub async fn extract(&self, call: &Call, container: &str, request: &ExtractRequest) -> Result<(), Failure> {
        request!(
            self,
            call,
            extract_request,
            |params| {
                params.set_container(container);
                request.write(params.reborrow().init_request());
            },
            |_| Ok(())
        )
        .await
    }

    /// What lies at one of its paths.
    pub async fn stat(&self, call: &Call, container: &str, path: &str) -> Result<PathStat, Failure> {
        request!(
            self,
            call,
            stat_request,
            |params| {
                params.set_container(container);
                params.set_path(path);
            },
            PathStat::read
        )
        .await
    }

    /// Makes an image of it.
    pub async fn commit(
        &self,
        call: &Call,
        container: &str,
        upload: &str,
        spec: &CommitSpec,
    ) -> Result<Image, Failure> {
        request!(
            self,
            call,
            commit_request,
            |params| {
                params.set_container(container);
                params.set_upload(upload);
                spec.write(params.reborrow().init_spec());
            },
            Image::read
        )
        .await
    }

    /// What its writable layer takes on disk.
    pub async fn usage(&self, call: &Call, container: &str) -> Result<Usage, Failure> {
        request!(
            self,
            call,
            usage_request,
            |params| {
                params.set_container(container);
            },
            Usage::read
        )
        .await
    }

    /// Verifies the records and what the filesystem service stores, and mends what can be.
    pub async fn check(&self, call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        request!(self, call, check_request, |params| params.set_repair(repair), CheckReport::read).await
    }
}
