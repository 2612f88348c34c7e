//! What is recorded, and that it stays.

use crate::host::{self, ALICE};
use crate::{audit, projects};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn what_was_answered_is_recorded_whoever_is_killed() {
    let cctl = host::start(projects::WEB);
    let id = cctl.cctl(&["create", "--name", "box", "-e", "PASSWORD=hush", "base", "sh", "-c", "hush"]).ok();
    for round in 0..5 {
        let name = format!("name{round}");
        cctl.cctl(&["rename", &id, &name]).ok();
        cctl.kill_service("containers");
    }
    let renamed = audit(&cctl, &["--verb", "rename", "--format", "{{.Object}} {{.Details}} {{.Outcome}} {{.UID}}"]);
    let expected: Vec<String> = (0..5).map(|round| format!("{id} name=name{round} ok 0")).collect();
    assert_eq!(renamed, expected);
    assert!(!audit(&cctl, &["--format", "json"]).iter().any(|line| line.contains("hush")));
    // Failures are told as such, also those that are nobody's fault.
    assert_ne!(cctl.cctl(&["stop", "unheard"]).code, 0);
    host::run(&cctl, ALICE, &["system", "restart"]).fails(1, &["may not call"]);
    let last = audit(&cctl, &["-n", "2", "--format", "{{.Method}} {{.Object}} {{.Outcome}} {{.Role}}"]);
    assert_eq!(last, ["containers.stop unheard notFound admin", "supervisor.restart  permissionDenied project web"]);
    assert_eq!(audit(&cctl, &["--since", "1h", "--until", "59m", "--format", "{{.Method}}"]), [""; 0]);
    let rows = audit(&cctl, &[]);
    assert!(rows[0].starts_with("TIME") && rows.len() > 8, "{rows:#?}");
    cctl.cctl(&["system", "audit-log", "--user", "unheard"]).fails(1, &["unheard"]);
}

#[test]
fn each_service_writes_its_own_and_no_other() {
    let cctl = host::start("");
    cctl.cctl(&["run", "--rm", "base", "true"]).ok();
    let mut owners = Vec::new();
    for service in ["containers", "image-store"] {
        let directory = cctl.root().join(service).join("audit");
        let file = fs::read_dir(&directory).unwrap().next().unwrap().unwrap().metadata().unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{service}");
        assert_eq!(cctl.root().join(service).metadata().unwrap().permissions().mode() & 0o077, 0, "{service}");
        owners.push(file.uid());
    }
    assert!(owners[0] != owners[1] && !owners.contains(&0));
    // What was damaged harms no other record, nor what comes after it.
    let directory = cctl.root().join("containers/audit");
    let path = fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&path).unwrap();
    bytes[3] = 0xff;
    bytes.truncate(bytes.len() - 5);
    fs::write(&path, bytes).unwrap();
    cctl.kill_service("containers");
    cctl.cctl(&["create", "--name", "after", "base", "true"]).ok();
    let output = cctl.cctl(&["system", "audit-log", "--verb", "create", "-n", "1", "--format", "{{.Details}}"]);
    assert!(output.stderr.contains("damaged") && output.stdout.contains("name=after"), "{output:?}");
}
