//! What somebody is handed who is neither admin nor service: the contract, with those containers in it that he sees.
//!
//! Of the methods he has those of his verbs (`kit`'s guard). Here is decided which containers there are for him, what may
//! be done with each, and what a new one may be made with.

mod new;

use crate::api::Api;
use crate::lookup;
use crate::registry::{Departed, Views};
use kit::actor::ask;
use schema::access::{Rights, Verb, verbs};
use schema::common::{CheckReport, ExitRecord};
use schema::containers::{CommitSpec, Container, ContainerSpec, EventList, Exec, ExecSpec, Info, Server};
use schema::executor::{Process, Stats};
use schema::filesystem::{ArchiveChunk, ArchiveRequest, ChangeList, ExtractRequest, PathStat, Usage};
use schema::image_store::Image;
use schema::{Call, Code, ContainerId, Failure};
use std::rc::Rc;

/// The served object.
pub(crate) struct Confined {
    api: Api,
    rights: Rc<Rights>,
}

/// The capability has no such method, or not for this container.
fn absent(method: &str) -> Failure {
    Failure::permission_denied(format_args!("{method} was not granted")).hint("an admin may grant it in access.toml")
}

impl Confined {
    pub(crate) fn new(api: Api, rights: Rc<Rights>) -> Self {
        Self { api, rights }
    }

    /// The whole id of the container that is meant, if this may be done with it. Those that he does not see are not there
    /// for him: neither by name, nor as what makes a prefix ambiguous.
    async fn own(&self, reference: String, method: &str) -> Result<String, Failure> {
        let views = ask(&self.api.registry, Views).await?;
        let visible = views.iter().map(|(_, view)| &view.record).filter(|record| self.rights.see(labels(record)));
        if let Some(record) = visible.clone().find(|record| record.has_id(&reference)) {
            return self.check(labels(record), method).map(|()| record.id().as_str().to_owned());
        }
        match lookup::find(&reference, visible.clone().map(|record| (record.id(), record.name()))) {
            Ok(id) => match visible.clone().find(|record| record.id() == id) {
                Some(record) => self.check(labels(record), method).map(|()| id.as_str().to_owned()),
                None => Err(lookup::unknown(&reference)),
            },
            // One that has just removed itself.
            Err(failure) if failure.code == Code::NotFound => {
                match ask(&self.api.registry, Departed(reference.clone())).await? {
                    Some(record) if self.rights.see(labels(&record)) => {
                        self.check(labels(&record), method).map(|()| reference)
                    }
                    _ => Err(failure),
                }
            }
            Err(failure) => Err(failure),
        }
    }

    fn check(&self, labels: &[String], method: &str) -> Result<(), Failure> {
        if self.rights.allow(verbs(method), labels) { Ok(()) } else { Err(absent(method)) }
    }

    /// An exec, if this may be done with its container.
    async fn own_exec(&self, exec: ContainerId, method: &str) -> Result<ContainerId, Failure> {
        let container = self.api.find_exec(exec.clone()).await?.now().record.container.clone();
        match self.own(container.as_str().to_owned(), method).await {
            Ok(_) => Ok(exec),
            Err(failure) if failure.code == Code::NotFound => Err(crate::exec::unknown(&exec)),
            Err(failure) => Err(failure),
        }
    }

    /// What is shown of a container: its environment only to those who may inspect it, because there are secrets in it.
    fn shown(&self, mut container: Container) -> Container {
        if !self.rights.allow(&[Verb::Inspect], &container.spec.labels) {
            container.spec.environment.clear();
        }
        container
    }
}

fn labels(record: &crate::record::Record) -> &[String] {
    &record.container.spec.labels
}

impl Server for Confined {
    type Listed = Container;

    async fn create(&self, call: &Call, id: ContainerId, spec: ContainerSpec) -> Result<Container, Failure> {
        let spec = new::confined(spec, &self.rights)?;
        Ok(self.shown(self.api.create(call, id, spec).await?))
    }

    async fn run(&self, call: &Call, id: ContainerId, spec: ContainerSpec) -> Result<Container, Failure> {
        let spec = new::confined(spec, &self.rights)?;
        self.check(&spec.labels, "containers.start")?;
        Ok(self.shown(self.api.run(call, id, spec).await?))
    }

    async fn offer(&self, call: &Call, spec: ContainerSpec) -> Result<ContainerId, Failure> {
        self.api.offer(call, new::confined(spec, &self.rights)?).await
    }

    async fn start(&self, call: &Call, container: String) -> Result<Container, Failure> {
        let container = self.own(container, "containers.start").await?;
        Ok(self.shown(self.api.start(call, container).await?))
    }

    async fn stop(&self, call: &Call, container: String, timeout_ms: u32) -> Result<Container, Failure> {
        let container = self.own(container, "containers.stop").await?;
        Ok(self.shown(self.api.stop(call, container, timeout_ms).await?))
    }

    async fn kill(&self, call: &Call, container: String, signal: i32) -> Result<Container, Failure> {
        let container = self.own(container, "containers.kill").await?;
        Ok(self.shown(self.api.kill(call, container, signal).await?))
    }

    async fn restart(&self, call: &Call, container: String, timeout_ms: u32) -> Result<Container, Failure> {
        let container = self.own(container, "containers.restart").await?;
        Ok(self.shown(self.api.restart(call, container, timeout_ms).await?))
    }

    async fn wait(&self, call: &Call, container: String) -> Result<Container, Failure> {
        let container = self.own(container, "containers.wait").await?;
        Ok(self.shown(self.api.wait(call, container).await?))
    }

    async fn ended(&self, call: &Call, container: String) -> Result<Container, Failure> {
        let container = self.own(container, "containers.ended").await?;
        Ok(self.shown(self.api.ended(call, container).await?))
    }

