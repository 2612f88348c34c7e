//! What our processes use.

use crate::inject::parent;
use schema::supervisor::ServiceStatus;
use std::collections::BTreeMap;
use std::fs;

/// Of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// Proportional set size in KiB.
    pub(crate) pss: u64,
    /// Open descriptors.
    pub(crate) descriptors: usize,
}

/// What supervisor, keeper and services use, by name.
pub(crate) fn measure(status: &[ServiceStatus]) -> BTreeMap<String, Used> {
    let keeper = status.iter().find(|row| row.service == "supervisor").and_then(|row| parent(row.pid));
    let all =
        status.iter().map(|row| (row.service.clone(), row.pid)).chain(keeper.map(|pid| ("keeper".to_owned(), pid)));
    all.filter_map(|(name, pid)| Some((name, used(pid)?))).collect()
}

fn used(pid: i32) -> Option<Used> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let pss = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(Used { pss, descriptors: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() })
}
