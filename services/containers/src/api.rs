//! The contract of `containers`, served.

use crate::container::{Handle, Keep, Shared, View};
use crate::record::Record;
use crate::registry::{Admit, Damaged, Departed, Find, Known, Registry, Views};
use crate::workers::STEP;
use crate::{decide, operations, removal, shut_down, validate};
use actix::Addr;
use kit::actor::ask;
use schema::containers::{Container, ContainerSpec, Info, Server};
use schema::{Call, Code, ContainerId, Failure};
use std::rc::Rc;
use std::time::Duration;

/// What is served to each client.
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

    async fn make(&self, call: &Call, id: ContainerId, spec: &ContainerSpec) -> Result<Handle, Failure> {
        if let Some(known) = ask(&self.registry, Known { id: id.clone(), spec: spec.clone() }).await? {
            return Ok(known);
        }
        let warnings = validate::check(spec, validate::processors())?;
        let image = self.shared.workers.image_store.resolve(call, &spec.image).await?;
        ask(&self.registry, Admit(Record::new(id, spec, image, warnings)?)).await
    }
}

impl Server for Api {
    async fn create(&self, call: &Call, id: ContainerId, spec: ContainerSpec) -> Result<Container, Failure> {
        let handle = self.make(call, id, &spec).await?;
        Ok(handle.until_live().await?.container())
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
        let handle = self.find(&container).await?;
        Ok(operations::detached(operations::stop(handle, call.request, timeout_ms)).await?.container())
    }

    async fn kill(&self, call: &Call, container: String, signal: i32) -> Result<Container, Failure> {
        let (handle, workers) = (self.find(&container).await?, self.shared.workers.clone());
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

    async fn remove(&self, call: &Call, container: String, force: bool) -> Result<(), Failure> {
        if force && let Some((id, damage)) = ask(&self.registry, Damaged(container.clone())).await? {
            let (shared, registry) = (Rc::clone(&self.shared), self.registry.clone());
            return operations::detached(removal::damaged(shared, registry, id, damage)).await;
        }
        let handle = self.find(&container).await?;
        operations::detached(operations::remove(handle, call.request, force)).await
    }

    async fn list(&self, _: &Call) -> Result<Vec<Container>, Failure> {
        let views = ask(&self.registry, Views).await?;
        let mut containers: Vec<_> = views.iter().map(|(_, view)| view.container()).collect();
        containers.sort_by(|one, other| (other.created_at, &other.id).cmp(&(one.created_at, &one.id)));
        Ok(containers)
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
        Ok(Info { containers: count(views.len()), running: count(running), network })
    }
}
