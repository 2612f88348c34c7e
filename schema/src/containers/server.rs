//! What a container manager implements.

use super::model::{CommitSpec, Container, ContainerSpec, EventList, Exec, ExecSpec, Info};
use crate::bindings::containers_capnp::containers as wire;
use crate::common::{About, CheckReport, ExitRecord};
use crate::executor::{Process, Stats};
use crate::filesystem::{ArchiveChunk, ArchiveRequest, ChangeList, ExtractRequest, PathStat, Usage};
use crate::image_store::Image;

use crate::rpc::{answer, answer_hello};
use crate::wire::{Wire, length, set_list, set_list_of, text};
use crate::{Call, ContainerId, Failure};
use std::borrow::Borrow;
use std::rc::Rc;

/// The methods of the container manager in domain types; the contract describes each.
#[allow(async_fn_in_trait)]
pub trait Server: 'static {
    /// A container in a list: itself, or what has it.
    type Listed: Borrow<Container>;
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
    /// Answers when its run has ended; a manager that does not distinguish answers when it is cleaned up, too.
    async fn ended(&self, call: &Call, container: String) -> Result<Container, Failure> {
        self.wait(call, container).await
    }
    /// All containers, newest first.
    async fn list(&self, call: &Call) -> Result<Vec<Self::Listed>, Failure>;
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
    /// Gives a container another name.
    async fn rename(&self, call: &Call, container: String, new_name: String) -> Result<Container, Failure> {
        let _ = (call, container, new_name);
        Err(crate::rpc::missing("containers.rename"))
    }
    /// Stops all its processes where they are.
    async fn pause(&self, call: &Call, container: String) -> Result<Container, Failure> {
        let _ = (call, container);
        Err(crate::rpc::missing("containers.pause"))
    }
    /// Lets a paused container go on.
    async fn unpause(&self, call: &Call, container: String) -> Result<Container, Failure> {
        let _ = (call, container);
        Err(crate::rpc::missing("containers.unpause"))
    }
    /// What it has used and uses.
    async fn stats(&self, call: &Call, container: String) -> Result<Stats, Failure> {
        let _ = (call, container);
        Err(crate::rpc::missing("containers.stats"))
    }
    /// Its processes.
    async fn top(&self, call: &Call, container: String) -> Result<Vec<Process>, Failure> {
        let _ = (call, container);
        Err(crate::rpc::missing("containers.top"))
    }
    /// What happened to containers; waits for it if there is nothing yet.
    async fn events(&self, call: &Call, after: u64, since: i64, wait_ms: u32) -> Result<EventList, Failure> {
        let _ = (call, after, since, wait_ms);
        Err(crate::rpc::missing("containers.events"))
    }
    /// Runs a further process in it.
    async fn exec(&self, call: &Call, container: String, exec: ContainerId, spec: ExecSpec) -> Result<Exec, Failure> {
        let _ = (call, container, exec, spec);
        Err(crate::rpc::missing("containers.exec"))
    }
    /// Answers when a further process has ended.
    async fn exec_wait(&self, call: &Call, exec: ContainerId) -> Result<ExitRecord, Failure> {
        let _ = (call, exec);
        Err(crate::rpc::missing("containers.exec_wait"))
    }
    /// Sets the size of the terminal of a further process.
    async fn exec_resize(&self, call: &Call, exec: ContainerId, rows: u16, columns: u16) -> Result<(), Failure> {
        let _ = (call, exec, rows, columns);
        Err(crate::rpc::missing("containers.exec_resize"))
    }
    /// Renews the lease of the client of a further process.
    async fn exec_keep(&self, call: &Call, exec: ContainerId, lease_ms: u32) -> Result<(), Failure> {
        let _ = (call, exec, lease_ms);
        Err(crate::rpc::missing("containers.exec_keep"))
    }
    /// How its files differ from its image.
    async fn changes(
        &self,
        call: &Call,
        container: String,
        after: Vec<u8>,
        max_count: u32,
    ) -> Result<ChangeList, Failure> {
        let _ = (call, container, after, max_count);
        Err(crate::rpc::missing("containers.changes"))
    }
    /// A part of a tar archive of its files.
    async fn archive(
        &self,
        call: &Call,
        container: String,
        request: ArchiveRequest,
        cursor: Vec<u8>,
        max_bytes: u32,
    ) -> Result<ArchiveChunk, Failure> {
        let _ = (call, container, request, cursor, max_bytes);
        Err(crate::rpc::missing("containers.archive"))
    }
    /// Unpacks an upload of the image store into it.
    async fn extract(&self, call: &Call, container: String, request: ExtractRequest) -> Result<(), Failure> {
        let _ = (call, container, request);
        Err(crate::rpc::missing("containers.extract"))
    }
    /// What lies at one of its paths.
    async fn stat(&self, call: &Call, container: String, path: String) -> Result<PathStat, Failure> {
        let _ = (call, container, path);
        Err(crate::rpc::missing("containers.stat"))
    }
    /// Makes an image of it.
    async fn commit(&self, call: &Call, container: String, upload: String, spec: CommitSpec) -> Result<Image, Failure> {
        let _ = (call, container, upload, spec);
        Err(crate::rpc::missing("containers.commit"))
    }
    /// What its writable layer takes on disk.
    async fn usage(&self, call: &Call, container: String) -> Result<Usage, Failure> {
        let _ = (call, container);
        Err(crate::rpc::missing("containers.usage"))
    }
    /// Verifies the records and what the filesystem service stores, and mends what can be.
    async fn check(&self, call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        let _ = (call, repair);
        Err(crate::rpc::missing("containers.check"))
    }
    /// An id for a container that is about to be created and started.
    async fn offer(&self, call: &Call, spec: ContainerSpec) -> Result<ContainerId, Failure> {
        let _ = (call, spec);
        Err(crate::rpc::missing("containers.offer"))
    }
    /// Records a container and runs it.
    async fn run(&self, call: &Call, id: ContainerId, spec: ContainerSpec) -> Result<Container, Failure> {
        let _ = (call, id, spec);
        Err(crate::rpc::missing("containers.run"))
    }
    /// Removes the sandboxes that stand ready.
    async fn stand_down(&self, call: &Call) -> Result<(), Failure> {
        let _ = call;
        Err(crate::rpc::missing("containers.stand_down"))
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
        answer!(params, results, "containers.list", |call, p| self.api.list(&call).await, |values, builder| {
            set_list_of::<Container>(builder.init_containers(length(&values)), &values);
        })
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

    async fn stand_down(
        self: Rc<Self>,
        params: wire::StandDownParams,
        mut results: wire::StandDownResults,
    ) -> capnp::Result<()> {
        answer!(params, results, "containers.stand_down", |call, p| self.api.stand_down(&call).await, |(), _| ())
    }

    async fn ended(self: Rc<Self>, params: wire::EndedParams, mut results: wire::EndedResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.ended",
            |call, p| self.api.ended(&call, text(p.get_container())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn run(self: Rc<Self>, params: wire::RunParams, mut results: wire::RunResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.run",
            |call, p| self.api.run(&call, text(p.get_id())?.parse()?, ContainerSpec::read(p.get_spec()?)?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn offer(self: Rc<Self>, params: wire::OfferParams, mut results: wire::OfferResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.offer",
            |call, p| self.api.offer(&call, ContainerSpec::read(p.get_spec()?)?).await,
            |id, mut builder| builder.set_id(id.as_str())
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

    async fn rename(self: Rc<Self>, params: wire::RenameParams, mut results: wire::RenameResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.rename",
            |call, p| self.api.rename(&call, text(p.get_container())?, text(p.get_new_name())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn pause(self: Rc<Self>, params: wire::PauseParams, mut results: wire::PauseResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.pause",
            |call, p| self.api.pause(&call, text(p.get_container())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn unpause(
        self: Rc<Self>,
        params: wire::UnpauseParams,
        mut results: wire::UnpauseResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.unpause",
            |call, p| self.api.unpause(&call, text(p.get_container())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn stats(self: Rc<Self>, params: wire::StatsParams, mut results: wire::StatsResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.stats",
            |call, p| self.api.stats(&call, text(p.get_container())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn top(self: Rc<Self>, params: wire::TopParams, mut results: wire::TopResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.top",
            |call, p| self.api.top(&call, text(p.get_container())?).await,
            |values, builder| set_list(builder.init_processes(length(&values)), &values)
        )
    }

    async fn events(self: Rc<Self>, params: wire::EventsParams, mut results: wire::EventsResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.events",
            |call, p| self.api.events(&call, p.get_after(), p.get_since(), p.get_wait_ms()).await,
            |value, builder| value.write(builder)
        )
    }

    async fn exec(self: Rc<Self>, params: wire::ExecParams, mut results: wire::ExecResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.exec",
            |call, p| self
                .api
                .exec(&call, text(p.get_container())?, text(p.get_exec())?.parse()?, ExecSpec::read(p.get_spec()?)?)
                .await,
            |value, builder| value.write(builder)
        )
    }

    async fn exec_wait(
        self: Rc<Self>,
        params: wire::ExecWaitParams,
        mut results: wire::ExecWaitResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.exec_wait",
            |call, p| self.api.exec_wait(&call, text(p.get_exec())?.parse()?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn exec_resize(
        self: Rc<Self>,
        params: wire::ExecResizeParams,
        mut results: wire::ExecResizeResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.exec_resize",
            |call, p| self.api.exec_resize(&call, text(p.get_exec())?.parse()?, p.get_rows(), p.get_columns()).await,
            |(), _| ()
        )
    }

    async fn exec_keep(
        self: Rc<Self>,
        params: wire::ExecKeepParams,
        mut results: wire::ExecKeepResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.exec_keep",
            |call, p| self.api.exec_keep(&call, text(p.get_exec())?.parse()?, p.get_lease_ms()).await,
            |(), _| ()
        )
    }

    async fn changes(
        self: Rc<Self>,
        params: wire::ChangesParams,
        mut results: wire::ChangesResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.changes",
            |call, p| self
                .api
                .changes(&call, text(p.get_container())?, p.get_after()?.to_vec(), p.get_max_count())
                .await,
            |value, builder| value.write(builder)
        )
    }

    async fn archive(
        self: Rc<Self>,
        params: wire::ArchiveParams,
        mut results: wire::ArchiveResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.archive",
            |call, p| self
                .api
                .archive(
                    &call,
                    text(p.get_container())?,
                    ArchiveRequest::read(p.get_request()?)?,
                    p.get_cursor()?.to_vec(),
                    p.get_max_bytes()
                )
                .await,
            |value, builder| value.write(builder)
        )
    }

    async fn extract(
        self: Rc<Self>,
        params: wire::ExtractParams,
        mut results: wire::ExtractResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.extract",
            |call, p| self.api.extract(&call, text(p.get_container())?, ExtractRequest::read(p.get_request()?)?).await,
            |(), _| ()
        )
    }

    async fn stat(self: Rc<Self>, params: wire::StatParams, mut results: wire::StatResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.stat",
            |call, p| self.api.stat(&call, text(p.get_container())?, text(p.get_path())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn commit(self: Rc<Self>, params: wire::CommitParams, mut results: wire::CommitResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.commit",
            |call, p| self
                .api
                .commit(&call, text(p.get_container())?, text(p.get_upload())?, CommitSpec::read(p.get_spec()?)?)
                .await,
            |value, builder| value.write(builder)
        )
    }

    async fn usage(self: Rc<Self>, params: wire::UsageParams, mut results: wire::UsageResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.usage",
            |call, p| self.api.usage(&call, text(p.get_container())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn check(self: Rc<Self>, params: wire::CheckParams, mut results: wire::CheckResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "containers.check",
            |call, p| self.api.check(&call, p.get_repair()).await,
            |value, builder| value.write(builder)
        )
    }
}
