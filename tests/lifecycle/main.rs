//! What today's users do with containers besides running them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod spares;

use harness::{Instance, eventually};
use serde_json::Value;
use std::time::{Duration, Instant};

fn status(cctl: &Instance, name: &str) -> String {
    cctl.cctl(&["ps", "-a", "--filter", &format!("name={name}"), "--format", "{{.Status}}"]).ok()
}

#[test]
fn a_paused_container_stands_still_and_goes_on() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "box", "base", "sh", "-c", "while :; do echo tick; sleep 0.02; done"]).ok();
    eventually("it ticks", || cctl.cctl(&["logs", "box"]).stdout.contains("tick").then_some(()));
    assert_eq!(cctl.cctl(&["pause", "box"]).ok(), "box");
    assert!(status(&cctl, "box").contains("(Paused)"));
    let before = cctl.cctl(&["logs", "box"]).ok().lines().count();
    std::thread::sleep(Duration::from_millis(300));
    assert!(cctl.cctl(&["logs", "box"]).ok().lines().count() <= before + 1, "nothing runs");
    cctl.cctl(&["exec", "box", "true"]).fails(1, &["box", "paused"]);
    for service in ["containers", "executor"] {
        cctl.kill_service(service);
        assert!(status(&cctl, "box").contains("(Paused)"), "{service}");
    }
    assert_eq!(cctl.cctl(&["unpause", "box"]).ok(), "box");
    eventually("it goes on", || (cctl.cctl(&["logs", "box"]).ok().lines().count() > before + 1).then_some(()));
    cctl.cctl(&["pause", "box"]).ok();
    assert_eq!(cctl.cctl(&["stop", "-t", "1", "box"]).ok(), "box", "a paused container can be stopped");
    cctl.cctl(&["pause", "box"]).fails(1, &["box", "not running"]);
}

#[test]
fn a_name_can_be_changed() {
    let cctl = Instance::start();
    cctl.cctl(&["create", "--name", "old", "base", "true"]).ok();
    cctl.cctl(&["create", "--name", "other", "base", "true"]).ok();
    cctl.cctl(&["rename", "old", "other"]).fails(1, &["other"]);
    cctl.cctl(&["rename", "old", "new"]).ok();
    cctl.kill_service("containers");
    assert_eq!(cctl.cctl(&["start", "-a", "new"]).code, 0);
    cctl.cctl(&["inspect", "old"]).fails(1, &["old"]);
    cctl.cctl(&["rename", "new", "bad name"]).fails(1, &["bad name"]);
}

#[test]
fn top_and_stats_show_what_runs() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "box", "-m", "64m", "base", "sh", "-c", "sleep 600 & while :; do :; done"]).ok();
    let top = eventually("both processes", || {
        let top = cctl.cctl(&["top", "box"]);
        (top.stdout.contains("sleep 600") && top.stdout.lines().count() == 3).then_some(top.stdout)
    });
    assert!(top.starts_with("UID"), "{top}");
    let stats = cctl.cctl(&["stats", "--no-stream", "--format", "json", "box"]).ok();
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["Name"], "box");
    assert!(stats["MemUsage"].as_str().unwrap().contains("/ 64MiB"), "{stats}");
    let cpu: f64 = stats["CPUPerc"].as_str().unwrap().trim_end_matches('%').parse().unwrap();
    assert!(cpu > 1.0, "{stats}");
    assert_eq!(stats["PIDs"], "2");
    cctl.cctl(&["stop", "-t", "0", "box"]).ok();
    cctl.cctl(&["top", "box"]).fails(1, &["not running"]);
}

#[test]
fn events_tell_what_happened_once_and_in_order() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "--name", "box", "base", "sh", "-c", "exit 3"]);
    cctl.kill_service("containers");
    cctl.cctl(&["rm", "box"]).ok();
    let events = cctl
        .cctl(&["events", "--since", "1h", "--until", "0s", "--filter", "container=box", "--format", "{{.Action}}"])
        .ok();
    let actions: Vec<&str> = events.lines().collect();
    assert_eq!(actions, ["create", "start", "die", "destroy"]);
    let die =
        cctl.cctl(&["events", "--since", "1h", "--until", "0s", "--filter", "event=die", "--format", "json"]).ok();
    let die: Value = serde_json::from_str(&die).unwrap();
    assert_eq!(die["Actor"]["Attributes"]["exitCode"], "3", "{die}");
}

