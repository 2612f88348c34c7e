//! Not a byte is free below `CCTL_ROOT`. What frees something and what looks works, the rest fails
//! and says why, and all is well when there is room again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use harness::{Instance, eventually};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

const SERVICES: [&str; 6] = ["containers", "executor", "filesystem", "image-store", "log-collector", "network"];

/// A file that takes all the space that there is; gone when it is dropped.
struct Filling {
    path: PathBuf,
    file: File,
}

impl Filling {
    fn of(directory: &Path) -> Self {
        let path = directory.join("filling");
        let file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        let filling = Self { path, file };
        filling.again();
        filling
    }

    /// Takes what has become free meanwhile.
    fn again(&self) {
        for piece in [1 << 20, 4096, 1] {
            loop {
                match (&self.file).write(&vec![1; piece]) {
                    Ok(_) => {}
                    Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}

fn all_are_ready(cctl: &Instance) {
    eventually("all are ready", || {
        let output = cctl.cctl(&["system", "status", "--format", "json"]);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&output.stdout).ok()?;
        rows.iter().all(|row| row["state"] == "ready").then_some(())
    });
}

const COUNT: &str = "i=0; while :; do echo $((i=i+1)); sleep 0.01; done";

/// What frees something, and what only looks, works without a byte; then there is room, and all is as before.
fn all_works_without_a_byte(cctl: &Instance) {
    cctl.cctl(&["run", "-d", "--name", "counter", "base", "sh", "-c", COUNT]).ok();
    cctl.cctl(&["run", "-d", "--name", "sleeper", "base", "sleep", "600"]).ok();
    cctl.cctl(&["run", "-d", "--name", "victim", "base", "sleep", "600"]).ok();
    cctl.cctl(&["run", "--name", "done", "base", "echo", "finished"]).ok();
    let filling = Filling::of(&cctl.root());
    looks(cctl);
    // What is new is refused, says why, and leaves nothing.
    let refused = cctl.cctl(&["run", "--name", "new", "base", "true"]);
    println!("a run: {refused:?}");
    if refused.code != 0 {
        assert!(refused.stderr.contains("No space left") || refused.stderr.contains("space"), "{refused:?}");
        filling.again();
    }
    let new = cctl.cctl(&["ps", "-a", "--filter", "name=new", "--format", "{{.Status}}"]).ok();
    assert!(refused.code == 0 || new.is_empty() || new.starts_with("Created"), "{new}");
    // Services start without a byte, too.
    for service in SERVICES {
        filling.again();
        cctl.kill_service(service);
        println!("{service} is back");
        looks(cctl);
    }
    filling.again();
    cctl.cctl(&["stop", "-t", "0", "sleeper"]).ok();
    assert!(cctl.cctl(&["ps", "-a", "--filter", "name=sleeper", "--format", "{{.Status}}"]).ok().starts_with("Exited"));
    filling.again();
    cctl.cctl(&["kill", "victim"]).ok();
    cctl.cctl(&["rm", "victim"]).ok();
    filling.again();
    cctl.cctl(&["rm", "done"]).ok();
    cctl.cctl(&["rm", "-f", "sleeper"]).ok();
    drop(filling);
    all_are_ready(cctl);
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
    let known = cctl.cctl(&["logs", "--tail", "1", "counter"]).ok();
    eventually("the counter's log goes on", || {
        let last = cctl.cctl(&["logs", "--tail", "1", "counter"]).ok();
        (last != known).then_some(())
    });
    assert_eq!(cctl.cctl(&["system", "check"]).code, 0, "{:?}", cctl.cctl(&["system", "check"]));
    cctl.cctl(&["rm", "-f", "counter"]).ok();
    cctl.cctl(&["rm", "-f", "new"]);
}

fn looks(cctl: &Instance) {
    let names = cctl.cctl(&["ps", "-a", "--format", "{{.Names}}"]).ok();
    assert!(names.contains("counter") && names.contains("done"), "{names}");
    assert_eq!(cctl.cctl(&["inspect", "-f", "{{.State.Status}}", "counter"]).ok(), "running");
    assert_eq!(cctl.cctl(&["logs", "done"]).ok(), "finished");
    // Its last line may be cut where the disk was full.
    assert!(!cctl.cctl(&["logs", "--tail", "2", "counter"]).ok().is_empty());
    assert!(cctl.cctl(&["images"]).ok().contains("base"));
}

#[test]
fn no_space_for_the_state() {
    let cctl = Instance::start_with_small_state(96 << 20);
    all_works_without_a_byte(&cctl);
}

#[test]
fn images_are_removed_without_a_byte() {
    let cctl = Instance::start_with_small_state(96 << 20);
    let archive = cctl.command(&["save", "base"]).output().unwrap().stdout;
    let filling = Filling::of(&cctl.root());
    let refused = cctl.cctl_with_input(&["load"], &archive);
    println!("a load of what is there: {refused:?}");
    let refused = cctl.cctl_with_input(&["import", "-", "more"], &archive);
    refused.fails(1, &["space"]);
    filling.again();
    cctl.cctl(&["rmi", "base"]).ok();
    assert_eq!(cctl.cctl(&["images", "-q"]).ok(), "");
    drop(filling);
    cctl.cctl_with_input(&["load"], &archive).ok();
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
    assert_eq!(cctl.cctl(&["system", "check"]).code, 0);
}

/// A run ends, and is told to have ended, without a byte below `CCTL_RUN`.
#[test]
fn no_space_for_sockets_and_sandboxes() {
    let cctl = Instance::start_with_small_runtime(4 << 20);
    cctl.cctl(&["run", "-d", "--name", "counter", "base", "sh", "-c", COUNT]).ok();
    cctl.cctl(&[
        "run",
        "-d",
        "--name",
        "stopped",
        "base",
        "sh",
        "-c",
        "trap 'echo bye; exit 3' TERM; while :; do sleep 0.1; done",
    ])
    .ok();
    cctl.cctl(&["run", "-d", "--name", "killed", "-t", "base", "sleep", "600"]).ok();
    cctl.cctl(&["run", "-d", "--name", "short", "base", "sh", "-c", "sleep 3; echo over; exit 4"]).ok();
    cctl.cctl(&["run", "-d", "--name", "removed", "base", "sleep", "600"]).ok();
    let filling = Filling::of(&cctl.runtime());
    assert_eq!(cctl.cctl(&["wait", "short"]).ok(), "4");
    assert_eq!(cctl.cctl(&["logs", "short"]).ok(), "over");
    filling.again();
    cctl.cctl(&["stop", "-t", "5", "stopped"]).ok();
    assert_eq!(cctl.cctl(&["wait", "stopped"]).ok(), "3");
    assert_eq!(cctl.cctl(&["logs", "stopped"]).ok(), "bye");
    filling.again();
    cctl.cctl(&["kill", "killed"]).ok();
    assert_eq!(cctl.cctl(&["wait", "killed"]).ok(), "137");
    filling.again();
    cctl.cctl(&["rm", "-f", "removed"]).ok();
    cctl.cctl(&["rm", "short", "stopped", "killed"]).ok();
    filling.again();
    let refused = cctl.cctl(&["run", "--name", "new", "base", "true"]);
    println!("a run: {refused:?}");
    assert!(refused.code == 0 || refused.stderr.contains("space"), "{refused:?}");
    drop(filling);
    all_are_ready(&cctl);
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
    let known = cctl.cctl(&["logs", "--tail", "1", "counter"]).ok();
    eventually("the counter's log goes on", || {
        (cctl.cctl(&["logs", "--tail", "1", "counter"]).ok() != known).then_some(())
    });
    assert_eq!(cctl.cctl(&["system", "check"]).code, 0, "{:?}", cctl.cctl(&["system", "check"]));
    cctl.cctl(&["rm", "-f", "counter"]).ok();
    cctl.cctl(&["rm", "-f", "new"]);
}
