//! What one request of a user did, in all processes.

use harness::Instance;
use std::collections::BTreeSet;

/// The processes that have logged something for a request.
fn processes(cctl: &Instance, request: &str) -> BTreeSet<String> {
    let text = cctl.cctl(&["system", "logs", "--request", request, "--format", "json"]).ok();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.map(|line| line["process"].as_str().unwrap().to_owned()).collect()
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[test]
fn one_run_is_found_in_every_service_that_worked_for_it() {
    let cctl = Instance::start();
    let run = |request: &str, arguments: &[&str]| {
        let output = cctl.command(arguments).env("CCTL_REQUEST", request).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    run("5eed000001", &["run", "--name", "one", "base", "true"]);
    let all = set(["containers", "executor", "filesystem", "image-store", "log-collector", "network"]);
    assert_eq!(processes(&cctl, "5eed000001"), all);
    let text = cctl.cctl(&["system", "logs", "--request", "5eed000001"]).ok();
    let order = ["executor.prepare", "executor.start", "containers.run"];
    let places: Vec<_> = order.iter().map(|method| text.find(&format!("method={method} ")).expect(method)).collect();
    assert!(places.is_sorted(), "{text}");
    let times: Vec<&str> = text.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert!(times.is_sorted(), "{text}");
    // Another request is another.
    run("5eed000002", &["rm", "one"]);
    assert!(processes(&cctl, "5eed000002").contains("containers"));
    assert_eq!(processes(&cctl, "5eed000001"), all);
    // A further process in a container belongs to whoever started it.
    cctl.cctl(&["run", "-d", "--name", "two", "base", "sleep", "600"]).ok();
    run("5eed000003", &["exec", "two", "true"]);
    assert!(processes(&cctl, "5eed000003").is_superset(&set(["containers", "executor", "log-collector"])));
    // One service alone, and nobody's request.
    let text = cctl.cctl(&["system", "logs", "--request", "5eed000001", "network"]).ok();
    assert!(text.lines().count() > 0 && text.lines().all(|line| line.starts_with("network ")), "{text}");
    assert_eq!(cctl.cctl(&["system", "logs", "--request", "0123456789abcdef"]).ok(), "");
}

#[test]
fn the_log_of_a_service_is_for_people_and_for_programs() {
    let cctl = Instance::start();
    let text = cctl.cctl(&["system", "logs", "executor"]).ok();
    assert!(text.lines().any(|line| line.contains(" INFO ") && line.contains("ready")), "{text}");
    assert!(!text.contains('{') || !text.starts_with('{'), "{text}");
    let json = cctl.cctl(&["system", "logs", "--format", "json", "executor"]).ok();
    for line in json.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(line["timestamp"].is_string() && line["fields"]["message"].is_string(), "{line}");
    }
    let refused = cctl.command(&["ps"]).env("CCTL_REQUEST", "not hexadecimal").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    cctl.cctl(&["system", "logs", "--request", "xyz"]).fails(125, &["xyz"]);
    cctl.cctl(&["system", "logs"]).fails(1, &["SERVICE"]);
}

#[test]
fn an_unexpected_failure_says_where_to_look() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["create", "--name", "box", "base", "true"]).ok();
    // A file where a directory is to be made: nothing that a user could have done wrong.
    let place = cctl.runtime().join("sandboxes").join(&id);
    std::fs::write(&place, "").unwrap();
    let start = cctl.command(&["start", "box"]).env("CCTL_REQUEST", "5eed00000f").output().unwrap();
    std::fs::remove_file(&place).unwrap();
    let said = String::from_utf8_lossy(&start.stderr).into_owned();
    assert_eq!(start.status.code(), Some(1), "{said}");
    assert!(said.contains("cctl system logs --request 5eed00000f"), "{said}");
    let text = cctl.cctl(&["system", "logs", "--request", "5eed00000f", "executor"]).ok();
    assert!(text.contains("failed") && text.contains(&id), "{text}");
    cctl.cctl(&["start", "box"]).ok();
}

#[test]
fn a_profile_shows_when_each_part_was_done() {
    let cctl = Instance::start();
    let run = cctl.cctl(&["run", "--rm", "--profile", "base", "sh", "-c", "echo said; exit 3"]);
    assert_eq!((run.code, run.stdout.as_str()), (3, "said\n"), "{run:?}");
    assert!(run.stderr.starts_with("cctl: profile of request "), "{}", run.stderr);
    // A line each: what the client did, and what others did for it, set in beneath.
    for phase in ["read the command line", "start", "until it has ended", "remove"] {
        assert!(run.stderr.lines().any(|line| line.starts_with(&format!("cctl: {phase} "))), "{}", run.stderr);
    }
    for (method, depth) in
        [("containers.run", 2), ("executor.prepare", 4), ("filesystem.mount", 4), ("network.attach", 4)]
    {
        let line = run.stderr.lines().find(|line| line.trim_start().starts_with(method)).expect(method);
        assert_eq!(line.len() - line.trim_start().len(), depth, "{}", run.stderr);
        assert!(line.contains('█'), "{line}");
    }
    // In the order of their beginnings, whoever tells them.
    let begins = run.stderr.lines().skip(1).map(|line| {
        let lasted = line.find(" +").unwrap();
        line[..lasted].split_whitespace().last().unwrap().parse::<f64>().unwrap()
    });
    assert!(begins.collect::<Vec<_>>().is_sorted(), "{}", run.stderr);
    cctl.cctl(&["run", "-d", "--name", "box", "base", "sleep", "600"]).ok();
    let exec = cctl.cctl(&["exec", "--profile", "box", "true"]);
    assert!(exec.code == 0 && exec.stderr.contains("containers.exec"), "{exec:?}");
    // One that fails shows where.
    let failed = cctl.cctl(&["run", "--rm", "--profile", "base", "/no/such"]);
    assert_eq!(failed.code, 127, "{failed:?}");
    assert!(
        failed.stderr.lines().any(|line| line.contains("executor.start") && line.contains("failed: ")),
        "{failed:?}"
    );
}
