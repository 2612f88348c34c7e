//! What is known of services and containers, as it comes in.

use super::meter::{Meter, Reading};
use clap::ValueEnum;
use schema::containers::{State, Summary};
use schema::executor::Stats;
use schema::supervisor::{self, ServiceStatus};
use std::cmp::Ordering;
use std::collections::HashMap;

/// What stands first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    #[default]
    Cpu,
    Memory,
    Io,
    Restarts,
    Name,
}

impl Sort {
    /// The one after this, for a key that goes through all.
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Cpu => Self::Memory,
            Self::Memory => Self::Io,
            Self::Io => Self::Restarts,
            Self::Restarts => Self::Name,
            Self::Name => Self::Cpu,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Io => "io",
            Self::Restarts => "restarts",
            Self::Name => "name",
        }
    }
}

/// A container, what it uses if it runs, and how that has changed.
pub(crate) struct Item {
    pub(crate) container: Summary,
    pub(crate) stats: Option<Stats>,
    pub(crate) meter: Meter,
}

/// A service, and how what it uses has changed.
pub(crate) struct Service {
    pub(crate) status: ServiceStatus,
    pub(crate) meter: Meter,
}

/// All that is shown.
#[derive(Default)]
pub(crate) struct Picture {
    /// As the supervisor lists them.
    pub(crate) services: Vec<Service>,
    /// Those that do something, or could.
    pub(crate) containers: Vec<Item>,
    /// Containers that do not run.
    pub(crate) idle: usize,
    /// Why the services are not as they are now.
    pub(crate) services_trouble: Option<String>,
    /// Why the containers are not as they are now.
    pub(crate) containers_trouble: Option<String>,
}

/// Whether a container has processes, or will have some soon.
pub(crate) fn is_active(state: State) -> bool {
    match state {
        State::Starting | State::Running | State::Stopping | State::Paused | State::Restarting => true,
        State::Created | State::Exited | State::Removing => false,
    }
}

impl Picture {
    /// Takes what the supervisor says, at a time in nanoseconds.
    pub(crate) fn see_services(&mut self, at: i64, statuses: Vec<ServiceStatus>) {
        let mut meters: HashMap<String, Meter> =
            self.services.drain(..).map(|service| (service.status.service, service.meter)).collect();
        self.services_trouble = None;
        self.services = statuses
            .into_iter()
            .map(|status| {
                let mut meter = meters.remove(&status.service).unwrap_or_default();
                let supervisor::Usage { cpu_ns, io_read, io_written, .. } = status.usage;
                let reading = Reading { at, of: status.pid.into(), cpu_ns, bytes: [io_read, io_written, 0, 0] };
                meter.add((status.pid != 0).then_some(reading));
                Service { status, meter }
            })
            .collect();
    }

    /// Takes what the container manager says.
    pub(crate) fn see_containers(&mut self, containers: Vec<Summary>, stats: &HashMap<String, Stats>) {
        let mut meters: HashMap<_, Meter> =
            self.containers.drain(..).map(|item| (item.container.id, item.meter)).collect();
        self.containers_trouble = None;
        let all = containers.len();
        self.containers = containers
            .into_iter()
            .filter(|container| is_active(container.state))
            .map(|container| {
                let mut meter = meters.remove(&container.id).unwrap_or_default();
                let stats = stats.get(container.id.as_str()).copied();
                meter.add(stats.map(|stats| Reading {
                    at: stats.at,
                    of: container.started_at,
                    cpu_ns: stats.cpu_ns,
                    bytes: [stats.block_read, stats.block_written, stats.received, stats.sent],
                }));
                Item { container, stats, meter }
            })
            .collect();
        self.idle = all - self.containers.len();
    }

    /// The containers in an order: the largest first, the same in the order of their names.
    pub(crate) fn sorted(&self, sort: Sort) -> Vec<&Item> {
        let mut items: Vec<&Item> = self.containers.iter().collect();
        items.sort_by(|one, other| {
            let order = match sort {
                Sort::Cpu => larger(one.meter.cpu, other.meter.cpu),
                Sort::Memory => memory(other).cmp(&memory(one)),
                Sort::Io => larger(one.meter.io(), other.meter.io()),
                Sort::Restarts => other.container.restart_count.cmp(&one.container.restart_count),
                Sort::Name => Ordering::Equal,
            };
            order.then_with(|| one.container.name.cmp(&other.container.name))
        });
        items
    }
}

fn larger(one: f64, other: f64) -> Ordering {
    other.total_cmp(&one)
}

fn memory(item: &Item) -> u64 {
    item.stats.map_or(0, |stats| stats.memory)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::render::container::tests::summary;
    use schema::ContainerId;
    use supervisor::Usage;

    /// Two looks at a service and at two containers, and one at a container that has ended.
    pub(crate) fn picture() -> Picture {
        let mut picture = Picture::default();
        let service = |second: u64, pid| ServiceStatus {
            service: "executor".into(),
            pid,
            state: if pid == 0 { supervisor::State::Backoff } else { supervisor::State::Ready },
            restarts: 2,
            uptime_ms: 90_000,
            memory: 3 << 20,
            last_error: "killed by signal 9".into(),
            executable: String::new(),
            usage: Usage { cpu_ns: second * 250_000_000, descriptors: 12, threads: 4, ..Usage::default() },
        };
        let named = |name: &str, byte| {
            let mut container = summary();
            container.id = ContainerId::from_bytes([byte; 32]);
            container.name = name.to_owned();
            container.state = State::Running;
            container
        };
        for second in 1..3 {
            picture.see_services(
                i64::try_from(second).unwrap() * 1_000_000_000,
                vec![service(second, 42), ServiceStatus { service: "network".into(), ..service(second, 0) }],
            );
            let busy = named("busy", 1);
            let large = named("large", 2);
            let mut ended = named("ended", 3);
            ended.state = State::Exited;
            let at = i64::try_from(second).unwrap() * 1_000_000_000;
            let stats = HashMap::from([
                (
                    busy.id.as_str().to_owned(),
                    Stats { at, cpu_ns: second * 1_500_000_000, memory: 1 << 20, ..Stats::default() },
                ),
                (large.id.as_str().to_owned(), Stats { at, memory: 1 << 30, sent: second * 1000, ..Stats::default() }),
            ]);
            picture.see_containers(vec![large, busy, ended], &stats);
        }
        picture
    }

    #[test]
    fn the_largest_comes_first() {
        let picture = picture();
        assert_eq!((picture.containers.len(), picture.idle), (2, 1));
        let first = |sort| picture.sorted(sort)[0].container.name.clone();
        assert_eq!(first(Sort::Cpu), "busy");
        assert_eq!(first(Sort::Memory), "large");
        assert_eq!(first(Sort::Io), "large");
        assert_eq!(first(Sort::Name), "busy");
        assert_eq!(picture.services[0].meter.cpu, 25.0);
        assert_eq!(picture.services[1].meter.cpu, 0.0);
    }

    #[test]
    fn a_key_goes_through_all_orders() {
        let mut sort = Sort::default();
        for _ in Sort::value_variants() {
            sort = sort.next();
        }
        assert_eq!(sort, Sort::default());
    }
}
