//! The contract of `containers`, served.

use crate::container::{Handle, Keep, Shared, View};
use crate::exec::{self, ExecHandle, KeepExec};
use crate::record::Record;
use crate::registry::{Damaged, Departed, Find, Registry, Views};
use crate::spares::Close;
use crate::workers::STEP;
use crate::{check, creation, decide, lookup, operations, removal, shut_down, spares, watching};
use actix::Addr;
use kit::actor::ask;
use schema::common::{CheckReport, ExitRecord};
use schema::containers::{CommitSpec, Container, ContainerSpec, EventList, Exec, ExecSpec, Info, Server};
use schema::executor::{Process, Stats};
use schema::filesystem::{ArchiveChunk, ArchiveRequest, ChangeList, ExtractRequest, PathStat, Usage};
use schema::image_store::Image;
use schema::{Call, Code, ContainerId, Failure};
use std::rc::Rc;
use std::time::Duration;

/// What is served to each client who may do everything.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) registry: Addr<Registry>,
    pub(crate) shared: Rc<Shared>,
}

impl Api {
    async fn find(&self, reference: &str) -> Result<Handle, Failure> {
        ask(&self.registry, Find(reference.to_owned())).await
    }

    /// The container that is meant, or the last that is known of it: an answer may be lost, and the container
    /// be gone by itself when its caller asks again.
    async fn find_or_last(&self, reference: &str) -> Result<Result<Handle, Record>, Failure> {
        match self.find(reference).await {
            Err(failure) if failure.code == Code::NotFound => {
                match ask(&self.registry, Departed(reference.to_owned())).await? {
                    Some(record) => Ok(Err(Record::clone(&record))),
                    None => Err(failure),
                }
            }
            found => found.map(Ok),
        }
    }

    /// The container that is meant, or the last of it, if it has removed itself after `by_this` request.
    async fn find_or_done(
        &self,
        reference: &str,
        by_this: impl Fn(&Record) -> bool,
    ) -> Result<Result<Handle, Record>, Failure> {
        match self.find_or_last(reference).await? {
            Err(record) if !by_this(&record) => Err(lookup::unknown(reference)),
            found => Ok(found),
        }
    }

    /// A container whose processes can be asked something.
    async fn running(&self, reference: &str) -> Result<View, Failure> {
        let view = self.find(reference).await?.until_live().await?;
        if view.phase().is_running() { Ok(view) } else { Err(decide::not_running(&view.record)) }
    }

    pub(crate) async fn find_exec(&self, id: ContainerId) -> Result<ExecHandle, Failure> {
        ask(&self.shared.execs, exec::Find(id)).await
    }

    async fn freeze(&self, call: &Call, container: &str, is_paused: bool) -> Result<Container, Failure> {
        let (handle, workers, call) = (self.find(container).await?, self.shared.workers.clone(), call.limited(STEP));
        let paused = async move { operations::pause(&handle, &workers, &call, is_paused).await };
        Ok(operations::detached(paused).await?.container())
    }
}

impl Server for Api {
    type Listed = View;

    async fn create(&self, call: &Call, id: ContainerId, spec: ContainerSpec) -> Result<Container, Failure> {
        let (shared, registry) = (Rc::clone(&self.shared), self.registry.clone());
        let new = creation::New { call: *call, id, spec };
        let handle = operations::detached(creation::create(shared, registry, new)).await?;
        Ok(handle.now().container())
    }

    async fn run(&self, call: &Call, id: ContainerId, spec: ContainerSpec) -> Result<Container, Failure> {
        let (shared, registry) = (Rc::clone(&self.shared), self.registry.clone());
        let new = creation::New { call: *call, id, spec };
        operations::detached(creation::run(shared, registry, new)).await
    }

    async fn stand_down(&self, _: &Call) -> Result<(), Failure> {
        ask(&self.shared.spares, Close).await.map(drop)
    }

    async fn offer(&self, _: &Call, _: ContainerSpec) -> Result<ContainerId, Failure> {
        // Between two calls its user may put files into it, and its image may become another: what stands ready is for `run`.
        spares::random()
    }

    async fn start(&self, call: &Call, container: String) -> Result<Container, Failure> {
        let request = call.request;
        match self.find_or_last(&container).await? {
            Ok(handle) => Ok(operations::detached(operations::start(handle, request)).await?.container()),
            Err(record) if record.started_by(request) => match record.start_failure() {
                Some(failure) => Err(failure),
                None => Ok(record.container),
            },
            Err(_) => Err(crate::lookup::unknown(&container)),
        }
    }

