//! Monitors that are killed, on kernels that do not tell how a process ended whose parent is another.

use harness::{Instance, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;

/// The monitors of all sandboxes.
fn monitors(cctl: &Instance) -> Vec<i32> {
    let entries = fs::read_dir(cctl.runtime().join("sandboxes")).unwrap().flatten();
    let records = entries.filter_map(|entry| fs::read(entry.path().join("sandbox.json")).ok());
    let records = records.filter_map(|record| serde_json::from_slice::<Value>(&record).ok());
    records.map(|record| i32::try_from(record["monitor"]["pid"].as_i64().unwrap()).unwrap()).collect()
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn an_exit_code_outlives_the_monitor() {
    let cctl = Instance::start();
    for (killed, signal, code) in
        [(&[][..], "TERM", "21"), (&["executor"], "TERM", "21"), (&["supervisor"], "TERM", "21"), (&[], "KILL", "137")]
    {
        let script = "trap 'echo caught; exit 21' TERM; echo ready; while :; do usleep 20000; done";
        let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", script]).ok();
        eventually("it is ready", || cctl.cctl(&["logs", &id]).stdout.contains("ready").then_some(()));
        let before = monitors(&cctl);
        before.iter().copied().for_each(kill);
        eventually("another has taken over", || monitors(&cctl).iter().all(|pid| !before.contains(pid)).then_some(()));
        killed.iter().for_each(|name| kill(cctl.pid(name)));
        cctl.cctl(&["kill", "-s", signal, &id]).ok();
        assert_eq!(cctl.cctl(&["wait", &id]).ok(), code, "{killed:?}");
        cctl.cctl(&["rm", &id]).ok();
    }
}