    async fn remove(&self, call: &Call, container: String, force: bool) -> Result<(), Failure> {
        let container = self.own(container, "containers.remove").await?;
        self.api.remove(call, container, force).await
    }

    async fn list(&self, call: &Call) -> Result<Vec<Container>, Failure> {
        let all = self.api.list(call).await?.into_iter();
        let verbs = verbs("containers.list");
        let own = all.filter(|view| self.rights.allow(verbs, &view.record.container.spec.labels));
        Ok(own.map(|view| self.shown(view.container())).collect())
    }

    async fn inspect(&self, call: &Call, container: String) -> Result<Container, Failure> {
        let container = self.own(container, "containers.inspect").await?;
        Ok(self.shown(self.api.inspect(call, container).await?))
    }

    async fn resize(&self, call: &Call, container: String, rows: u16, columns: u16) -> Result<(), Failure> {
        let container = self.own(container, "containers.resize").await?;
        self.api.resize(call, container, rows, columns).await
    }

    async fn keep(&self, call: &Call, container: String, lease_ms: u32) -> Result<(), Failure> {
        let container = self.own(container, "containers.keep").await?;
        self.api.keep(call, container, lease_ms).await
    }

    async fn shut_down(&self, _: &Call, _: u32) -> Result<(), Failure> {
        Err(absent("containers.shutDown"))
    }

    async fn stand_down(&self, _: &Call) -> Result<(), Failure> {
        Err(absent("containers.standDown"))
    }

    async fn info(&self, call: &Call) -> Result<Info, Failure> {
        // It is about all containers: only who sees them all has it.
        if self.rights.viewer { self.api.info(call).await } else { Err(absent("containers.info")) }
    }

    async fn rename(&self, call: &Call, container: String, new_name: String) -> Result<Container, Failure> {
        let container = self.own(container, "containers.rename").await?;
        Ok(self.shown(self.api.rename(call, container, new_name).await?))
    }

    async fn pause(&self, call: &Call, container: String) -> Result<Container, Failure> {
        let container = self.own(container, "containers.pause").await?;
        Ok(self.shown(self.api.pause(call, container).await?))
    }

    async fn unpause(&self, call: &Call, container: String) -> Result<Container, Failure> {
        let container = self.own(container, "containers.unpause").await?;
        Ok(self.shown(self.api.unpause(call, container).await?))
    }

    async fn stats(&self, call: &Call, container: String) -> Result<Stats, Failure> {
        let container = self.own(container, "containers.stats").await?;
        self.api.stats(call, container).await
    }

    async fn top(&self, call: &Call, container: String) -> Result<Vec<Process>, Failure> {
        let container = self.own(container, "containers.top").await?;
        self.api.top(call, container).await
    }

    async fn events(&self, call: &Call, after: u64, since: i64, wait_ms: u32) -> Result<EventList, Failure> {
        if self.rights.viewer {
            self.api.events(call, after, since, wait_ms).await
        } else {
            Err(absent("containers.events"))
        }
    }

    async fn exec(&self, call: &Call, container: String, exec: ContainerId, spec: ExecSpec) -> Result<Exec, Failure> {
        let container = self.own(container, "containers.exec").await?;
        let labels = self.api.inspect(call, container.clone()).await?.spec.labels;
        new::check_exec(&spec, &labels, &self.rights)?;
        self.api.exec(call, container, exec, spec).await
    }

    async fn exec_wait(&self, call: &Call, exec: ContainerId) -> Result<ExitRecord, Failure> {
        let exec = self.own_exec(exec, "containers.execWait").await?;
        self.api.exec_wait(call, exec).await
    }

    async fn exec_resize(&self, call: &Call, exec: ContainerId, rows: u16, columns: u16) -> Result<(), Failure> {
        let exec = self.own_exec(exec, "containers.execResize").await?;
        self.api.exec_resize(call, exec, rows, columns).await
    }

    async fn exec_keep(&self, call: &Call, exec: ContainerId, lease_ms: u32) -> Result<(), Failure> {
        let exec = self.own_exec(exec, "containers.execKeep").await?;
        self.api.exec_keep(call, exec, lease_ms).await
    }

    async fn changes(
        &self,
        call: &Call,
        container: String,
        after: Vec<u8>,
        max_count: u32,
    ) -> Result<ChangeList, Failure> {
        let container = self.own(container, "containers.changes").await?;
        self.api.changes(call, container, after, max_count).await
    }

    async fn archive(
        &self,
        call: &Call,
        container: String,
        request: ArchiveRequest,
        cursor: Vec<u8>,
        max_bytes: u32,
    ) -> Result<ArchiveChunk, Failure> {
        let container = self.own(container, "containers.archive").await?;
        self.api.archive(call, container, request, cursor, max_bytes).await
    }

    async fn extract(&self, call: &Call, container: String, request: ExtractRequest) -> Result<(), Failure> {
        let container = self.own(container, "containers.extract").await?;
        self.api.extract(call, container, request).await
    }

    async fn stat(&self, call: &Call, container: String, path: String) -> Result<PathStat, Failure> {
        let container = self.own(container, "containers.stat").await?;
        self.api.stat(call, container, path).await
    }

    async fn commit(&self, call: &Call, container: String, upload: String, spec: CommitSpec) -> Result<Image, Failure> {
        let container = self.own(container, "containers.commit").await?;
        self.api.commit(call, container, upload, spec).await
    }

    async fn usage(&self, call: &Call, container: String) -> Result<Usage, Failure> {
        let container = self.own(container, "containers.usage").await?;
        self.api.usage(call, container).await
    }

    async fn check(&self, _: &Call, _: bool) -> Result<CheckReport, Failure> {
        Err(absent("containers.check"))
    }
}
