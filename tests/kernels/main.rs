//! What only a host with cgroup v2 alone, or with an older kernel, shows. These tests run as the first processes of an
//! emulated machine: `make test-kernels`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod limits;
mod monitors;
mod profile;
mod services;
mod users;
mod ways;

use harness::Instance;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// What `inspect` tells of a container.
fn inspect(cctl: &Instance, container: &str) -> Value {
    let mut told: Value = serde_json::from_str(&cctl.cctl(&["inspect", container]).ok()).unwrap();
    told[0].take()
}

/// The one cgroup of a container that runs, as the kernel names it.
fn cgroup(cctl: &Instance, container: &str) -> PathBuf {
    let pid = inspect(cctl, container)["State"]["Pid"].as_i64().unwrap();
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = text.trim().strip_prefix("0::/").unwrap_or_else(|| panic!("v2 alone: {text}"));
    Path::new("/sys/fs/cgroup").join(path)
}

/// What a file of a container's cgroup says.
fn said(cctl: &Instance, container: &str, file: &str) -> String {
    let path = cgroup(cctl, container).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
}

/// That hardly any process of ours was taken for one that hangs: whoever watches them learns how slow the machine is, which
/// now and then does not run one of its processors for a second, and does not know it.
fn few_seemed_to_hang(cctl: &Instance) {
    let logs = cctl.root().join("logs");
    let killed = |log: &str, service: &str, what: &str| {
        let text = fs::read_to_string(logs.join(log)).unwrap();
        text.lines().filter(|line| line.contains(service) && line.contains(what)).count()
    };
    for row in cctl.status() {
        let name = row["name"].as_str().unwrap();
        assert!(killed("supervisor.log", &format!("\"service\":\"{name}\""), "no sign of life") <= 2, "{row}");
        assert!(!row["last_error"].as_str().unwrap().contains("was not ready"), "{row}");
    }
    assert!(killed("keeper.log", "", "the supervisor hangs") <= 2);
}

/// Version of the kernel.
fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|part| part.parse().unwrap_or_default());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn the_doctor_finds_nothing_wrong() {
    let cctl = Instance::prepare();
    let text = cctl.command(&["system", "doctor"]).env("CCTL_RUN", "/run/cctl-doctor").output().unwrap();
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(text.contains("\n0 problems, 0 warnings\n"), "{text}");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let kernel = format!("ok        kernel         Linux {release}");
    for line in [kernel.as_str(), "ok        cgroups        v2\n", "ok        limits by      memory, cpu, pids\n"] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
}
