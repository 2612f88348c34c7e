//! What our processes may do: by the kernel's word, by the manifest's, and by `cctl system audit`'s.

use harness::Instance;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

/// The manifest's entry of a service, as text.
fn entry(service: &str) -> &'static str {
    let manifest = include_str!("../../deploy/services.toml");
    let name = format!("\nname = \"{service}\"\n");
    manifest.split("[[service]]").find(|entry| entry.contains(&name)).unwrap()
}

/// A key of it.
fn key(service: &str, key: &str) -> Option<&'static str> {
    entry(service).lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))
}

/// The numbers in a line of /proc/PID/status.
fn status(pid: i64, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t")).unwrap();
    line.trim().to_owned()
}

fn capabilities(pid: i64, set: &str) -> u64 {
    u64::from_str_radix(&status(pid, set), 16).unwrap()
}

fn root(pid: i64, path: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/root")).join(path.trim_start_matches('/'))
}

/// Opens the directory above, so that it is not that which keeps anybody away.
fn open(cctl: &Instance) {
    fs::set_permissions(cctl.scratch(), PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn each_process_holds_what_the_manifest_says_and_no_more() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "base", "sleep", "600"]).ok();
    let audit = || {
        let output = cctl.cctl(&["system", "audit", "--format", "json"]);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""));
        serde_json::from_str::<Vec<Value>>(&output.stdout).unwrap()
    };
    let rows = audit();
    let names: Vec<&str> = rows.iter().map(|row| row["process"].as_str().unwrap()).collect();
    let monitor = format!("monitor {}", &id[..12]);
    let expected =
        ["supervisor", "keeper", "image-store", "filesystem", "network", "executor", "log-collector", "containers"];
    assert_eq!(names, [&expected[..], &[monitor.as_str()]].concat());
    let mut users = BTreeSet::new();
    for row in &rows {
        let (name, pid) = (row["process"].as_str().unwrap(), row["pid"].as_i64().unwrap());
        // By the kernel's word, too.
        let uids = status(pid, "Uid");
        let uid = row["uid"].to_string();
        assert!(uids.split('\t').all(|field| field == uid), "{name}: {uids}");
        assert_eq!(row["no_new_privileges"] == true, status(pid, "NoNewPrivs") == "1", "{name}");
        assert_eq!(row["seccomp"] == true, status(pid, "Seccomp") == "2", "{name}");
        let held = row["capabilities"].as_array().unwrap();
        assert_eq!(held.len(), capabilities(pid, "CapPrm").count_ones() as usize, "{name}");
        if !["image-store", "filesystem", "network", "executor", "log-collector", "containers"].contains(&name) {
            assert_eq!(uid, "0");
            continue;
        }
        assert_eq!(row["seccomp"] == true, key(name, "seccomp") != Some("\"none\""), "{row}");
        match key(name, "capabilities") {
            Some("\"all\"") => assert_eq!(name, "executor"),
            None => assert!(held.is_empty(), "{row}"),
            Some(list) => {
                let wanted: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
                let held: BTreeSet<&str> = held.iter().map(|name| name.as_str().unwrap()).collect();
                assert!(held.is_subset(&wanted), "{row}");
            }
        }
        let own = |kind: &str| row["namespaces"].as_array().unwrap().contains(&Value::from(kind));
        assert_eq!(own("net"), key(name, "network") == Some("\"none\""), "{row}");
        assert_eq!(own("mnt"), key(name, "user").is_some(), "{row}");
        // The kernel does not tell; that it does what is said is tested where the rules are made.
        assert_eq!(row["landlock"].as_u64().unwrap() > 0, key(name, "user").is_some(), "{row}");
        if key(name, "user").is_some() {
            assert_ne!(uid, "0");
            users.insert(uid);
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert_eq!(capabilities(pid, set), 0, "{name}: {set}");
            }
            assert_eq!(status(pid, "Groups"), "", "{name}");
        }
    }
    assert_eq!(users.len(), 3, "each is somebody else");
    // Whoever is restarted is as before.
    cctl.kill_service("containers");
    assert_eq!(audit().len(), rows.len());
    let table = cctl.cctl(&["system", "audit"]).ok();
    assert!(table.starts_with("PROCESS") && table.contains(&monitor), "{table}");
}

#[test]
fn a_service_without_privileges_sees_its_own_files_and_nothing_else() {
    let cctl = Instance::start();
    open(&cctl);
    let (state, run) = (cctl.root(), cctl.runtime());
    for service in ["image-store", "log-collector", "containers"] {
        let pid = i64::from(cctl.pid(service));
        let sees = |path: &str| root(pid, path).exists();
        assert!(sees(state.join(service).to_str().unwrap()) && sees("/proc/self"), "{service}");
        for path in ["/bin/sh", "/usr/bin/env", "/sbin", "/boot", "/dev/kmsg", "/sys/kernel"] {
            assert!(!sees(path), "{service} sees {path}");
        }
        let names = |path: PathBuf| -> BTreeSet<String> {
            fs::read_dir(root(pid, path.to_str().unwrap()))
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        };
        assert_eq!(names(state.clone()), BTreeSet::from([service.to_owned(), "logs".to_owned()]), "{service}");
        let logs = BTreeSet::from([format!("{service}.log"), format!("{service}.log.1")]);
        assert_eq!(names(state.join("logs")), logs, "{service}");
        let needs = key(service, "needs").unwrap().split('"').skip(1).step_by(2);
        let mut expected: BTreeSet<String> = needs.map(|need| format!("{need}.sock")).collect();
        expected.extend(["access".to_owned(), "notify".to_owned()]);
        expected.extend((service == "log-collector").then(|| "sandboxes".to_owned()));
        assert_eq!(names(run.clone()), expected, "{service}");
        let other = if service == "containers" { "image-store" } else { "containers" };
        let mut command = std::process::Command::new("ls");
        let uid = status(pid, "Uid").split('\t').next().unwrap().parse().unwrap();
        let tried = command.arg(state.join(other)).uid(uid).output().unwrap();
        assert!(!tried.status.success(), "{service} may look into the state of {other}");
    }
}

#[test]
fn another_user_of_the_host_reaches_nobody() {
    let cctl = Instance::start();
    open(&cctl);
    for arguments in [&["ps"][..], &["images"], &["system", "status"]] {
        let mut command = cctl.command(arguments);
        command.uid(12_345).gid(12_345);
        let output = harness::Output::from(command.output().unwrap());
        output.fails(1, &["no permission"]);
    }
}
