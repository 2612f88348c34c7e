//! Processes that hang, of ours and of containers: found, replaced, and nobody else is delayed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fuse;
mod services;
mod stuck;

use harness::{Instance, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

pub(crate) const SERVICES: [&str; 6] =
    ["containers", "executor", "filesystem", "image-store", "log-collector", "network"];

pub(crate) fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Times of `cctl ps`, as long as a condition holds; sorted.
pub(crate) fn times_of_ps(cctl: &Instance, mut goes_on: impl FnMut() -> bool) -> Vec<Duration> {
    let mut times = Vec::new();
    while goes_on() {
        let start = Instant::now();
        cctl.cctl(&["ps"]).ok();
        times.push(start.elapsed());
    }
    times.sort();
    times
}

pub(crate) fn figure(what: &str, times: &[Duration]) {
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len().saturating_sub(1)));
    println!("{what}: {} times, p50 {:?}, p99 {:?}", times.len(), at(50), at(99));
}

/// The state of a container, as `ps` says it.
pub(crate) fn status_of(cctl: &Instance, name: &str) -> String {
    cctl.cctl(&["ps", "-a", "--filter", &format!("name={name}"), "--format", "{{.Status}}"]).ok()
}

/// The same, but in a loop until it is as wanted.
pub(crate) fn becomes(cctl: &Instance, name: &str, wanted: &str) {
    let mut last = String::new();
    eventually("the status changes", || {
        last = status_of(cctl, name);
        last.starts_with(wanted).then_some(())
    });
}
