//! The system itself: its processes, its start and its end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod doctor;
mod privileges;
mod users;

use harness::{Instance, eventually};
use std::collections::BTreeSet;
use std::os::unix::fs::FileTypeExt;

const SERVICES: [&str; 6] = ["containers", "executor", "filesystem", "image-store", "log-collector", "network"];

#[test]
fn seven_processes_each_with_its_socket() {
    let cctl = Instance::start();
    let rows = cctl.status();
    let names: BTreeSet<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    let expected: BTreeSet<&str> = SERVICES.into_iter().chain(["supervisor"]).collect();
    assert_eq!(names, expected);
    let pids: BTreeSet<i64> = rows.iter().map(|row| row["pid"].as_i64().unwrap()).collect();
    assert_eq!(pids.len(), 7);
    for row in &rows {
        assert_eq!(row["state"], "ready");
        assert!(
            row["memory"].as_u64().unwrap() > 0 && row["uptime"].is_number() && row["restarts"].is_number(),
            "{row}"
        );
        let socket = cctl.runtime().join(format!("{}.sock", row["name"].as_str().unwrap()));
        assert!(std::fs::metadata(socket).unwrap().file_type().is_socket());
    }
    let table = cctl.cctl(&["system", "status"]).ok();
    for word in ["NAME", "PID", "STATE", "RESTARTS", "UPTIME", "MEMORY", "log-collector"] {
        assert!(table.contains(word), "{word} in {table}");
    }
}

#[test]
fn services_need_only_what_the_manifest_says() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manifest = std::fs::read_to_string(root.join("deploy/services.toml")).unwrap();
    let binaries = std::env::var_os("CCTL_BIN").map_or_else(|| root.join("target/release"), std::path::PathBuf::from);
    for service in SERVICES {
        let output = std::process::Command::new(binaries.join(service)).arg("--describe").output().unwrap();
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["service"], service);
        let section = manifest
            .split("[[service]]")
            .find(|section| section.contains(&format!("name = \"{service}\"")))
            .expect("a section of the manifest");
        let needs = section.split("needs = [").nth(1).unwrap().split(']').next().unwrap();
        let declared: BTreeSet<&str> =
            needs.split(',').map(|name| name.trim().trim_matches('"')).filter(|name| !name.is_empty()).collect();
        let used: BTreeSet<&str> =
            said["needs"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(declared, used, "{service}");
    }
}

#[test]
fn stop_leaves_containers_and_start_finds_them() {
    let cctl = Instance::start();
    let id = cctl
        .cctl(&["run", "-d", "--name", "on", "base", "sh", "-c", "i=0; while :; do echo $((i=i+1)); sleep 0.01; done"])
        .ok();
    let pid = |cctl: &Instance| {
        let inspected: serde_json::Value = serde_json::from_str(&cctl.cctl(&["inspect", "on"]).ok()).unwrap();
        inspected[0]["State"]["Pid"].as_i64().unwrap()
    };
    let before = pid(&cctl);
    cctl.cctl(&["system", "stop"]).ok();
    assert_ne!(cctl.cctl(&["ps"]).code, 0);
    assert!(std::path::Path::new(&format!("/proc/{before}")).exists());
    cctl.cctl(&["system", "start"]).ok();
    assert_eq!(pid(&cctl), before);
    let lines = eventually("the log goes on", || {
        let text = cctl.cctl(&["logs", &id]).ok();
        (text.lines().count() > 50).then_some(text)
    });
    assert!(lines.lines().zip(1..).all(|(line, number)| line == number.to_string()));
    assert_eq!(cctl.cctl(&["system", "start"]).code, 0, "starting what runs is done");
    cctl.cctl(&["rm", "-f", "on"]).ok();
}

#[test]
fn stop_with_containers_ends_everything() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "-p", "80", "--name", "one", "base", "sleep", "600"]).ok();
    cctl.cctl(&["system", "stop", "--containers", "-t", "1"]).ok();
    cctl.cctl(&["system", "start"]).ok();
    assert_eq!(cctl.cctl(&["ps", "-q"]).ok(), "");
    assert_eq!(cctl.cctl(&["start", "one"]).ok(), "one");
    cctl.cctl(&["rm", "-f", "one"]).ok();
}

#[test]
fn restart_replaces_services() {
    let cctl = Instance::start();
    let before = cctl.pid("network");
    cctl.cctl(&["system", "restart", "network"]).ok();
    assert_ne!(cctl.pid("network"), before);
    cctl.cctl(&["system", "restart"]).ok();
    assert!(cctl.status().iter().all(|row| row["state"] == "ready"));
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
}

