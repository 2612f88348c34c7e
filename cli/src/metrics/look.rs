//! What is asked of the services for one answer.

use crate::commands::stats::samples;
use crate::engine::Engine;
use schema::containers::Summary;
use schema::executor::Stats;
use schema::log_collector::Total;
use schema::supervisor::{ServiceCalls, ServiceStatus};
use schema::{Call, Failure};
use std::collections::HashMap;
use std::time::Duration;

/// How long the answers may take together: longer than a service takes to be restarted, and less than Prometheus waits
/// (10 s, unless it is told otherwise).
const PATIENCE: Duration = Duration::from_secs(4);

/// What is known at one time. What a service did not say in time is none: the answer goes without it.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    pub(super) services: Option<Vec<ServiceStatus>>,
    pub(super) calls: Vec<ServiceCalls>,
    pub(super) containers: Option<Vec<Summary>>,
    /// Of those that run, by their ids.
    pub(super) stats: HashMap<String, Stats>,
    /// By ids.
    pub(super) logs: HashMap<String, Total>,
}

/// Asks all at the same time.
pub(crate) async fn look(engine: &Engine) -> Sight {
    let call = Call::within(PATIENCE);
    let containers = async {
        let containers = engine.containers.list(&call).await?;
        // Without the executor there are no figures, but the containers are there.
        let stats = samples(engine, &containers, &call).await;
        Ok::<_, Failure>((containers, stats.unwrap_or_default()))
    };
    let (services, calls, containers, logs) = futures::join!(
        engine.supervisor.status(&call),
        engine.supervisor.calls(&call),
        containers,
        engine.logs.totals(&call),
    );
    // Whoever did not answer is shown to be down: that is what this is for.
    let (containers, stats) = containers.map(|(containers, stats)| (Some(containers), stats)).unwrap_or_default();
    let logs = logs.unwrap_or_default().into_iter().map(|total| (total.id.as_str().to_owned(), total)).collect();
    Sight { services: services.ok(), calls: calls.unwrap_or_default(), containers, stats, logs }
}