    async fn stop(&self, call: &Call, container: String, timeout_ms: u32) -> Result<Container, Failure> {
        let handle = match self.find_or_done(&container, |record| record.stopped_by(call.request)).await? {
            Ok(handle) => handle,
            Err(record) => return Ok(record.container),
        };
        Ok(operations::detached(operations::stop(handle, call.request, timeout_ms)).await?.container())
    }

    async fn kill(&self, call: &Call, container: String, signal: i32) -> Result<Container, Failure> {
        let by_this = |record: &Record| record.signalled_by(call.request) || record.stopped_by(call.request);
        let (handle, workers) = match self.find_or_done(&container, by_this).await? {
            Ok(handle) => (handle, self.shared.workers.clone()),
            Err(record) => return Ok(record.container),
        };
        Ok(operations::detached(operations::kill(handle, workers, call.limited(STEP), signal)).await?.container())
    }

    async fn restart(&self, call: &Call, container: String, timeout_ms: u32) -> Result<Container, Failure> {
        let handle = self.find(&container).await?;
        Ok(operations::detached(operations::restart(handle, call.request, timeout_ms)).await?.container())
    }

    async fn wait(&self, _: &Call, container: String) -> Result<Container, Failure> {
        match self.find_or_last(&container).await? {
            Ok(handle) => Ok(operations::wait(handle).await.container()),
            Err(record) => Ok(record.container),
        }
    }

    async fn ended(&self, _: &Call, container: String) -> Result<Container, Failure> {
        match self.find_or_last(&container).await? {
            Ok(handle) => Ok(operations::ended(handle).await.container()),
            Err(record) => Ok(record.container),
        }
    }

    async fn remove(&self, call: &Call, container: String, force: bool) -> Result<(), Failure> {
        if force && let Some((id, damage)) = ask(&self.registry, Damaged(container.clone())).await? {
            let (shared, registry) = (Rc::clone(&self.shared), self.registry.clone());
            return operations::detached(removal::damaged(shared, registry, id, damage)).await;
        }
        let handle = self.find(&container).await?;
        operations::detached(operations::remove(handle, call.request, force)).await
    }

    async fn list(&self, _: &Call) -> Result<Vec<View>, Failure> {
        let views = ask(&self.registry, Views).await?.into_iter().map(|(_, view)| view);
        let mut views: Vec<_> = views.filter(View::is_shown).collect();
        views.sort_by(|one, other| other.record.creation().cmp(&one.record.creation()));
        Ok(views)
    }

    async fn inspect(&self, _: &Call, container: String) -> Result<Container, Failure> {
        Ok(self.find(&container).await?.now().container())
    }

    async fn resize(&self, call: &Call, container: String, rows: u16, columns: u16) -> Result<(), Failure> {
        let view = self.find(&container).await?.now();
        if !view.phase().is_running() {
            return Err(decide::not_running(&view.record));
        }
        if !view.record.container.spec.terminal {
            return Err(Failure::conflict(format_args!("container {:?} has no terminal", view.record.name()))
                .hint("create it with -t"));
        }
        self.shared.workers.executor.resize(call, view.record.id(), rows, columns).await
    }

    async fn keep(&self, _: &Call, container: String, lease_ms: u32) -> Result<(), Failure> {
        self.find(&container).await?.ask(Keep(Duration::from_millis(lease_ms.into()))).await
    }

    async fn shut_down(&self, call: &Call, timeout_ms: u32) -> Result<(), Failure> {
        let (shared, registry) = (Rc::clone(&self.shared), self.registry.clone());
        operations::detached(shut_down::run(shared, registry, call.request, timeout_ms)).await
    }

    async fn info(&self, call: &Call) -> Result<Info, Failure> {
        let views = ask(&self.registry, Views).await?;
        let network = self.shared.workers.network.info(call).await?;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let running = views.iter().filter(|(_, view): &&(Handle, View)| view.phase().is_running()).count();
        let shown = views.iter().filter(|(_, view)| view.is_shown()).count();
        Ok(Info { containers: count(shown), running: count(running), network })
    }

