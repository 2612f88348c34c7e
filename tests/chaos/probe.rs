//! Calls of a client to each service, and what it must answer: how a service's recovery is noticed.

use crate::plan::SERVICES;
use crate::standing::Standing;
use futures::future::join_all;
use harness::Instance;
use schema::containers::State;
use schema::executor::Phase;
use schema::filesystem::Usage;
use schema::supervisor::ServiceStatus;
use schema::{Call, Code, ContainerId, Failure};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// How long a service may take to answer, whatever was done to it: a service that hangs is found out by then.
const LIMIT: Duration = Duration::from_secs(30);

/// A client of every service. Each call is made over a connection of its own, as `cctl` does.
pub(crate) struct Probe {
    instance: schema::Instance,
    runtime: Runtime,
    /// Ids and PID 1 of the containers that stand.
    standing: Vec<(ContainerId, i32)>,
}

/// What a probe found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No answer, or a failure.
    Failed(String),
    /// The answer is not true.
    Untrue(String),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(format!("{:?}: {failure}", failure.code))
    }
}

fn must(holds: bool, answer: impl std::fmt::Debug) -> Result<(), Trouble> {
    if holds { Ok(()) } else { Err(Trouble::Untrue(format!("{answer:?}"))) }
}

/// The id of no container.
fn nobody() -> ContainerId {
    ContainerId::from_bytes([0xee; 32])
}

impl Probe {
    pub(crate) fn new(cctl: &Instance, standing: &[Standing]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let known = |container: &Standing| (container.id.parse().expect("an id"), container.pid);
        Self {
            instance: schema::Instance::new(cctl.root(), cctl.runtime()),
            runtime,
            standing: standing.iter().map(known).collect(),
        }
    }

    /// What the supervisor says of its services and itself.
    pub(crate) fn status(&self) -> Result<Vec<ServiceStatus>, Trouble> {
        let client = schema::supervisor::Client::new(&self.instance);
        let answer = LocalSet::new().block_on(&self.runtime, client.status(&Call::within(LIMIT)));
        let rows = answer?;
        must(rows.len() == SERVICES.len() + 1, &rows)?;
        Ok(rows)
    }

    /// Asks services something whose answer is known, all at the same time; how long each took to answer.
    pub(crate) fn ask(&self, services: &[&str]) -> Vec<(Duration, Result<(), Trouble>)> {
        let begun = Instant::now();
        let ask = async |service: &&str| {
            let answer = self.ask_one(service).await;
            (begun.elapsed(), answer)
        };
        LocalSet::new().block_on(&self.runtime, join_all(services.iter().map(ask)))
    }

    async fn ask_one(&self, service: &str) -> Result<(), Trouble> {
        let call = &Call::within(LIMIT);
        match service {
            "image-store" => self.image_store(call).await,
            "filesystem" => self.filesystem(call).await,
            "network" => self.network(call).await,
            "executor" => self.executor(call).await,
            "log-collector" => self.log_collector(call).await,
            "containers" => self.containers(call).await,
            other => panic!("there is no service {other}"),
        }
    }

    async fn image_store(&self, call: &Call) -> Result<(), Trouble> {
        let image = schema::image_store::Client::new(&self.instance).resolve(call, "base").await?;
        must(image.references.iter().any(|reference| reference.ends_with("base:latest")), image.references)
    }

    async fn filesystem(&self, call: &Call) -> Result<(), Trouble> {
        let client = schema::filesystem::Client::new(&self.instance);
        for (id, _) in &self.standing {
            let usage = client.usage(call, id).await?;
            must(usage.inodes > 0, usage)?;
        }
        let usage = client.usage(call, &nobody()).await?;
        must(usage == Usage::default(), usage)
    }

    async fn network(&self, call: &Call) -> Result<(), Trouble> {
        let info = schema::network::Client::new(&self.instance).info(call).await?;
        let attached = usize::try_from(info.attached).expect("few");
        must(info.table == self.instance.kernel_name() && attached >= self.standing.len(), info)
    }

    async fn executor(&self, call: &Call) -> Result<(), Trouble> {
        let sandboxes = schema::executor::Client::new(&self.instance).list(call).await?;
        let runs = |(id, pid): &(ContainerId, i32)| {
            let found = sandboxes.iter().find(|sandbox| sandbox.id == *id);
            found.is_some_and(|sandbox| matches!(&sandbox.phase, Phase::Running(started) if started.pid == *pid))
        };
        must(self.standing.iter().all(runs), &sandboxes)
    }

    async fn log_collector(&self, call: &Call) -> Result<(), Trouble> {
        let client = schema::log_collector::Client::new(&self.instance);
        if let Some((id, _)) = self.standing.first() {
            let chunk = client.read(call, id, 0, 64, 0).await?;
            must(chunk.records.first().is_some_and(|record| record.data.starts_with(b"1\n")), chunk)?;
        }
        match client.read(call, &nobody(), 0, 64, 0).await {
            Err(failure) if failure.code == Code::NotFound => Ok(()),
            answer => must(false, answer),
        }
    }

    async fn containers(&self, call: &Call) -> Result<(), Trouble> {
        let containers = schema::containers::Client::new(&self.instance).list(call).await?;
        let runs = |(id, pid): &(ContainerId, i32)| {
            let found = containers.iter().find(|container| container.id == *id);
            found.is_some_and(|container| {
                container.state == State::Running && container.pid == *pid && container.restart_count == 0
            })
        };
        must(self.standing.iter().all(runs), &containers)
    }
}
