//! Each service, each way of failing.

use crate::{SERVICES, figure, signal, times_of_ps};
use harness::{Instance, eventually};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

const COUNT: &str = "i=0; while :; do echo $((i=i+1)); sleep 0.01; done";

/// A container that counts, and goes on counting whatever becomes of us.
struct Counter {
    id: String,
    pid: String,
}

impl Counter {
    fn start(cctl: &Instance) -> Self {
        let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", COUNT]).ok();
        let pid = cctl.cctl(&["inspect", "-f", "{{.State.Pid}}", &id]).ok();
        Self { id, pid }
    }

    /// It is the same process, nothing of its log is missing, and it goes on.
    fn is_well(&self, cctl: &Instance) {
        assert_eq!(cctl.cctl(&["inspect", "-f", "{{.State.Pid}}", &self.id]).ok(), self.pid);
        let known = cctl.cctl(&["logs", &self.id]).ok().lines().count();
        let text = eventually("the log grows", || {
            let text = cctl.cctl(&["logs", &self.id]).ok();
            (text.lines().count() > known).then_some(text)
        });
        assert!(text.lines().zip(1..).all(|(line, number)| line == number.to_string()), "the counter has a gap");
    }
}

/// The row of a service; none while the supervisor is away.
fn row(cctl: &Instance, service: &str) -> Option<serde_json::Value> {
    let output = cctl.cctl(&["system", "status", "--format", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&output.stdout).ok()?;
    rows.into_iter().find(|row| row["name"] == service)
}

fn is_replaced(cctl: &Instance, service: &str, pid: i32) -> bool {
    row(cctl, service).is_some_and(|row| row["state"] == "ready" && row["pid"] != pid)
}

#[test]
fn a_stopped_service_is_replaced_and_commands_only_wait() {
    let cctl = Instance::start();
    let counter = Counter::start(&cctl);
    for service in SERVICES {
        let pid = cctl.pid(service);
        signal(pid, Signal::STOP);
        let start = Instant::now();
        // At once: it needs all of them.
        assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
        println!("{service} stopped: a run took {:?}", start.elapsed());
        eventually("it is replaced", || is_replaced(&cctl, service, pid).then_some(()));
        let row = row(&cctl, service).unwrap();
        assert_eq!(row["restarts"], 1, "{row}");
        assert!(row["last_error"].as_str().unwrap().contains("it is stopped"), "{row}");
        counter.is_well(&cctl);
    }
    cctl.cctl(&["rm", "-f", &counter.id]).ok();
}

#[test]
fn containers_are_listed_while_another_service_is_stopped() {
    let cctl = Instance::start();
    let counter = Counter::start(&cctl);
    let mut all = Vec::new();
    for service in SERVICES.into_iter().filter(|service| *service != "containers") {
        let pid = cctl.pid(service);
        signal(pid, Signal::STOP);
        let start = Instant::now();
        let times = times_of_ps(&cctl, || !is_replaced(&cctl, service, pid));
        println!("{service} stopped: replaced after {:?}", start.elapsed());
        figure(&format!("`cctl ps` while {service} is stopped"), &times);
        all.extend(times);
    }
    all.sort();
    figure("`cctl ps` while another service is stopped", &all);
    counter.is_well(&cctl);
    cctl.cctl(&["rm", "-f", &counter.id]).ok();
}

#[test]
fn a_stopped_supervisor_is_replaced_and_commands_go_on() {
    let cctl = Instance::start();
    let counter = Counter::start(&cctl);
    let pid = cctl.pid("supervisor");
    signal(pid, Signal::STOP);
    let start = Instant::now();
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
    eventually("it is replaced", || is_replaced(&cctl, "supervisor", pid).then_some(()));
    println!("the supervisor was replaced after {:?}", start.elapsed());
    counter.is_well(&cctl);
    cctl.cctl(&["rm", "-f", &counter.id]).ok();
}

/// A directory that leads to the programs under test.
fn programs(cctl: &Instance) -> PathBuf {
    let real = std::env::var_os("CCTL_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/release"), PathBuf::from)
        .canonicalize()
        .unwrap();
    let libexec = cctl.scratch().join("libexec");
    fs::create_dir(&libexec).unwrap();
    for name in SERVICES.iter().chain(&["cctl-supervisor", "cctl-shim"]) {
        symlink(real.join(name), libexec.join(name)).unwrap();
    }
    libexec
}

/// Gives a program of the directory another one behind it.
fn lead(libexec: &Path, service: &str, program: &Path) {
    let next = libexec.join("next");
    symlink(program, &next).unwrap();
    fs::rename(next, libexec.join(service)).unwrap();
}

#[test]
fn a_service_that_is_killed_and_then_refuses_to_start_a_few_times_comes_back() {
    let cctl = Instance::start();
    let counter = Counter::start(&cctl);
    let refuses = fs::canonicalize("/bin/false").unwrap();
    cctl.cctl(&["system", "stop"]).ok();
    let libexec = programs(&cctl);
    cctl.command(&["system", "start"]).env("CCTL_LIBEXEC", &libexec).status().unwrap();
    for service in SERVICES {
        let (pid, real) = (cctl.pid(service), fs::read_link(libexec.join(service)).unwrap());
        lead(&libexec, service, &refuses);
        signal(pid, Signal::KILL);
        let run = cctl.command(&["run", "--rm", "base", "echo", "on"]).stdout(Stdio::piped()).spawn().unwrap();
        eventually("it has refused a few times", || {
            row(&cctl, service).filter(|row| row["restarts"].as_u64() >= Some(4)).map(drop)
        });
        lead(&libexec, service, &real);
        let output = run.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"on\n"[..]), "{output:?}");
        eventually("it is back", || is_replaced(&cctl, service, pid).then_some(()));
        let row = row(&cctl, service).unwrap();
        assert_eq!(row["last_error"], "exited with status 1", "{row}");
        counter.is_well(&cctl);
    }
    cctl.cctl(&["rm", "-f", &counter.id]).ok();
}
