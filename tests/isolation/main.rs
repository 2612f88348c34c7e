//! What a container can see and do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod devices;
mod flags;
mod users;

use harness::{Instance, eventually};
use std::fs;

fn sh(cctl: &Instance, options: &[&str], script: &str) -> String {
    cctl.cctl(&[&["run", "--rm"], options, &["base", "sh", "-c", script]].concat()).ok()
}

#[test]
fn a_container_sees_only_its_own_processes() {
    let cctl = Instance::start();
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "sh", "-c", "echo $$"]).ok(), "1");
    let processes = cctl.cctl(&["run", "--rm", "base", "ps", "-o", "pid,args"]).ok();
    assert_eq!(processes.lines().count(), 2, "{processes}");
    assert!(processes.contains("1 ps -o pid,args"), "{processes}");
}

#[test]
fn every_namespace_is_its_own() {
    let cctl = Instance::start();
    for kind in ["mnt", "pid", "uts", "ipc", "net", "cgroup", "user"] {
        let inside = sh(&cctl, &[], &format!("readlink /proc/self/ns/{kind}"));
        let host = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert_ne!(inside, host.display().to_string(), "{kind}");
        assert!(inside.starts_with(kind), "{inside}");
    }
}

#[test]
fn the_host_never_has_a_mount_of_a_container() {
    let cctl = Instance::start();
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let host = cctl.scratch().join("shared");
    let id = cctl.cctl(&["run", "-d", "-v", &format!("{}:/data", host.display()), "base", "sleep", "600"]).ok();
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    let inside = cctl.cctl(&["run", "--rm", "base", "cat", "/proc/self/mountinfo"]).ok();
    assert!(!inside.contains("/rootfs "), "{inside}");
    assert!(inside.lines().next().unwrap().contains(" / "), "{inside}");
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn processes_are_confined() {
    let cctl = Instance::start();
    let status = sh(&cctl, &[], "cat /proc/self/status");
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).expect("a field of status").trim().to_owned()
    };
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Seccomp:"), "2");
    let bounding = u64::from_str_radix(&field("CapBnd:"), 16).unwrap();
    for (name, bit) in
        [("SYS_ADMIN", 21), ("SYS_MODULE", 16), ("MKNOD", 27), ("SYS_TIME", 25), ("NET_ADMIN", 12), ("SYS_PTRACE", 19)]
    {
        assert_eq!(bounding >> bit & 1, 0, "CAP_{name}");
    }
    assert_eq!(bounding >> 10 & 1, 1, "CAP_NET_BIND_SERVICE");
    assert_eq!(field("CapInh:"), "0000000000000000");
    let user = sh(&cctl, &["-u", "daemon"], "grep CapEff /proc/self/status");
    assert!(user.ends_with("0000000000000000"), "{user}");
    for refused in ["mount -t tmpfs x /tmp", "mknod /tmp/disk b 8 0", "unshare -m true", "hostname x"] {
        let script = format!("{refused} 2>/dev/null && echo done || echo refused");
        assert_eq!(sh(&cctl, &[], &script), "refused", "{refused}");
    }
}

#[test]
fn the_kernels_files_are_masked_or_read_only() {
    let cctl = Instance::start();
    for path in
        ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/proc/sys/vm/drop_caches"]
    {
        let script = format!("[ -e {path} ] || echo refused; (echo 1 > {path}) 2>/dev/null || echo refused");
        assert!(sh(&cctl, &[], &script).starts_with("refused"), "{path}");
    }
    assert_eq!(sh(&cctl, &[], "cat /proc/kcore | wc -c"), "0");
    assert_eq!(sh(&cctl, &[], "cat /proc/keys | wc -c"), "0");
}

#[test]
fn devices_are_few_and_work() {
    let cctl = Instance::start();
    let listed = sh(&cctl, &[], "ls /dev");
    let expected = [
        "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    ];
    assert_eq!(listed.split_whitespace().collect::<Vec<_>>(), expected);
    assert_eq!(
        sh(&cctl, &[], "head -c 3 /dev/zero | wc -c; echo x > /dev/null; echo y > /dev/shm/a; cat /dev/shm/a"),
        "3\ny"
    );
    // Programs reopen their output by path, also as a user without rights.
    assert_eq!(sh(&cctl, &["-u", "daemon"], "echo again > /dev/stdout"), "again");
}

#[test]
fn memory_is_limited_and_the_kill_is_told() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "-m", "16m", "base", "sh", "-c", "x=a; while :; do x=$x$x; done"]).ok();
    assert_eq!(cctl.cctl(&["wait", &id]).ok(), "137");
    let inspected: serde_json::Value = serde_json::from_str(&cctl.cctl(&["inspect", &id]).ok()).unwrap();
    assert_eq!(inspected[0]["State"]["OOMKilled"], true, "{inspected}");
    assert_eq!(inspected[0]["HostConfig"]["Memory"], 16 << 20);
    cctl.cctl(&["rm", &id]).ok();
}

#[test]
fn processes_are_counted() {
    let cctl = Instance::start();
    let script = "for i in $(seq 20); do sleep 5 & done; wait";
    let output = cctl.cctl(&["run", "--rm", "--pids-limit", "8", "base", "sh", "-c", script]);
    assert!(output.stderr.contains("fork"), "{output:?}");
}

#[test]
fn processor_time_is_limited() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "--cpus", "0.2", "base", "sh", "-c", "while :; do :; done"]).ok();
    let inspected: serde_json::Value = serde_json::from_str(&cctl.cctl(&["inspect", &id]).ok()).unwrap();
    let pid = inspected[0]["State"]["Pid"].as_i64().unwrap();
    // The kernel's own word: the task is throttled in its cgroup.
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let throttled = || {
        cgroups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let roots = if controllers.is_empty() {
                vec!["/sys/fs/cgroup".to_owned(), "/sys/fs/cgroup/unified".to_owned()]
            } else {
                controllers
                    .split(',')
                    .map(|name| format!("/sys/fs/cgroup/{name}"))
                    .chain([format!("/sys/fs/cgroup/{controllers}")])
                    .collect()
            };
            roots.iter().find_map(|root| {
                let stat = fs::read_to_string(format!("{root}{path}/cpu.stat")).ok()?;
                let count = stat.lines().find_map(|line| line.strip_prefix("nr_throttled "))?;
                (count != "0").then_some(())
            })
        })
    };
    eventually("it is throttled", throttled);
    cctl.cctl(&["rm", "-f", &id]).ok();
}
