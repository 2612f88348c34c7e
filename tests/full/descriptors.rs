//! No descriptors and no processes are left to a service.

use crate::limits::cgroup;
use crate::{SERVICES, all_are_ready};
use harness::{Instance, eventually, within};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

fn open_files(pid: i32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64
}

/// The limit that its own cannot exceed; none: there is none.
fn hard(pid: i32) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(4).unwrap().parse().ok()
}

/// The limit that it may raise; none: there is none.
fn soft(pid: i32) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().ok()
}

/// Gives a process a limit of open descriptors, below that which its own cannot exceed: as its own user, since others may
/// not do that everywhere.
fn limit(pid: i32, current: Option<u64>) {
    let of = fs::metadata(format!("/proc/{pid}")).unwrap();
    let shown = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let limits = format!("--nofile={}:{}", shown(current), shown(hard(pid)));
    let mut command = Command::new("prlimit");
    let done = command.args(["--pid", &pid.to_string(), &limits]).uid(of.uid()).gid(of.gid()).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn a_service_without_descriptors_lets_commands_wait() {
    let cctl = Instance::start();
    let counter = cctl.cctl(&["run", "-d", "base", "sleep", "600"]).ok();
    for service in SERVICES {
        let pid = cctl.pid(service);
        let before = soft(pid);
        limit(pid, Some(open_files(pid)));
        let mut run = cctl.command(&["run", "--rm", "base", "echo", "on"]).spawn().unwrap();
        let early = within(Duration::from_secs(2), || run.try_wait().unwrap());
        println!("{service} without descriptors: {early:?}");
        limit(pid, before);
        // It waits, or has failed and says why; nothing is left either way.
        let status = run.wait().unwrap();
        println!("{service}: {status}");
        assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
        all_are_ready(&cctl);
        // What could not be removed meanwhile goes now.
        eventually("only the other is left", || (cctl.cctl(&["ps", "-aq"]).ok().lines().count() == 1).then_some(()));
        let now = cctl.pid(service);
        assert!(open_files(now) < 200, "{service} has {} files open", open_files(now));
    }
    cctl.cctl(&["rm", "-f", &counter]).ok();
}

#[test]
fn a_service_that_may_not_fork_says_so_or_waits() {
    let cctl = Instance::start();
    let counter = cctl.cctl(&["run", "-d", "base", "sleep", "600"]).ok();
    for service in SERVICES {
        let group = cgroup(cctl.pid(service), "pids").expect("a cgroup of processes");
        let limit = fs::read_to_string(group.join("pids.max")).unwrap();
        fs::write(group.join("pids.max"), fs::read_to_string(group.join("pids.current")).unwrap().trim()).unwrap();
        let run = cctl.cctl(&["run", "--rm", "base", "echo", "on"]);
        println!("{service} may not fork: {run:?}");
        assert!(run.code == 0 || !run.stderr.is_empty(), "{run:?}");
        // The same process may have ended for it; then its cgroup is another.
        let _ = fs::write(group.join("pids.max"), limit.trim());
        all_are_ready(&cctl);
        assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
        // What could not be removed meanwhile goes now.
        eventually("only the other is left", || (cctl.cctl(&["ps", "-aq"]).ok().lines().count() == 1).then_some(()));
    }
    cctl.cctl(&["rm", "-f", &counter]).ok();
}