#[test]
fn two_instances_live_side_by_side() {
    let cctl = Instance::start();
    let other = tempfile::tempdir().unwrap();
    let second = |arguments: &[&str]| -> harness::Output {
        cctl.command(arguments)
            .env("CCTL_ROOT", other.path().join("root"))
            .env("CCTL_RUN", other.path().join("run"))
            .output()
            .unwrap()
            .into()
    };
    second(&["system", "start"]).ok();
    assert_eq!(second(&["images", "-q"]).ok(), "");
    let archive = other.path().join("base.tar");
    let recipe = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/base-image");
    std::fs::write(&archive, std::process::Command::new(recipe).output().unwrap().stdout).unwrap();
    second(&["import", archive.to_str().unwrap(), "base"]).ok();
    let address = "ip -4 -o address show eth0 | awk '{print $4}'";
    let one = cctl.cctl(&["run", "--rm", "base", "sh", "-c", address]).ok();
    let two = second(&["run", "--rm", "base", "sh", "-c", address]).ok();
    assert_ne!(
        one.split('.').nth(2).unwrap().to_owned() + one.split('.').nth(1).unwrap(),
        two.split('.').nth(2).unwrap().to_owned() + two.split('.').nth(1).unwrap(),
        "{one} {two}"
    );
    second(&["system", "stop", "--containers"]).ok();
}

#[test]
fn version_and_info_say_what_runs() {
    let cctl = Instance::start();
    let version = cctl.cctl(&["version"]).ok();
    for name in SERVICES {
        assert!(version.contains(name), "{name} in {version}");
    }
    cctl.cctl(&["run", "-d", "base", "true"]).ok();
    assert!(cctl.cctl(&["info"]).ok().to_lowercase().contains("containers: 1"));
}

/// From the tree that `make install` makes, as a package has it; also when it is installed over itself.
#[test]
fn what_is_installed_runs() {
    let cctl = Instance::prepare();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let binaries = std::env::var_os("CCTL_BIN").map_or_else(|| root.join("target/release"), std::path::PathBuf::from);
    let place = cctl.scratch().join("package");
    for _again in 0..2 {
        let made = std::process::Command::new("make")
            .arg("install")
            .arg(format!("DESTDIR={}", place.display()))
            .arg(format!("BIN={}", binaries.display()))
            .current_dir(root)
            .env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL")
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let installed = |arguments: &[&str]| {
        let output = cctl.command_of(&place.join("usr/local/bin/cctl"), arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    installed(&["system", "start"]);
    let libexec = place.join("usr/local/libexec/cctl");
    for row in cctl.status() {
        let program = std::fs::read_link(format!("/proc/{}/exe", row["pid"])).unwrap();
        assert!(program.starts_with(&libexec), "{}", program.display());
    }
    let archive = cctl.scratch().join("base.tar");
    std::fs::write(&archive, harness::base_image()).unwrap();
    installed(&["import", &archive.display().to_string(), "base"]);
    assert_eq!(installed(&["run", "--rm", "base", "echo", "installed"]), "installed\n");
    for file in ["man/man1/cctl-run.1", "bash-completion/completions/cctl"] {
        assert!(place.join("usr/local/share").join(file).is_file(), "{file}");
    }
}

#[test]
fn each_service_is_replaced_under_load_and_back() {
    let cctl = Instance::start();
    let binaries = cctl.path().split(':').next().unwrap().to_owned();
    let counter =
        cctl.cctl(&["run", "-d", "base", "sh", "-c", "i=0; while :; do echo $((i=i+1)); sleep 0.01; done"]).ok();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (cctl, done) = (&cctl, &done);
        let load = scope.spawn(move || {
            let mut runs = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
                cctl.cctl(&["ps", "-a"]).ok();
                runs += 1;
            }
            runs
        });
        for service in SERVICES {
            // Another file with the same content, as an upgrade of nothing.
            let copy = cctl.scratch().join(service);
            std::fs::copy(format!("{binaries}/{service}"), &copy).unwrap();
            let before = cctl.pid(service);
            assert_eq!(cctl.cctl(&["system", "replace", service, copy.to_str().unwrap()]).ok(), service);
            let row = cctl.status().into_iter().find(|row| row["name"] == service).unwrap();
            let program = row["executable"].as_str().unwrap();
            let runs = std::fs::read_link(format!("/proc/{}/exe", row["pid"])).unwrap();
            assert!(row["pid"] != before && runs == std::path::Path::new(program), "{row} runs {}", runs.display());
            if service == "network" {
                let shown = cctl.cctl(&["system", "status"]);
                assert!(shown.stderr.contains("cctl system replace network --default"), "{shown:?}");
            }
            assert_eq!(cctl.cctl(&["system", "replace", service, "--default"]).ok(), service);
            let row = cctl.status().into_iter().find(|row| row["name"] == service).unwrap();
            assert_eq!(row["executable"], "");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        println!("{} runs while services were replaced", load.join().unwrap());
    });
    let text = cctl.cctl(&["logs", &counter]).ok();
    assert!(text.lines().zip(1..).all(|(line, number)| line == number.to_string()));
    cctl.cctl(&["rm", "-f", &counter]).ok();
    cctl.cctl(&["system", "replace", "network", "/etc"]).fails(1, &["/etc is a directory"]);
    cctl.cctl(&["system", "replace", "network"]).fails(1, &["BINARY"]);
}
