//! What the manifest says that a service may use.

use crate::SERVICES;
use harness::{Instance, eventually};
use std::fs;
use std::path::{Path, PathBuf};

/// The cgroup of a process in the hierarchy of a controller, v1 or v2; none in that of the host itself.
pub(crate) fn cgroup(pid: i32, controller: &str) -> Option<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let line = |wanted: &dyn Fn(&str) -> bool| {
        let mut lines = text.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            wanted(controllers).then(|| path.trim_start_matches('/').to_owned())
        });
        lines.next()
    };
    let v1 = line(&|controllers| controllers.split(',').any(|name| name == controller));
    let (root, path) = match v1 {
        Some(path) => (Path::new("/sys/fs/cgroup").join(controller), path),
        None => (PathBuf::from("/sys/fs/cgroup"), line(&str::is_empty)?),
    };
    (!path.is_empty()).then(|| root.join(path))
}

#[test]
fn each_service_has_a_cgroup_of_its_own_beside_those_of_the_containers() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "-m", "64m", "base", "sleep", "600"]).ok();
    let first: i32 = cctl.cctl(&["inspect", "-f", "{{.State.Pid}}", &id]).ok().parse().unwrap();
    for controller in ["memory", "pids"] {
        let groups: Vec<PathBuf> = SERVICES.map(|service| cgroup(cctl.pid(service), controller).expect(service)).into();
        for (service, group) in SERVICES.iter().zip(&groups) {
            assert!(group.ends_with(service), "{}", group.display());
            let file = if group.join("memory.max").exists() { "memory.max" } else { "memory.limit_in_bytes" };
            let file = if controller == "pids" { "pids.max" } else { file };
            let limit = fs::read_to_string(group.join(file)).unwrap();
            let limit: u64 = limit.trim().parse().expect("a number");
            assert!((64..=4 << 30).contains(&limit), "{service}: {controller} {limit}");
        }
        let others = cgroup(first, controller);
        assert!(groups.iter().all(|group| others.as_ref().is_none_or(|other| !other.starts_with(group))));
    }
    let files = fs::read_to_string(format!("/proc/{}/limits", cctl.pid("image-store"))).unwrap();
    let line = files.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let hard: u64 = line.split_whitespace().nth(4).unwrap().parse().unwrap();
    assert!(hard <= 16_384, "{line}");
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn a_service_without_memory_dies_alone_and_comes_back() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "base", "sleep", "600"]).ok();
    let first = cctl.cctl(&["inspect", "-f", "{{.State.Pid}}", &id]).ok();
    let before = cctl.status();
    for service in SERVICES {
        let pid = cctl.pid(service);
        let group = cgroup(pid, "memory").expect("a cgroup of memory");
        let file = ["memory.max", "memory.limit_in_bytes"].map(|name| group.join(name));
        let file = file.iter().find(|path| path.exists()).unwrap();
        eventually("it is out of memory", || {
            // What can be given back is, and then there is nothing to get at its next step. Refused while it has more.
            let _ = fs::write(group.join("memory.force_empty"), "0");
            let usage = ["memory.current", "memory.usage_in_bytes"].map(|name| fs::read_to_string(group.join(name)));
            if let Some(usage) = usage.into_iter().flatten().next() {
                let _ = fs::write(file, usage.trim());
            }
            let archive = cctl.cctl(&["export", &id]).stdout;
            cctl.cctl_with_input(&["import", "-", "again"], archive.as_bytes());
            cctl.cctl(&["run", "--rm", "base", "echo", "on"]);
            (cctl.pid(service) != pid).then_some(())
        });
        crate::all_are_ready(&cctl);
        assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
        let rows = cctl.status();
        let row = rows.iter().find(|row| row["name"] == service).unwrap();
        assert!(row["last_error"].as_str().unwrap().contains("memory"), "{row}");
    }
    for (row, before) in cctl.status().iter().zip(before) {
        assert!(row["name"] != "supervisor" || row["pid"] == before["pid"], "{row}");
    }
    assert_eq!(cctl.cctl(&["inspect", "-f", "{{.State.Pid}}", &id]).ok(), first);
    cctl.cctl(&["rm", "-f", &id]).ok();
}
