//! Which figures there are, and what they are called.
//! Names follow <https://prometheus.io/docs/practices/naming/>: base units, and `_total` of what only grows.

use super::exposition::{Family, Kind, Label};
use super::look::Sight;
use crate::select::container::status;
use schema::calls::{BOUNDS_MS, Count};
use schema::containers::Summary;
use schema::executor::Stats;
use schema::supervisor::{self, ServiceStatus, State};
use std::collections::BTreeMap;
use std::time::Duration;

/// Containers that have figures of their own; of the others it is told how many there are. Those that run come first.
const CONTAINERS: usize = 4096;

/// Docker's words for the states of a container.
const STATES: [&str; 6] = ["created", "running", "paused", "restarting", "removing", "exited"];

/// All figures.
pub(crate) fn text(sight: &Sight) -> String {
    let mut text = String::new();
    Family::new(&mut text, "cctl_build_info", Kind::Gauge, "The version of the program that tells this.")
        .count(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    services(&mut text, sight.services.as_deref());
    calls(&mut text, sight);
    Family::new(
        &mut text,
        "cctl_containers_up",
        Kind::Gauge,
        "Whether the container manager has said what containers there are.",
    )
    .count(&[], sight.containers.is_some().into());
    if let Some(all) = &sight.containers {
        containers(&mut text, all, sight);
    }
    text
}

/// Of an instance that does not run, or does not say, every service is down.
fn services(text: &mut String, told: Option<&[ServiceStatus]>) {
    let mut up = Family::new(text, "cctl_service_up", Kind::Gauge, "Whether a service serves.");
    let Some(services) = told else {
        for name in [supervisor::SERVICE].into_iter().chain(schema::SERVICES) {
            up.count(&[("service", name)], 0);
        }
        return;
    };
    for service in services {
        up.count(&[("service", &service.service)], (service.state == State::Ready).into());
    }
    let mut each = |name, kind, help, value: &dyn Fn(&ServiceStatus) -> f64| {
        let mut family = Family::new(text, name, kind, help);
        for service in services {
            family.add(&[("service", &service.service)], value(service));
        }
    };
    each(
        "cctl_service_restarts_total",
        Kind::Counter,
        "Restarts of a service since the supervisor was started.",
        &|service| service.restarts.into(),
    );
    // What does not run uses nothing: it has no figures, rather than zeros that look like a quiet process.
    let mut process = |name, kind, help, value: &dyn Fn(&ServiceStatus) -> f64| {
        let mut family = Family::new(text, name, kind, help);
        for service in services.iter().filter(|service| service.pid != 0) {
            family.add(&[("service", &service.service)], value(service));
        }
    };
    process(
        "cctl_service_uptime_seconds",
        Kind::Gauge,
        "How long the current process of a service has run.",
        &|service| Duration::from_millis(service.uptime_ms).as_secs_f64(),
    );
    process(
        "cctl_service_cpu_seconds_total",
        Kind::Counter,
        "CPU time of the current process of a service.",
        &|service| Duration::from_nanos(service.usage.cpu_ns).as_secs_f64(),
    );
    process("cctl_service_memory_bytes", Kind::Gauge, "Proportional set size of a service.", &|service| {
        service.memory as f64
    });
    process("cctl_service_open_fds", Kind::Gauge, "Open descriptors of a service.", &|service| {
        service.usage.descriptors.into()
    });
    process("cctl_service_threads", Kind::Gauge, "Threads of a service.", &|service| service.usage.threads.into());
    process(
        "cctl_service_read_bytes_total",
        Kind::Counter,
        "Bytes that disks read for the current process of a service.",
        &|service| service.usage.io_read as f64,
    );
    process(
        "cctl_service_written_bytes_total",
        Kind::Counter,
        "Bytes that disks wrote for the current process of a service.",
        &|service| service.usage.io_written as f64,
    );
}

fn calls(text: &mut String, sight: &Sight) {
    let mut family = Family::new(text, "cctl_service_connections", Kind::Gauge, "Connections that a service serves.");
    for service in &sight.calls {
        family.count(&[("service", &service.service)], service.connections.into());
    }
    let methods = || {
        sight.calls.iter().flat_map(|service| {
            service.methods.iter().map(|calls| (service.service.as_str(), calls.method.as_str(), calls.count))
        })
    };
    let mut family = Family::new(
        text,
        "cctl_service_calls_total",
        Kind::Counter,
        "Calls of a method of the current process, by how they ended.",
    );
    for (service, method, count) in methods() {
        let Count { answered, refused, failed, dropped, .. } = count;
        for (outcome, number) in [("ok", answered), ("refused", refused), ("failed", failed), ("dropped", dropped)] {
            family.count(&[("service", service), ("method", method), ("outcome", outcome)], number);
        }
    }
    let bounds = BOUNDS_MS.map(|milliseconds| Duration::from_millis(milliseconds).as_secs_f64());
    let mut family = Family::new(
        text,
        "cctl_service_call_duration_seconds",
        Kind::Histogram,
        "How long calls of a method of the current process took; of some, that is how long they waited for what they wait for.",
    );
    for (service, method, count) in methods() {
        let sum = Duration::from_nanos(count.total_ns).as_secs_f64();
        family.histogram(&[("service", service), ("method", method)], &bounds, &count.durations, sum);
    }
}

fn containers(text: &mut String, all: &[Summary], sight: &Sight) {
    let mut states: BTreeMap<&str, u64> = STATES.into_iter().map(|state| (state, 0)).collect();
    for container in all {
        *states.entry(status(container)).or_default() += 1;
    }
    let mut family = Family::new(text, "cctl_containers", Kind::Gauge, "Containers in a state.");
    for (state, number) in states {
        family.count(&[("state", state)], number);
    }
    // Newest first, as they are told; and those that run before.
    let runs = |container: &&Summary| sight.stats.contains_key(container.id.as_str());
    let chosen: Vec<&Summary> =
        all.iter().filter(runs).chain(all.iter().filter(|container| !runs(container))).take(CONTAINERS).collect();
    Family::new(
        text,
        "cctl_containers_omitted",
        Kind::Gauge,
        "Containers that have no figures of their own, because there are too many.",
    )
    .count(&[], (all.len() - chosen.len()) as u64);

    let mut family = Family::new(text, "cctl_container_state", Kind::Gauge, "1 for the state in which a container is.");
    for container in &chosen {
        let labels = labels(container);
        family.count(&[&labels[..], &[("state", status(container))]].concat(), 1);
    }
    let mut each = |name, kind, help, value: &dyn Fn(&Summary) -> Option<f64>| {
        let mut family = Family::new(text, name, kind, help);
        for container in &chosen {
            if let Some(value) = value(container) {
                family.add(&labels(container), value);
            }
        }
    };
    let seconds = |nanoseconds: i64| nanoseconds as f64 / 1e9;
    each(
        "cctl_container_created_seconds",
        Kind::Gauge,
        "When a container was created, seconds since the Unix epoch.",
        &|container| Some(seconds(container.created_at)),
    );
    each(
        "cctl_container_started_seconds",
        Kind::Gauge,
        "When a container was started last, seconds since the Unix epoch.",
        &|container| (container.started_at != 0).then(|| seconds(container.started_at)),
    );
    each(
        "cctl_container_restarts_total",
        Kind::Counter,
        "Restarts of a container by its restart policy.",
        &|container| Some(container.restart_count.into()),
    );
    each(
        "cctl_container_exit_code",
        Kind::Gauge,
        "How the last run of a container ended; -1 if nobody knows.",
        &|container| container.exit.as_ref().map(|exit| exit.code.into()),
    );
    each(
        "cctl_container_oom_killed",
        Kind::Gauge,
        "Whether the last run of a container ended for want of memory.",
        &|container| container.exit.as_ref().map(|exit| exit.oom_killed.into()),
    );
    let log = |container: &Summary| sight.logs.get(container.id.as_str());
    each(
        "cctl_container_log_bytes_total",
        Kind::Counter,
        "Bytes that a container has written to its streams.",
        &|container| log(container).map(|log| log.written as f64),
    );
    each(
        "cctl_container_log_kept_bytes",
        Kind::Gauge,
        "Bytes of a container's output that can still be read.",
        &|container| log(container).map(|log| log.kept as f64),
    );
    each(
        "cctl_container_log_dropped_bytes_total",
        Kind::Counter,
        "Bytes of a container's output that were dropped, since the log collector was started.",
        &|container| log(container).map(|log| log.dropped as f64),
    );
    used(&sight.stats, &mut each);
}

/// Adds a family of containers.
type Each<'a> = dyn FnMut(&'static str, Kind, &'static str, &dyn Fn(&Summary) -> Option<f64>) + 'a;

/// What those use that run.
fn used(stats: &std::collections::HashMap<String, Stats>, each: &mut Each<'_>) {
    let mut family = |name, kind, help, value: fn(&Stats) -> f64| {
        each(name, kind, help, &|container: &Summary| stats.get(container.id.as_str()).map(value));
    };
    family("cctl_container_cpu_seconds_total", Kind::Counter, "CPU time of a container's run.", |stats| {
        Duration::from_nanos(stats.cpu_ns).as_secs_f64()
    });
    family(
        "cctl_container_memory_bytes",
        Kind::Gauge,
        "Memory that a container uses, without page cache that can be dropped at once.",
        |stats| stats.memory as f64,
    );
    family(
        "cctl_container_memory_limit_bytes",
        Kind::Gauge,
        "Memory that a container may use; the host's if it has no limit.",
        |stats| stats.memory_limit as f64,
    );
    family("cctl_container_pids", Kind::Gauge, "Tasks of a container.", |stats| stats.pids as f64);
    family(
        "cctl_container_read_bytes_total",
        Kind::Counter,
        "Bytes that a container's run has read from block devices.",
        |stats| stats.block_read as f64,
    );
    family(
        "cctl_container_written_bytes_total",
        Kind::Counter,
        "Bytes that a container's run has written to block devices.",
        |stats| stats.block_written as f64,
    );
    family(
        "cctl_container_network_received_bytes_total",
        Kind::Counter,
        "Bytes that a container's run has received; 0 in the host's network.",
        |stats| stats.received as f64,
    );
    family(
        "cctl_container_network_sent_bytes_total",
        Kind::Counter,
        "Bytes that a container's run has sent; 0 in the host's network.",
        |stats| stats.sent as f64,
    );
    family(
        "cctl_container_oom_kills_total",
        Kind::Counter,
        "Processes of a container's run that were killed for want of memory.",
        |stats| stats.oom_kills as f64,
    );
}

fn labels(container: &Summary) -> [Label<'_>; 3] {
    [("id", container.id.as_str()), ("name", &container.name), ("image", &container.image)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::container::tests::{exited, summary};
    use schema::log_collector::Total;
    use schema::supervisor::{MethodCalls, ServiceCalls, Usage};

    fn sight() -> Sight {
        let running = summary();
        let service = ServiceStatus {
            service: "executor".into(),
            pid: 7,
            state: State::Ready,
            restarts: 3,
            uptime_ms: 1500,
            memory: 1024,
            last_error: String::new(),
            executable: String::new(),
            usage: Usage { cpu_ns: 250_000_000, descriptors: 9, ..Usage::default() },
        };
        let down = ServiceStatus { service: "network".into(), pid: 0, state: State::Backoff, ..service.clone() };
        let count = Count {
            answered: 2,
            failed: 1,
            total_ns: 5_000_000,
            durations: [1, 2, 0, 0, 0, 0, 0, 0],
            ..Count::default()
        };
        let id = running.id.as_str().to_owned();
        Sight {
            services: Some(vec![service, down]),
            calls: vec![ServiceCalls {
                service: "executor".into(),
                connections: 2,
                methods: vec![MethodCalls { method: "executor.start".into(), count }],
            }],
            stats: [(id.clone(), Stats { cpu_ns: 1_500_000_000, ..Stats::default() })].into(),
            logs: [(id, Total { id: running.id.clone(), written: 10, kept: 8, dropped: 2 })].into(),
            containers: Some(vec![exited(3), running]),
        }
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
    }

    #[test]
    fn everything_is_told() {
        let text = text(&sight());
        has(&text, r#"cctl_service_up{service="executor"} 1"#);
        has(&text, r#"cctl_service_up{service="network"} 0"#);
        has(&text, r#"cctl_service_cpu_seconds_total{service="executor"} 0.25"#);
        assert!(!text.contains(r#"cctl_service_memory_bytes{service="network"}"#));
        has(&text, r#"cctl_service_calls_total{service="executor",method="executor.start",outcome="failed"} 1"#);
        has(
            &text,
            r#"cctl_service_call_duration_seconds_bucket{service="executor",method="executor.start",le="0.004"} 3"#,
        );
        has(&text, r#"cctl_containers{state="running"} 1"#);
        let labels = format!(r#"id="{}",name="web",image="base""#, "ab".repeat(32));
        has(&text, &format!("cctl_container_cpu_seconds_total{{{labels}}} 1.5"));
        has(&text, &format!("cctl_container_log_dropped_bytes_total{{{labels}}} 2"));
        has(&text, &format!("cctl_container_exit_code{{{labels}}} 3"));
    }

    #[test]
    fn without_answers_all_is_down_and_nothing_is_an_error() {
        let text = text(&Sight::default());
        has(&text, r#"cctl_service_up{service="supervisor"} 0"#);
        has(&text, r#"cctl_service_up{service="containers"} 0"#);
        has(&text, "cctl_containers_up 0");
    }

    #[test]
    fn each_family_has_its_head_once_and_a_name_by_the_rules() {
        let text = text(&sight());
        let mut names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        for name in names {
            let (name, kind) = name.split_once(' ').unwrap();
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert!(name.starts_with("cctl_") && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        }
    }

    #[test]
    fn more_containers_than_there_is_room_for_are_counted() {
        let mut sight = sight();
        sight.containers = Some(vec![exited(1); CONTAINERS + 5]);
        let text = text(&sight);
        has(&text, "cctl_containers_omitted 5");
        has(&text, &format!("cctl_containers{{state=\"exited\"}} {}", CONTAINERS + 5));
    }
}
