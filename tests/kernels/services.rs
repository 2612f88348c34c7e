//! A container, its log and its published port while every process of ours is killed.

use harness::{Instance, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const SERVICES: [&str; 6] = ["containers", "executor", "filesystem", "image-store", "log-collector", "network"];
/// Counts, and answers on a port.
const SERVE: &str = "while :; do nc -l -p 80 -e cat; done & i=0; while :; do echo $((i=i+1)); usleep 20000; done";

fn echoes(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(b"ping\n").ok()?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).ok()?;
    (&answer == b"ping\n").then_some(())
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// Whether all that a user may want of a container works.
fn all_is_well(cctl: &Instance, id: &str, port: u16) {
    eventually("the published port answers", || echoes(port));
    assert_eq!(cctl.cctl(&["exec", id, "hostname"]).ok(), id[..12]);
    let known = cctl.cctl(&["logs", id]).ok().lines().count();
    let text = eventually("the log grows", || {
        let text = cctl.cctl(&["logs", id]).ok();
        (text.lines().count() > known).then_some(text)
    });
    for (line, number) in text.lines().zip(1..) {
        assert_eq!(line, number.to_string(), "a gap or a repeat");
    }
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "new"]).ok(), "new");
}

#[test]
fn a_container_does_not_notice_that_services_are_killed() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "-p", "80", "-m", "64m", "base", "sh", "-c", SERVE]).ok();
    let port = cctl.cctl(&["port", &id, "80"]).ok().rsplit(':').next().unwrap().trim().parse().unwrap();
    all_is_well(&cctl, &id, port);
    for service in SERVICES {
        kill(cctl.pid(service));
        all_is_well(&cctl, &id, port);
    }
    kill(cctl.pid("supervisor"));
    all_is_well(&cctl, &id, port);
    let all = cctl.status().into_iter().map(|row| i32::try_from(row["pid"].as_i64().unwrap()).unwrap());
    all.for_each(kill);
    all_is_well(&cctl, &id, port);
    let neighbour = format!(
        "echo ping | nc -w 5 {} 80",
        crate::inspect(&cctl, &id)["NetworkSettings"]["IPAddress"].as_str().unwrap()
    );
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "sh", "-c", &neighbour]).ok(), "ping");
    cctl.cctl(&["stop", "-t", "0", &id]).ok();
    assert_eq!(cctl.cctl(&["wait", &id]).ok(), "137");
    cctl.cctl(&["rm", &id]).ok();
    crate::few_seemed_to_hang(&cctl);
}
