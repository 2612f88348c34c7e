//! Nothing is left: no memory, no processes, no descriptors, no connections. What cannot be done waits or fails and
//! says why, and all is well when there is room again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod descriptors;
mod limits;
mod peers;

use harness::{Instance, eventually};

pub(crate) const SERVICES: [&str; 6] =
    ["containers", "executor", "filesystem", "image-store", "log-collector", "network"];

pub(crate) fn all_are_ready(cctl: &Instance) {
    eventually("all are ready", || {
        let output = cctl.cctl(&["system", "status", "--format", "json"]);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&output.stdout).ok()?;
        rows.iter().all(|row| row["state"] == "ready").then_some(())
    });
}
