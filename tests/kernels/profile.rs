//! The AppArmor profile of containers, which these kernels can load.

use harness::{Instance, eventually};
use std::path::Path;
use std::process::Command;

/// What a process is confined by.
const CURRENT: [&str; 2] = ["cat", "/proc/self/attr/current"];

/// The profile, loaded until this is dropped.
struct Loaded;

impl Loaded {
    fn load() -> Self {
        parser("--replace");
        Self
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        parser("--remove");
    }
}

fn parser(option: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/apparmor/cctl-default");
    let output = Command::new("apparmor_parser").args([option, "--skip-cache"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn run(cctl: &Instance, options: &[&str], command: &[&str]) -> harness::Output {
    cctl.cctl(&[&["run", "--rm"], options, &["base"], command].concat())
}

#[test]
fn containers_take_on_the_profile_if_it_is_loaded() {
    let cctl = Instance::start();
    assert_eq!(run(&cctl, &[], &CURRENT).ok(), "unconfined");
    run(&cctl, &["--security-opt", "apparmor=cctl-default"], &CURRENT).fails(125, &["cctl-default", "not loaded"]);
    let loaded = Loaded::load();
    let confined = "cctl-default (enforce)";
    assert_eq!(run(&cctl, &[], &CURRENT).ok(), confined);
    assert_eq!(run(&cctl, &["--userns", "host"], &CURRENT).ok(), confined);
    assert_eq!(run(&cctl, &["--security-opt", "apparmor=unconfined"], &CURRENT).ok(), "unconfined");
    assert_eq!(run(&cctl, &["--privileged"], &CURRENT).ok(), "unconfined");
    // What it forbids, though the container had the capability, and what it lets be.
    for users in [&[][..], &["--userns", "host"]] {
        let options = [users, &["--cap-add", "SYS_ADMIN"]].concat();
        let mount = ["mount", "-t", "tmpfs", "none", "/tmp"];
        assert!(run(&cctl, &options, &mount).stderr.contains("Permission denied"));
        assert_eq!(run(&cctl, &[&options[..], &["--security-opt", "apparmor=unconfined"]].concat(), &mount).ok(), "");
    }
    let options = ["--userns", "host", "--security-opt", "systempaths=unconfined"];
    let write = ["sh", "-c", "echo 1 > /proc/sys/vm/drop_caches"];
    assert!(run(&cctl, &options, &write).stderr.contains("Permission denied"));
    assert_eq!(run(&cctl, &[&options[..], &["--security-opt", "apparmor=unconfined"]].concat(), &write).ok(), "");
    // Signals of ours reach it, and its own; a further process has what it has.
    let script = "sleep 600 & kill $! && wait $!; trap 'exit 21' TERM; echo ready; while :; do usleep 20000; done";
    let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", script]).ok();
    eventually("it is ready", || cctl.cctl(&["logs", &id]).stdout.contains("ready").then_some(()));
    assert_eq!(cctl.cctl(&[&["exec", &id], &CURRENT[..]].concat()).ok(), confined);
    cctl.cctl(&["stop", &id]).ok();
    assert_eq!(cctl.cctl(&["wait", &id]).ok(), "21");
    cctl.cctl(&["rm", &id]).ok();
    drop(loaded);
}
