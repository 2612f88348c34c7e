//! Sandboxes that stand ready before anybody asks for one.

use harness::{Instance, base_image, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// Starts one that keeps up to three.
fn start() -> Instance {
    let cctl = Instance::prepare();
    fs::create_dir_all(cctl.config()).unwrap();
    fs::write(cctl.config().join("containers.toml"), "spares = 3\n").unwrap();
    cctl.cctl(&["system", "start"]).ok();
    cctl.cctl_with_input(&["import", "-", "base"], base_image()).ok();
    cctl
}

/// The sandboxes there are.
fn sandboxes(cctl: &Instance) -> BTreeSet<String> {
    let entries = fs::read_dir(cctl.runtime().join("sandboxes")).unwrap().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Waits until some stand ready.
fn ready(cctl: &Instance) -> BTreeSet<String> {
    eventually("some stand ready", || Some(sandboxes(cctl)).filter(|found| found.len() == 3))
}

fn runs(cctl: &Instance) {
    let script = "hostname; id -u; grep -c eth0 /proc/net/dev; cut -d' ' -f11 /proc/self/uid_map | head -c 1";
    let said = cctl.cctl(&["run", "--rm", "base", "sh", "-c", script]).ok();
    let words: Vec<_> = said.split_whitespace().collect();
    assert_eq!((words[0].len(), &words[1..3]), (12, &["0", "1"][..]), "{said}");
}

fn monitors(cctl: &Instance) -> Vec<i32> {
    let entries = fs::read_dir(cctl.runtime().join("sandboxes")).unwrap().flatten();
    let records = entries.filter_map(|entry| fs::read(entry.path().join("sandbox.json")).ok());
    let records = records.filter_map(|record| serde_json::from_slice::<Value>(&record).ok());
    records.map(|record| i32::try_from(record["monitor"]["pid"].as_i64().unwrap()).unwrap()).collect()
}

#[test]
fn a_container_is_started_in_one_that_stands_ready_and_nobody_sees_the_others() {
    let cctl = start();
    for _ in 0..4 {
        runs(&cctl);
    }
    let before = ready(&cctl);
    assert_eq!(cctl.cctl(&["ps", "-aq"]).ok(), "");
    assert_eq!(cctl.cctl(&["system", "check"]).code, 0);
    let id = cctl.cctl(&["run", "-d", "--rm", "base", "sleep", "600"]).ok();
    assert!(before.contains(&id), "{id} is none of {before:?}");
    // Of another kind there is none yet.
    let other = cctl.cctl(&["run", "-d", "--network", "none", "--name", "other", "base", "sleep", "600"]).ok();
    assert!(!before.contains(&other));
    assert_eq!(cctl.cctl(&["exec", "other", "grep", "-c", "eth0", "/proc/net/dev"]).stdout.trim(), "0");
    assert_eq!(cctl.cctl(&["ps", "-q"]).ok().lines().count(), 2);
    cctl.cctl(&["rm", "-f", &id, "other"]).ok();
}

#[test]
fn whoever_is_killed_the_next_container_starts() {
    let cctl = start();
    for killed in ["containers", "executor", "network", "supervisor"] {
        for _ in 0..4 {
            runs(&cctl);
        }
        ready(&cctl);
        cctl.kill_service(killed);
        runs(&cctl);
    }
    for _ in 0..4 {
        runs(&cctl);
    }
    ready(&cctl);
    for pid in monitors(&cctl) {
        // It may have gone with its sandbox.
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
    }
    for _ in 0..5 {
        runs(&cctl);
    }
}
