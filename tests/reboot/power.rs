//! The power goes: all processes at once, and with them what the kernel had.

use harness::{Boot, Instance, eventually};
use rustix::process::{Pid, Signal, kill_process};
use schema::Instance as Names;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The PID namespace of the host itself: its number is always the same (PROC_PID_INIT_INO of linux/proc_ns.h).
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// Kills every process of the instance and of its containers, removes what a restart of a host removes from the
/// kernel, and begins another boot. Nothing can react: all are stopped before the first is killed.
pub(crate) fn off(cctl: &Instance, boot: &mut Boot) {
    let host = fs::read_link("/proc/self/ns/pid").unwrap();
    assert_ne!(host.to_str(), Some(FIRST_NAMESPACE), "this would be the end of the whole host: run it by tests/apart");
    let found = eventually("all processes are stopped", || {
        let found = processes();
        send(&found, Signal::STOP);
        (processes() == found).then_some(found)
    });
    assert!(found.len() > 8, "keeper, supervisor and services run, and containers: {found:?}");
    send(&found, Signal::KILL);
    eventually("nobody is left", || processes().is_empty().then_some(()));
    let name = Names::new(cctl.root(), cctl.runtime()).kernel_name();
    run("nft", &["flush", "ruleset"]);
    run("ip", &["link", "delete", &name]);
    fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
    let hierarchies: Vec<_> = fs::read_dir("/sys/fs/cgroup").unwrap().map(|entry| entry.unwrap().path()).collect();
    for parent in hierarchies.iter().map(|path| path.as_path()).chain([Path::new("/sys/fs/cgroup")]) {
        for group in [name.clone(), format!("{name}-services")] {
            remove_cgroups(&parent.join(group));
        }
    }
    boot.next();
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}

/// Those of the instance, monitors, and all in a PID namespace that is not ours.
fn processes() -> Vec<i32> {
    let ours = fs::read_link("/proc/self/ns/pid").unwrap();
    let belongs = |pid: &i32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let program = String::from_utf8_lossy(&command);
        let program = program.split('\0').next().unwrap_or_default();
        let services = ["cctl-supervisor", "cctl-shim", "image-store", "filesystem", "network", "executor"];
        let is_one = |service: &str| Path::new(program).ends_with(service);
        let contained = fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|other| other != ours);
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let is_dead = state.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z') || rest.starts_with('X'));
        let served = services.into_iter().chain(["log-collector", "containers"]).any(is_one);
        !is_dead && (contained || served || name.starts_with("cctl-"))
    };
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<i32> = pids.filter(belongs).collect();
    found.sort_unstable();
    found
}

fn send(pids: &[i32], signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // Who is gone is off, too.
        let _ = kill_process(pid, signal);
    }
}

fn remove_cgroups(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_cgroups(&entry.path());
    }
    // The kernel lets go of the dead a moment later.
    eventually("an empty cgroup is removed", || fs::remove_dir(directory).ok());
}
