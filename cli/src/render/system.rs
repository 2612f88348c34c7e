//! The services in words.

use super::listing::{Headings, Listing};
use super::table::Table;
use super::{duration, size};
use crate::error::Result;
use schema::supervisor::{ServiceStatus, State};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

/// What `system status --format json` says of a service.
#[derive(Serialize)]
pub(crate) struct Status<'a> {
    name: &'a str,
    pid: i32,
    state: State,
    restarts: u32,
    /// Seconds.
    uptime: f64,
    /// Bytes.
    memory: u64,
    /// Why it was restarted last; empty: it never was.
    last_error: &'a str,
    /// The program that replaces the installed one; empty: none does.
    executable: &'a str,
    /// Seconds.
    cpu: f64,
    /// Bytes.
    io_read: u64,
    io_written: u64,
    /// Open ones.
    descriptors: u32,
    threads: u32,
}

/// All services, for programs.
pub(crate) fn statuses(services: &[ServiceStatus]) -> Vec<Status<'_>> {
    services.iter().map(Status::from).collect()
}

impl<'a> From<&'a ServiceStatus> for Status<'a> {
    fn from(status: &'a ServiceStatus) -> Self {
        let ServiceStatus { service, pid, state, restarts, uptime_ms, memory, last_error, executable, usage } = status;
        let uptime = Duration::from_millis(*uptime_ms).as_secs_f64();
        Self {
            name: service,
            pid: *pid,
            state: *state,
            restarts: *restarts,
            uptime,
            memory: *memory,
            last_error,
            executable,
            cpu: Duration::from_nanos(usage.cpu_ns).as_secs_f64(),
            io_read: usage.io_read,
            io_written: usage.io_written,
            descriptors: usage.descriptors,
            threads: usage.threads,
        }
    }
}

/// All services, for templates.
pub(crate) fn listing(services: &[ServiceStatus]) -> Result<Listing> {
    const HEADINGS: &Headings = &[
        ("Name", "NAME"),
        ("PID", "PID"),
        ("State", "STATE"),
        ("Restarts", "RESTARTS"),
        ("Uptime", "UPTIME"),
        ("Memory", "MEMORY"),
    ];
    let mut listing = Listing::new(HEADINGS, ["Name"]);
    for ServiceStatus { service, pid, state, restarts, uptime_ms, memory, last_error: _, executable: _, usage: _ } in
        services
    {
        listing.push(&json!({
            "Name": service,
            "PID": pid,
            "State": state.to_string(),
            "Restarts": restarts,
            "Uptime": duration::words(Duration::from_millis(*uptime_ms)),
            "Memory": size::memory(*memory),
        }))?;
    }
    Ok(listing)
}

/// All services, for people.
pub(crate) fn table(services: &[ServiceStatus]) -> String {
    let mut table = Table::new(&["NAME", "PID", "STATE", "RESTARTS", "UPTIME", "MEMORY"]);
    for ServiceStatus { service, pid, state, restarts, uptime_ms, memory, last_error: _, executable: _, usage: _ } in
        services
    {
        let running = *pid != 0;
        let shown = |text: String| if running { text } else { "-".to_owned() };
        table.row([
            service.clone(),
            shown(pid.to_string()),
            state.to_string(),
            restarts.to_string(),
            shown(duration::words(Duration::from_millis(*uptime_ms))),
            shown(size::memory(*memory)),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::supervisor::Usage;

    fn services() -> Vec<ServiceStatus> {
        let service = ServiceStatus {
            service: "executor".into(),
            pid: 42,
            state: State::Ready,
            restarts: 1,
            uptime_ms: 3500,
            memory: 1 << 20,
            last_error: String::new(),
            executable: String::new(),
            usage: Usage::default(),
        };
        vec![service.clone(), ServiceStatus { pid: 0, state: State::Failed, ..service }]
    }

    #[test]
    fn rows_and_objects() {
        let table = table(&services());
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["NAME", "PID", "STATE", "RESTARTS", "UPTIME", "MEMORY"]);
        assert_eq!(rows[1], ["executor", "42", "ready", "1", "3", "seconds", "1MiB"]);
        assert_eq!(rows[2], ["executor", "-", "failed", "1", "-", "-"]);
        let template = crate::args::list_format("{{.Name}} {{.State}} {{.PID}}").unwrap();
        let lines = listing(&services()).unwrap().render(&template).unwrap();
        assert_eq!(lines, "executor ready 42\nexecutor failed 0\n");
        let json = serde_json::to_value(statuses(&services())).unwrap();
        assert_eq!(
            json[0],
            serde_json::json!({"name": "executor", "pid": 42, "state": "ready", "restarts": 1, "uptime": 3.5, "memory": 1_048_576, "last_error": "", "executable": "", "cpu": 0.0, "io_read": 0, "io_written": 0, "descriptors": 0, "threads": 0})
        );
    }
}
