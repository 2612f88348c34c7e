//! Start, stop, kill, wait, restart, remove, list.

use harness::{Instance, eventually};

const FOREVER: [&str; 3] = ["base", "sleep", "600"];

fn running(cctl: &Instance, options: &[&str]) -> String {
    cctl.cctl(&[&["run", "-d"], options, &FOREVER].concat()).ok()
}

#[test]
fn stopped_containers_stay_until_they_are_removed() {
    let cctl = Instance::start();
    let id = running(&cctl, &["--name", "web"]);
    let table = cctl.cctl(&["ps"]).ok();
    let mut rows = table.lines();
    let header: Vec<&str> = rows.next().unwrap().split_whitespace().collect();
    assert_eq!(header.join(" "), "CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES");
    let row = rows.next().unwrap();
    for word in [&id[..12], "base", "sleep 600", "Up ", "web"] {
        assert!(row.contains(word), "{word} in {row}");
    }
    assert!(rows.next().is_none());

    assert_eq!(cctl.cctl(&["kill", "web"]).ok(), "web");
    assert_eq!(cctl.cctl(&["wait", "web"]).ok(), "137");
    assert_eq!(cctl.cctl(&["ps", "-q"]).ok(), "");
    assert_eq!(cctl.cctl(&["ps", "-aq"]).ok(), id[..12]);
    assert!(cctl.cctl(&["ps", "-a"]).ok().contains("Exited (137)"));

    assert_eq!(cctl.cctl(&["start", "web"]).ok(), "web");
    assert_eq!(cctl.cctl(&["ps", "-q"]).ok(), id[..12]);
    cctl.cctl(&["rm", "web"]).fails(1, &["web", "running", "-f"]);
    assert_eq!(cctl.cctl(&["rm", "-f", "web"]).ok(), "web");
    cctl.cctl(&["rm", "web"]).fails(1, &["web"]);
    assert_eq!(cctl.cctl(&["ps", "-aq"]).ok(), "");
}

#[test]
fn stop_asks_before_it_kills() {
    let cctl = Instance::start();
    let polite = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
    let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", polite]).ok();
    eventually("it listens to the signal", || cctl.cctl(&["logs", &id]).ok().contains("ready").then_some(()));
    assert_eq!(cctl.cctl(&["stop", &id]).ok(), id);
    assert_eq!(cctl.cctl(&["wait", &id]).ok(), "3");
    assert_eq!(cctl.cctl(&["logs", &id]).ok(), "ready\nbye");
    assert_eq!(cctl.cctl(&["stop", &id]).ok(), id, "stopping what is stopped is done");

    // PID 1 ignores signals that it has no handler for: it is killed when its time is over.
    let deaf = running(&cctl, &[]);
    cctl.cctl(&["stop", "-t", "1", &deaf]).ok();
    assert_eq!(cctl.cctl(&["wait", &deaf]).ok(), "137");
    cctl.cctl(&["rm", &id, &deaf]).ok();
}

#[test]
fn signals_have_names_and_numbers() {
    let cctl = Instance::start();
    let script = "trap 'echo usr1' USR1; trap 'echo usr2' USR2; echo ready; while :; do sleep 0.05; done";
    let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", script]).ok();
    let logged = |text: &str| eventually(text, || cctl.cctl(&["logs", &id]).ok().contains(text).then_some(()));
    logged("ready");
    cctl.cctl(&["kill", "-s", "USR1", &id]).ok();
    logged("usr1");
    cctl.cctl(&["kill", "-s", "12", &id]).ok();
    logged("usr2");
    cctl.cctl(&["kill", "--signal", "SIGKILL", &id]).ok();
    assert_eq!(cctl.cctl(&["wait", &id]).ok(), "137");
    cctl.cctl(&["rm", &id]).ok();
}

#[test]
fn restart_keeps_the_writable_layer_and_appends_to_the_log() {
    let cctl = Instance::start();
    let script = "echo run >> /count; cat /count; trap 'exit 0' TERM; while :; do sleep 0.05; done";
    let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", script]).ok();
    let logged = |count: usize| {
        eventually("the log", || (cctl.cctl(&["logs", &id]).ok().lines().count() == count).then_some(()));
    };
    logged(1);
    assert_eq!(cctl.cctl(&["restart", "-t", "5", &id]).ok(), id);
    logged(3);
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn names_and_prefixes_find_containers() {
    let cctl = Instance::start();
    let id = running(&cctl, &["--name", "one"]);
    for reference in ["one", &id, &id[..12], &id[..6]] {
        assert!(cctl.cctl(&["inspect", reference]).ok().contains(&id));
    }
    cctl.cctl(&["inspect", &id[6..12]]).fails(1, &[&id[6..12]]);
    cctl.cctl(&[&["run", "-d", "--name", "one"], &FOREVER[..]].concat()).fails(125, &["one", "in use"]);
    let other = running(&cctl, &[]);
    assert_ne!(id, other);
    assert_eq!(cctl.cctl(&["ps", "-q"]).ok(), format!("{}\n{}", &other[..12], &id[..12]), "newest first");
}

#[test]
fn verbs_go_on_after_a_bad_name() {
    let cctl = Instance::start();
    let id = running(&cctl, &[]);
    let output = cctl.cctl(&["kill", "nope", &id]);
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("nope") && output.stdout.contains(&id), "{output:?}");
    assert_eq!(cctl.cctl(&["wait", &id]).ok(), "137");
}

#[test]
fn detached_containers_with_rm_go_by_themselves() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "--rm", "base", "true"]).ok();
    eventually("it is removed", || cctl.cctl(&["ps", "-aq"]).ok().is_empty().then_some(()));
    cctl.cctl(&["inspect", &id]).fails(1, &[&id]);
}
