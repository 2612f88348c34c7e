//! The methods of `schema/supervisor.capnp`.

use crate::audit::audit;
use crate::drop_ins::Sources;
use crate::handover::Past;
use crate::keeper;
use crate::replacement::Replacements;
use crate::service::{Calls, Granted, Query, Restart, Service, Try};
use actix::Addr;
use futures::future::{join, join_all};
use kit::actor::{ask, on_thread};
use schema::calls::counts;
use schema::supervisor::{Held, MethodCalls, SERVICE, Server, ServiceCalls, ServiceStatus, State, Usage};
use schema::{Call, Code, Failure};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// How long a process may take to be measured.
const MEASURING: Duration = Duration::from_millis(500);

/// What the methods work on.
pub(crate) struct Api {
    pub(crate) sources: Sources,
    /// In the manifest's order.
    pub(crate) services: Vec<(String, Addr<Service>)>,
    pub(crate) past: Past,
    pub(crate) replacements: Arc<Replacements>,
    pub(crate) started: Instant,
    /// Wants the end.
    pub(crate) end: UnboundedSender<()>,
}

impl Api {
    fn own_status(&self) -> ServiceStatus {
        ServiceStatus {
            service: SERVICE.to_owned(),
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            state: State::Ready,
            restarts: self.past.restarts,
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            memory: 0,
            last_error: self.past.last_error.clone(),
            executable: String::new(),
            usage: Usage::default(),
        }
    }

    fn own_calls(&self) -> ServiceCalls {
        ServiceCalls {
            service: SERVICE.to_owned(),
            connections: kit::serve::connections(),
            methods: counts()
                .into_iter()
                .map(|(method, count)| MethodCalls { method: method.to_owned(), count })
                .collect(),
        }
    }

    fn unknown(&self, service: &str) -> Failure {
        let names: Vec<&str> = self.services.iter().map(|(name, _)| name.as_str()).collect();
        Failure::not_found(format_args!("there is no service {service:?}"))
            .hint(format_args!("services are {}", names.join(", ")))
    }
}

/// The memory of a process, and what else it uses; zero of one that has just ended, and of one that cannot be measured
/// in time. The kernel walks all its pages, and waits for whoever changes them: not on the main loop.
async fn measure(pid: i32) -> (u64, Usage) {
    if pid == 0 {
        return Default::default();
    }
    let usage = tokio::task::spawn_blocking(move || kit::process::usage(pid).unwrap_or_default());
    let memory = tokio::task::spawn_blocking(move || kit::process::memory(pid).unwrap_or_default());
    let (memory, usage) = join(tokio::time::timeout(MEASURING, memory), tokio::time::timeout(MEASURING, usage)).await;
    (memory.unwrap_or(Ok(0)).unwrap_or_default(), usage.map(Result::unwrap_or_default).unwrap_or_default())
}

impl Server for Api {
    async fn status(&self, _: &Call) -> Result<Vec<ServiceStatus>, Failure> {
        let mut rows = vec![self.own_status()];
        for (_, service) in &self.services {
            rows.push(ask(service, Query).await?);
        }
        let measured = rows.iter().map(|row| measure(row.pid));
        let measured = join_all(measured).await;
        for (row, (memory, usage)) in rows.iter_mut().zip(measured) {
            (row.memory, row.usage) = (memory, usage);
        }
        Ok(rows)
    }

    async fn calls(&self, _: &Call) -> Result<Vec<ServiceCalls>, Failure> {
        let mut services = vec![self.own_calls()];
        for (_, service) in &self.services {
            services.extend(ask(service, Calls).await?);
        }
        Ok(services)
    }

    async fn restart(&self, _: &Call, service: String) -> Result<(), Failure> {
        let mut chosen = self.services.iter().filter(|(name, _)| service.is_empty() || *name == service).peekable();
        if chosen.peek().is_none() {
            return Err(self.unknown(&service));
        }
        let sources = self.sources.clone();
        let mut wanted = on_thread(move || sources.read()).await?;
        for (name, service) in chosen {
            let index = wanted.services.iter().position(|definition| definition.name == *name);
            let index =
                index.ok_or_else(|| Failure::conflict(format_args!("{name} is not in the manifest any more")))?;
            let definition = wanted.services.swap_remove(index);
            let restarted = ask(service, Restart(definition.clone())).await;
            restarted.map_err(|failure| failure.context(format_args!("restarting {name}")))?;
            let sources = self.sources.clone();
            on_thread(move || sources.commit(&definition)).await?;
        }
        Ok(())
    }

    async fn replace(&self, _: &Call, service: String, executable: Option<PathBuf>) -> Result<(), Failure> {
        let Some((name, actor)) = self.services.iter().find(|(name, _)| *name == service) else {
            return Err(self.unknown(&service));
        };
        let prepared = match executable {
            Some(path) => {
                let (replacements, name) = (Arc::clone(&self.replacements), name.clone());
                Some(on_thread(move || replacements.prepare(&name, &path)).await?)
            }
            None => None,
        };
        let tried = ask(actor, Try(prepared.as_ref().map(|prepared| prepared.path.clone()))).await;
        let (replacements, name) = (Arc::clone(&self.replacements), name.clone());
        on_thread(move || match (tried, &prepared) {
            (Ok(()), _) => replacements
                .commit(&name, prepared.as_ref())
                .map_err(|failure| failure.context(format_args!("recording what {name} runs from now on"))),
            (Err(failure), Some(prepared)) if failure.code != Code::Conflict => {
                replacements.discard(&name, prepared);
                Err(failure)
            }
            (Err(failure), _) => Err(failure),
        })
        .await
    }

    async fn log_file(&self, _: &Call, service: String) -> Result<PathBuf, Failure> {
        let known = [SERVICE, keeper::NAME].contains(&service.as_str())
            || self.services.iter().any(|(name, _)| *name == service);
        if known { Ok(self.sources.instance.log(&service)) } else { Err(self.unknown(&service)) }
    }

    async fn audit(&self, _: &Call) -> Result<Vec<Held>, Failure> {
        let mut running = Vec::new();
        for (_, service) in &self.services {
            running.extend(ask(service, Granted).await?);
        }
        let instance = self.sources.instance.clone();
        on_thread(move || audit(&instance, &running).map_err(|error| Failure::io("reading /proc", &error))).await
    }

    async fn shut_down(&self, _: &Call) -> Result<(), Failure> {
        // Nobody listens any more: it ends already.
        let _ = self.end.send(());
        Ok(())
    }
}