#[test]
fn a_restart_policy_starts_it_again() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "box", "--restart", "on-failure:2", "base", "sh", "-c", "echo run; exit 4"])
        .ok();
    eventually("it gave up", || status(&cctl, "box").starts_with("Exited (4)").then_some(()));
    assert_eq!(cctl.cctl(&["logs", "box"]).ok(), "run\nrun\nrun");
    let restarts = cctl.cctl(&["inspect", "-f", "{{.RestartCount}}", "box"]).ok();
    assert_eq!(restarts, "2");
    cctl.cctl(&["run", "-d", "--name", "always", "--restart", "always", "base", "sh", "-c", "echo run; sleep 0.1"])
        .ok();
    eventually("it runs again and again", || (cctl.cctl(&["logs", "always"]).ok().lines().count() >= 3).then_some(()));
    cctl.kill_service("containers");
    let count = cctl.cctl(&["logs", "always"]).ok().lines().count();
    eventually("also after the manager was killed", || {
        (cctl.cctl(&["logs", "always"]).ok().lines().count() > count).then_some(())
    });
    cctl.cctl(&["stop", "-t", "0", "always"]).ok();
    let count = cctl.cctl(&["logs", "always"]).ok().lines().count();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(cctl.cctl(&["logs", "always"]).ok().lines().count(), count, "a stopped one stays stopped");
    cctl.cctl(&["run", "--rm", "--restart", "always", "base", "true"]).fails(125, &["--rm", "--restart"]);
}

#[test]
fn the_stop_signal_and_its_patience_can_be_chosen() {
    let cctl = Instance::start();
    let script = "trap 'echo usr1; exit 0' USR1; trap '' TERM; echo ready; while :; do sleep 0.05; done";
    cctl.cctl(&["run", "-d", "--name", "box", "--stop-signal", "USR1", "base", "sh", "-c", script]).ok();
    eventually("it is ready", || cctl.cctl(&["logs", "box"]).stdout.contains("ready").then_some(()));
    cctl.cctl(&["stop", "box"]).ok();
    assert!(cctl.cctl(&["logs", "box"]).ok().ends_with("usr1"));
    cctl.cctl(&[
        "run",
        "-d",
        "--name",
        "deaf",
        "--stop-timeout",
        "1",
        "base",
        "sh",
        "-c",
        "trap '' TERM; echo ready; while :; do sleep 0.05; done",
    ])
    .ok();
    eventually("it is ready", || cctl.cctl(&["logs", "deaf"]).stdout.contains("ready").then_some(()));
    let begin = Instant::now();
    cctl.cctl(&["stop", "deaf"]).ok();
    assert!((1..8).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    assert!(status(&cctl, "deaf").starts_with("Exited (137)"));
}

#[test]
fn labels_filters_and_templates_find_containers() {
    let cctl = Instance::start();
    cctl.cctl(&["create", "--name", "alpha", "--label", "tier=web", "base", "true"]).ok();
    cctl.cctl(&["create", "--name", "beta", "--label", "tier=db", "base", "true"]).ok();
    cctl.cctl(&["run", "-d", "--name", "box", "base", "sleep", "600"]).ok();
    let ps = |arguments: &[&str]| cctl.cctl(&[&["ps", "-a", "--format", "{{.Names}}"], arguments].concat()).ok();
    assert_eq!(ps(&["--filter", "label=tier=web"]), "alpha");
    assert_eq!(ps(&["--filter", "label=tier"]), "beta\nalpha");
    assert_eq!(ps(&["--filter", "status=running"]), "box");
    assert_eq!(ps(&["-n", "1"]), "box");
    assert_eq!(ps(&["--filter", "ancestor=base"]), "box\nbeta\nalpha");
    cctl.cctl(&["ps", "--filter", "nonsense=1"]).fails(1, &["nonsense"]);
    cctl.cctl(&["ps", "--format", "{{.Nonsense"]).fails(125, &["{{.Nonsense"]);
    assert_eq!(cctl.cctl(&["inspect", "-f", "{{index .Config.Labels \"tier\"}}", "alpha"]).ok(), "web");
}

#[test]
fn hosts_and_name_servers_can_be_chosen() {
    let cctl = Instance::start();
    let run = ["run", "--rm", "--add-host", "db:10.1.2.3", "--dns", "9.9.9.9", "--dns-search", "example.com", "base"];
    let hosts = cctl.cctl(&[&run[..], &["cat", "/etc/hosts"]].concat()).ok();
    assert!(hosts.contains("10.1.2.3\tdb"), "{hosts}");
    let resolv = cctl.cctl(&[&run[..], &["cat", "/etc/resolv.conf"]].concat()).ok();
    assert!(resolv.contains("nameserver 9.9.9.9") && resolv.contains("search example.com"), "{resolv}");
}
