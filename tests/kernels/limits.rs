//! Limits and what is used, as the kernel has them.

use crate::{cgroup, few_seemed_to_hang, inspect, said};
use harness::{Instance, eventually};
use serde_json::Value;

#[test]
fn the_kernel_has_the_limits_that_were_asked_for() {
    let cctl = Instance::start();
    let limits = ["-m", "64m", "--memory-swap", "96m", "--cpus", "0.5", "--cpu-shares", "512", "--pids-limit", "77"];
    let run = cctl.cctl(&[&["run", "-d"], &limits[..], &["base", "sleep", "600"]].concat());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "no warning");
    let id = run.ok();
    let wanted = [
        ("memory.max", "67108864"),
        ("memory.swap.max", "33554432"),
        ("cpu.max", "50000 100000"),
        ("cpu.weight", "59"),
        ("pids.max", "77"),
        ("cgroup.type", "domain"),
    ];
    for (file, value) in wanted {
        assert_eq!(said(&cctl, &id, file), value, "{file}");
        // The container sees its own cgroup, and no other.
        assert_eq!(cctl.cctl(&["exec", &id, "cat", &format!("/sys/fs/cgroup/{file}")]).ok(), value, "{file} inside");
    }
    assert_eq!(cctl.cctl(&["exec", &id, "cat", "/proc/self/cgroup"]).ok(), "0::/");
    assert_ne!(cctl.cctl(&["exec", &id, "sh", "-c", "echo max > /sys/fs/cgroup/memory.max"]).code, 0);
    // They are there again for its next run, and without a limit there is none.
    cctl.cctl(&["restart", "-t", "0", &id]).ok();
    assert_eq!(said(&cctl, &id, "memory.max"), "67108864");
    let free = cctl.cctl(&["run", "-d", "base", "sleep", "600"]).ok();
    for file in ["memory.max", "pids.max"] {
        assert_eq!(said(&cctl, &free, file), "max", "{file}");
    }
    let directories = [cgroup(&cctl, &id), cgroup(&cctl, &free)];
    cctl.cctl(&["rm", "-f", &id, &free]).ok();
    assert!(directories.iter().all(|directory| !directory.exists()), "{directories:?}");
    few_seemed_to_hang(&cctl);
}

#[test]
fn memory_that_is_not_there_ends_a_container_and_is_told() {
    let cctl = Instance::start();
    let grow = "x=a; while :; do x=$x$x; done";
    let id = cctl.cctl(&["run", "-d", "-m", "16m", "base", "sh", "-c", grow]).ok();
    assert_eq!(cctl.cctl(&["wait", &id]).ok(), "137");
    assert_eq!(inspect(&cctl, &id)["State"]["OOMKilled"], true);
    // A process that is not the first one: the container goes on, and its end is its own.
    let script = format!("sh -c '{grow}'; echo survived; exit 5");
    let other = cctl.cctl(&["run", "-m", "16m", "--name", "other", "base", "sh", "-c", &script]);
    assert_eq!((other.code, other.stdout.as_str()), (5, "survived\n"), "{other:?}");
    assert_eq!(inspect(&cctl, "other")["State"]["OOMKilled"], true);
    let events = ["events", "--since", "1h", "--until", "0s", "--filter", "event=oom", "--format", "{{.ID}}"];
    assert_eq!(cctl.cctl(&events).ok().lines().count(), 2);
    // Whoever keeps within the limit, or is killed for another reason, was not killed for that.
    cctl.cctl(&["run", "-d", "--name", "small", "-m", "16m", "base", "sleep", "600"]).ok();
    cctl.cctl(&["kill", "small"]).ok();
    assert_eq!(cctl.cctl(&["wait", "small"]).ok(), "137");
    let state = inspect(&cctl, "small")["State"].clone();
    assert_eq!((&state["OOMKilled"], &state["ExitCode"]), (&Value::from(false), &Value::from(137)), "{state}");
    cctl.cctl(&["rm", &id, "other", "small"]).ok();
    few_seemed_to_hang(&cctl);
}

#[test]
fn more_processes_than_the_limit_are_refused() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "--pids-limit", "4", "base", "sleep", "600"]).ok();
    let many = cctl.cctl(&["exec", &id, "sh", "-c", "for i in 1 2 3 4 5 6; do sleep 600 & done"]);
    assert!(many.stderr.contains("fork"), "{many:?}");
    // What was refused a process is gone; the first one, and two that it began, are there.
    eventually("three are left", || (said(&cctl, &id, "pids.current") == "3").then_some(()));
    assert!(!said(&cctl, &id, "pids.events").ends_with("max 0"));
    cctl.cctl(&["rm", "-f", &id]).ok();
}

fn bytes(text: &str) -> f64 {
    let digits = text.find(|symbol: char| symbol.is_ascii_alphabetic()).unwrap();
    let unit = match &text[digits..] {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1048576.0,
        "GiB" => 1073741824.0,
        other => panic!("{other}"),
    };
    text[..digits].parse::<f64>().unwrap() * unit
}

#[test]
fn what_is_used_is_what_the_kernel_counts() {
    let cctl = Instance::start();
    let script = "dd if=/dev/zero of=/blob bs=1M count=8 conv=fsync; text=$(head -c 20000000 /dev/zero | tr '\\0' x); \
        sleep 600 & sleep 600 & echo filled; while :; do :; done";
    let id = cctl.cctl(&["run", "-d", "-m", "128m", "--cpus", "0.5", "base", "sh", "-c", script]).ok();
    eventually("it has what it needs", || cctl.cctl(&["logs", &id]).stdout.contains("filled").then_some(()));
    let stats = cctl.cctl(&["stats", "--no-stream", "--format", "json", &id]).ok();
    let stats: Value = serde_json::from_str(&stats).unwrap();
    let pair = |field: &str| {
        let (one, other) = stats[field].as_str().unwrap().split_once(" / ").unwrap();
        (bytes(one), bytes(other))
    };
    assert_eq!(stats["PIDs"], said(&cctl, &id, "pids.current"));
    let (used, limit) = pair("MemUsage");
    assert_eq!(limit, f64::from(128 << 20));
    let counted: f64 = said(&cctl, &id, "memory.current").parse().unwrap();
    assert!(used >= 20e6 && used <= counted + 1e6, "{used} of {counted}");
    let (_, written) = pair("BlockIO");
    assert!((8e6..64e6).contains(&written), "{stats}");
    // It is throttled to the half of a processor, which it wants whole.
    let share: f64 = stats["CPUPerc"].as_str().unwrap().trim_end_matches('%').parse().unwrap();
    assert!(share > 5.0 && share < 75.0, "{stats}");
    eventually("it is throttled", || {
        let text = said(&cctl, &id, "cpu.stat");
        text.lines().any(|line| line.strip_prefix("nr_throttled ").is_some_and(|count| count != "0")).then_some(())
    });
    cctl.cctl(&["pause", &id]).ok();
    assert!(said(&cctl, &id, "cgroup.events").contains("frozen 1"));
    cctl.cctl(&["unpause", &id]).ok();
    assert!(said(&cctl, &id, "cgroup.events").contains("frozen 0"));
    cctl.cctl(&["rm", "-f", &id]).ok();
    few_seemed_to_hang(&cctl);
}
