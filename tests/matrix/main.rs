//! The kill matrix: each service is killed at each step of each operation, and no user notices.
//!
//! A step is a system call that changes something ([`steps`]); the service is stopped by ptrace at its beginning, and
//! killed. `CCTL_MATRIX_STRIDE` says how many steps apart the kills are: 1 is exhaustive (`make kill-matrix`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod operations;
mod steps;
mod sys;
mod tracer;

use harness::{Instance, Registry, eventually};
use operations::{ALL, Operation, World};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tracer::Tracer;

const SERVICES: [&str; 6] = ["containers", "image-store", "filesystem", "network", "executor", "log-collector"];
const COUNT: &str = "i=0; while :; do echo $((i=i+1)); sleep 0.02; done";
/// In `make test`.
const STRIDE: usize = 16;

/// One row and column of the matrix.
#[derive(Default)]
struct Cell {
    kills: usize,
    failed: usize,
    calls: BTreeSet<&'static str>,
    /// The operation takes no further step of this service.
    done: bool,
}

fn world() -> World {
    let registry = Registry::start();
    let cctl = Instance::start();
    // An image of its own, small, that is not `base`.
    cctl.cctl(&["run", "--name", "small", "base", "sh", "-c", "echo small > /small"]).ok();
    cctl.cctl(&["commit", "small", "small"]).ok();
    cctl.cctl(&["rm", "small"]).ok();
    let pulled = format!("{}/small:pulled", registry.name());
    cctl.cctl(&["tag", "small", &pulled]).ok();
    cctl.cctl(&["push", "-q", &pulled]).ok();
    cctl.cctl(&["rmi", &pulled]).ok();
    World { cctl, registry }
}

/// The process of a service that is ready.
fn ready(world: &World, service: &str) -> i32 {
    eventually("the service is ready", || {
        let rows = world.cctl.cctl(&["system", "status", "--format", "json"]);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&rows.stdout).ok()?;
        let row = rows.into_iter().find(|row| row["name"] == service && row["state"] == "ready")?;
        i32::try_from(row["pid"].as_i64()?).ok()
    })
}

/// Does an operation and kills a service at one of its steps; at which, and what went wrong.
fn attempt(world: &World, operation: &Operation, service: &str, step: usize) -> (Option<&'static str>, Option<String>) {
    let name = format!("{}-{service}-{step}", operation.name.replace([' ', '-'], ""));
    operation.prepare(world, &name);
    let tracer = Tracer::kill_at(ready(world, service), step);
    let act = catch_unwind(AssertUnwindSafe(|| operation.act(world, &name)));
    let killed_at = tracer.end().killed_at;
    let clean = catch_unwind(AssertUnwindSafe(|| operation.clean(world, &name)));
    let said = |panic: Box<dyn std::any::Any + Send>| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    };
    (killed_at, act.and(clean).err().map(said))
}

#[test]
fn a_service_that_is_killed_at_any_step_is_not_missed() {
    let stride = std::env::var("CCTL_MATRIX_STRIDE").map_or(STRIDE, |text| text.parse().expect("CCTL_MATRIX_STRIDE"));
    let only = std::env::var("CCTL_MATRIX_ONLY").unwrap_or_default();
    let world = world();
    let witness = world.cctl.cctl(&["run", "-d", "--name", "witness", "base", "sh", "-c", COUNT]).ok();
    let pid = world.cctl.cctl(&["inspect", "-f", "{{.State.Pid}}", &witness]).ok();
    let images = world.cctl.cctl(&["images", "-q"]).ok();
    let mut cells: BTreeMap<(usize, usize), Cell> = BTreeMap::new();
    let mut wrong = Vec::new();
    let chosen = |operation: &Operation| only.is_empty() || operation.name == only;
    for (row, operation) in ALL.iter().enumerate().filter(|(_, operation)| chosen(operation)) {
        // The services in turn: one that is killed again and again is started again later and later.
        for round in 0.. {
            let mut any = false;
            for (column, service) in SERVICES.iter().enumerate() {
                let cell = cells.entry((row, column)).or_default();
                if cell.done {
                    continue;
                }
                // Every cell begins elsewhere, so that a wide stride comes by all kinds of steps.
                let step = 1 + round * stride + (7 * row + 3 * column) % stride;
                let (killed_at, failure) = attempt(&world, operation, service, step);
                cell.done = killed_at.is_none();
                cell.kills += usize::from(killed_at.is_some());
                cell.calls.extend(killed_at);
                any |= !cell.done;
                if let Some(failure) = failure {
                    cell.failed += 1;
                    wrong.push(format!("{} / {service} / step {step} ({killed_at:?}): {failure}", operation.name));
                }
            }
            if !any || wrong.len() > 20 {
                break;
            }
        }
        let left = world.cctl.cctl(&["ps", "-aq", "--no-trunc"]).ok();
        if left != witness {
            wrong.push(format!("{}: containers are left: {left}", operation.name));
        }
    }
    print(&cells);
    assert!(wrong.is_empty(), "{} of the kills were noticed:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(world.cctl.cctl(&["images", "-q"]).ok(), images);
    let check = world.cctl.cctl(&["system", "check"]);
    assert_eq!(check.code, 0, "{check:?}");
    assert_eq!(world.cctl.cctl(&["inspect", "-f", "{{.State.Pid}}", &witness]).ok(), pid);
    let text = world.cctl.cctl(&["logs", &witness]).ok();
    assert!(text.lines().zip(1..).all(|(line, number)| line == number.to_string()), "the witness's log has a gap");
    world.cctl.cctl(&["rm", "-f", &witness]).ok();
}

fn print(cells: &BTreeMap<(usize, usize), Cell>) {
    println!("kills (noticed) of each service at steps of each operation");
    println!("{:10}{}", "", SERVICES.map(|service| format!("{service:>15}")).concat());
    for (row, operation) in ALL.iter().enumerate() {
        let cell = |column| match cells.get(&(row, column)) {
            Some(Cell { kills, failed, .. }) => format!("{:>15}", format!("{kills} ({failed})")),
            None => format!("{:>15}", "-"),
        };
        println!("{:10}{}", operation.name, (0..SERVICES.len()).map(cell).collect::<String>());
    }
    let sum = |count: fn(&Cell) -> usize| cells.values().map(count).sum::<usize>();
    let calls: BTreeSet<&str> = cells.values().flat_map(|cell| cell.calls.iter().copied()).collect();
    println!(
        "{} kills, {} noticed; at {}",
        sum(|cell| cell.kills),
        sum(|cell| cell.failed),
        Vec::from_iter(calls).join(" ")
    );
}