    async fn rename(&self, _: &Call, container: String, new_name: String) -> Result<Container, Failure> {
        let (handle, registry) = (self.find(&container).await?, self.registry.clone());
        let workers = self.shared.workers.clone();
        Ok(operations::detached(operations::rename(handle, registry, workers, new_name)).await?.container())
    }

    async fn pause(&self, call: &Call, container: String) -> Result<Container, Failure> {
        self.freeze(call, &container, true).await
    }

    async fn unpause(&self, call: &Call, container: String) -> Result<Container, Failure> {
        self.freeze(call, &container, false).await
    }

    async fn stats(&self, call: &Call, container: String) -> Result<Stats, Failure> {
        let view = self.running(&container).await?;
        self.shared.workers.executor.stats(call, view.record.id()).await
    }

    async fn top(&self, call: &Call, container: String) -> Result<Vec<Process>, Failure> {
        let view = self.running(&container).await?;
        self.shared.workers.executor.processes(call, view.record.id()).await
    }

    async fn events(&self, _: &Call, after: u64, since: i64, wait_ms: u32) -> Result<EventList, Failure> {
        watching::events(&self.shared.journal, after, since, Duration::from_millis(wait_ms.into())).await
    }

    async fn exec(&self, call: &Call, container: String, exec: ContainerId, spec: ExecSpec) -> Result<Exec, Failure> {
        let handle = self.find(&container).await?;
        operations::detached(operations::exec(Rc::clone(&self.shared), handle, call.request, exec, spec)).await
    }

    async fn exec_wait(&self, _: &Call, exec: ContainerId) -> Result<ExitRecord, Failure> {
        self.find_exec(exec).await?.ended().await
    }

    async fn exec_resize(&self, call: &Call, exec: ContainerId, rows: u16, columns: u16) -> Result<(), Failure> {
        let exec = self.find_exec(exec).await?.now().record;
        if !exec.requested.terminal {
            return Err(
                Failure::conflict(format_args!("exec {} has no terminal", exec.id.short())).hint("run it with -t")
            );
        }
        self.shared.workers.executor.resize(call, &exec.id, rows, columns).await
    }

    async fn exec_keep(&self, _: &Call, exec: ContainerId, lease_ms: u32) -> Result<(), Failure> {
        self.find_exec(exec).await?.ask(KeepExec(Duration::from_millis(lease_ms.into()))).await
    }

    async fn changes(
        &self,
        call: &Call,
        container: String,
        after: Vec<u8>,
        max_count: u32,
    ) -> Result<ChangeList, Failure> {
        let (handle, files) = (self.find(&container).await?, &self.shared.workers.filesystem);
        operations::in_place(&handle, async |place| files.changes(call, place, &after, max_count).await).await
    }

    async fn archive(
        &self,
        call: &Call,
        container: String,
        request: ArchiveRequest,
        cursor: Vec<u8>,
        max_bytes: u32,
    ) -> Result<ArchiveChunk, Failure> {
        let (handle, files) = (self.find(&container).await?, &self.shared.workers.filesystem);
        operations::in_place(&handle, async |place| files.archive(call, place, &request, &cursor, max_bytes).await)
            .await
    }

    async fn extract(&self, call: &Call, container: String, request: ExtractRequest) -> Result<(), Failure> {
        let (handle, files) = (self.find(&container).await?, &self.shared.workers.filesystem);
        operations::in_place(&handle, async |place| files.extract(call, place, &request).await).await
    }

    async fn stat(&self, call: &Call, container: String, path: String) -> Result<PathStat, Failure> {
        let (handle, files) = (self.find(&container).await?, &self.shared.workers.filesystem);
        operations::in_place(&handle, async |place| files.stat(call, place, &path).await).await
    }

    async fn commit(&self, call: &Call, container: String, upload: String, spec: CommitSpec) -> Result<Image, Failure> {
        let (handle, workers) = (self.find(&container).await?, self.shared.workers.clone());
        operations::detached(operations::commit(handle, workers, *call, upload, spec)).await
    }

    async fn usage(&self, call: &Call, container: String) -> Result<Usage, Failure> {
        let view = self.find(&container).await?.now();
        self.shared.workers.filesystem.usage(call, view.record.id()).await
    }

    async fn check(&self, call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        check::run(Rc::clone(&self.shared), self.registry.clone(), *call, repair).await
    }
}
