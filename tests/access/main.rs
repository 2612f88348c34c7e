//! Who may do what: admins, viewers, users of projects, and those without any role. With users and groups of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit_log;
mod host;
mod methods;
mod projects;
mod wire;

use harness::Instance;
use host::{ADMIN, ALICE, NOBODY, VIEWER, VISITOR};

#[test]
fn a_viewer_looks_and_does_nothing() {
    let cctl = host::start("");
    cctl.cctl(&["run", "-d", "--name", "box", "-e", "A=b", "base", "sh", "-c", "echo said; exec sleep 600"]).ok();
    // By its first group, and by one of several.
    for who in [VIEWER, VISITOR] {
        let viewer = |arguments: &[&str]| host::run(&cctl, who, arguments);
        assert_eq!(viewer(&["ps", "--format", "{{.Names}}"]).ok(), "box");
        assert_eq!(viewer(&["logs", "box"]).ok(), "said");
        assert!(viewer(&["images"]).ok().contains("base"));
        for look in [
            &["inspect", "box"][..],
            &["info"],
            &["version"],
            &["top", "box"],
            &["stats", "--no-stream", "box"],
            &["diff", "box"],
            &["port", "box"],
            &["history", "base"],
            &["system", "status"],
            &["events", "--since", "1h", "--until", "0s"],
        ] {
            viewer(look).ok();
        }
        for (code, deed) in [
            (1, &["stop", "box"][..]),
            (1, &["kill", "box"]),
            (1, &["pause", "box"]),
            (1, &["rename", "box", "other"]),
            (1, &["rm", "-f", "box"]),
            (1, &["rmi", "-f", "base"]),
            (1, &["tag", "base", "other"]),
            (1, &["commit", "box", "other"]),
            (1, &["export", "box"]),
            (1, &["system", "restart", "executor"]),
            (1, &["system", "audit-log"]),
            (1, &["system", "stop"]),
            (125, &["run", "base", "true"]),
            (1, &["create", "base", "true"]),
        ] {
            viewer(deed).fails(code, &["may not call"]);
        }
        let exec = viewer(&["exec", "box", "true"]);
        assert!(exec.code != 0 && exec.stderr.contains("may not call"), "{exec:?}");
    }
    assert_eq!(cctl.cctl(&["ps", "--format", "{{.Names}} {{.State}}"]).ok(), "box running");
}

#[test]
fn a_member_of_the_group_cctl_is_as_good_as_root() {
    let cctl = host::start("");
    let admin = |arguments: &[&str]| host::run(&cctl, ADMIN, arguments);
    assert_eq!(admin(&["run", "--rm", "-v", "/etc:/host", "base", "cat", "/host/hostname"]).code, 0);
    let id = admin(&["run", "-d", "base", "sleep", "600"]).ok();
    admin(&["exec", &id, "true"]).ok();
    // But for the files that are root's alone: what of a profile is in them is missing, and nothing else.
    let profile = admin(&["exec", "--profile", &id, "true"]);
    assert!(profile.code == 0 && profile.stderr.contains("cctl: start "), "{profile:?}");
    assert!(profile.stderr.contains("Permission denied") && profile.stderr.contains("as root"), "{profile:?}");
    admin(&["system", "restart", "containers"]).ok();
    admin(&["rm", "-f", &id]).ok();
    admin(&["system", "check"]).ok();
    let log =
        admin(&["system", "audit-log", "--user", &ADMIN.uid.to_string(), "--format", "{{.Role}} {{.Method}}"]).ok();
    for line in ["admin containers.run", "admin containers.exec", "admin supervisor.restart"] {
        assert!(log.lines().any(|one| one == line), "{line}: {log}");
    }
}

#[test]
fn who_has_no_role_reaches_nobody() {
    let cctl = host::start(projects::WEB);
    for arguments in [&["ps"][..], &["images"], &["system", "status"], &["run", "base", "true"]] {
        let output = host::run(&cctl, NOBODY, arguments);
        assert!(output.code != 0 && output.stderr.contains("no permission"), "{output:?}");
    }
    // Those who have one reach no inner service either.
    for who in [ADMIN, VIEWER, ALICE] {
        for service in ["executor", "filesystem", "network"] {
            let error = host::connect(&cctl, who, service).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{service}");
        }
    }
}

/// The rows of the audit log that a template makes.
fn audit(cctl: &Instance, arguments: &[&str]) -> Vec<String> {
    let text = cctl.cctl(&[&["system", "audit-log"], arguments].concat()).ok();
    text.lines().map(str::to_owned).collect()
}
