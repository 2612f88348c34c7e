//! One container that is stuck, and all others.

use crate::fuse::Hung;
use crate::{becomes, figure, signal, status_of, times_of_ps};
use harness::{Instance, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// All that can be done with a container works on others than the stuck ones.
fn others_are_well(cctl: &Instance) {
    let mut rounds = 0;
    let times = times_of_ps(cctl, || {
        rounds += 1;
        rounds <= 50
    });
    figure("`cctl ps` beside a stuck container", &times);
    let start = Instant::now();
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
    cctl.cctl(&["run", "-d", "--name", "other", "base", "sleep", "600"]).ok();
    assert_eq!(cctl.cctl(&["exec", "other", "echo", "in"]).ok(), "in");
    cctl.cctl(&["pause", "other"]).ok();
    cctl.cctl(&["unpause", "other"]).ok();
    cctl.cctl(&["stop", "-t", "0", "other"]).ok();
    cctl.cctl(&["start", "other"]).ok();
    cctl.cctl(&["rm", "-f", "other"]).ok();
    println!("all the rest beside a stuck container: {:?}", start.elapsed());
}

fn pid_of(cctl: &Instance, name: &str) -> i32 {
    cctl.cctl(&["inspect", "-f", "{{.State.Pid}}", name]).ok().parse().unwrap()
}

#[test]
fn stopped_processes_of_a_container() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "stuck", "base", "sleep", "600"]).ok();
    signal(pid_of(&cctl, "stuck"), Signal::STOP);
    others_are_well(&cctl);
    // It takes no SIGTERM, and SIGKILL all the same.
    cctl.cctl(&["stop", "-t", "1", "stuck"]).ok();
    assert!(status_of(&cctl, "stuck").starts_with("Exited (137)"));
    cctl.cctl(&["rm", "stuck"]).ok();
}

#[test]
fn a_stopped_monitor_of_a_container() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "stuck", "base", "sleep", "600"]).ok();
    let pid = pid_of(&cctl, "stuck");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let monitor: i32 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap();
    signal(monitor, Signal::STOP);
    others_are_well(&cctl);
    // On a busy host it has been replaced meanwhile.
    let _ = kill_process(Pid::from_raw(monitor).unwrap(), Signal::CONT);
    cctl.cctl(&["rm", "-f", "stuck"]).ok();
}

#[test]
fn a_stopped_client_that_does_not_read() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "stuck", "base", "sh", "-c", "sleep 0.5; yes"]).ok();
    let mut client = cctl.command(&["attach", "--no-stdin", "stuck"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 2];
    client.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    signal(i32::try_from(client.id()).unwrap(), Signal::STOP);
    others_are_well(&cctl);
    // It writes on while we read.
    let tail = cctl.cctl(&["logs", "--tail", "1", "stuck"]).ok();
    assert!(!tail.is_empty() && tail.lines().all(|line| line == "y"));
    cctl.cctl(&["rm", "-f", "stuck"]).ok();
    client.kill().unwrap();
    client.wait().unwrap();
}

#[test]
fn a_volume_that_does_not_answer() {
    let cctl = Instance::start();
    let hung = Hung::mount(&cctl.scratch().join("hung"));
    let volume = format!("{}:/data", cctl.scratch().join("hung").display());
    // By FUSE, only the user who has mounted a file system has it.
    cctl.cctl(&["run", "-d", "--name", "stuck", "--userns", "host", "-v", &volume, "base", "cat", "/data/file"]).ok();
    let pid = pid_of(&cctl, "stuck");
    eventually("it waits for the volume", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let state = stat.rsplit_once(')').unwrap().1.trim_start().chars().next().unwrap();
        ['D', 'S'].contains(&state).then_some(())
    });
    others_are_well(&cctl);
    // The kernel lets it not be killed; that is said, and not for ever waited for.
    cctl.cctl(&["rm", "-f", "stuck"]).fails(1, &["\"stuck\"", "SIGKILL", "volumes"]);
    println!("its status: {:?}", status_of(&cctl, "stuck"));
    others_are_well(&cctl);
    drop(hung);
    cctl.cctl(&["rm", "-f", "stuck"]).ok();
}

#[test]
fn a_volume_that_does_not_let_a_container_start() {
    let cctl = Instance::start();
    let hung = Hung::mount(&cctl.scratch().join("hung"));
    hung.hang_all();
    let volume = format!("{}:/data", cctl.scratch().join("hung").display());
    let start = Instant::now();
    let mut run = cctl.command(&["run", "-d", "--name", "stuck", "-v", &volume, "base", "true"]).spawn().unwrap();
    eventually("it is known", || (!status_of(&cctl, "stuck").is_empty()).then_some(()));
    others_are_well(&cctl);
    println!("after {:?} the stuck one is {:?}", start.elapsed(), status_of(&cctl, "stuck"));
    // The services are not stuck in it, and are not restarted for it.
    assert!(cctl.status().iter().all(|row| row["state"] == "ready" && row["restarts"] == 0), "{:?}", cctl.status());
    drop(hung);
    let ended = harness::within(Duration::from_secs(60), || run.try_wait().unwrap());
    assert!(ended.is_some_and(|status| !status.success()), "the run fails when its volume does");
    becomes(&cctl, "stuck", "Created");
    cctl.cctl(&["rm", "-f", "stuck"]).ok();
}
