//! Processes of ours are killed; no container notices, no line is lost, no command fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use harness::{Instance, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

const COUNT: &str = "i=0; while :; do echo $((i=i+1)); sleep 0.01; done";
const SERVICES: [&str; 6] = ["containers", "executor", "filesystem", "image-store", "log-collector", "network"];

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

fn counts(text: &str) {
    for (line, number) in text.lines().zip(1..) {
        assert_eq!(line, number.to_string(), "the counter has a gap or a repeat");
    }
}

fn state_of(cctl: &Instance, id: &str) -> serde_json::Value {
    let inspected: serde_json::Value = serde_json::from_str(&cctl.cctl(&["inspect", id]).ok()).unwrap();
    inspected[0]["State"].clone()
}

/// What must hold after a kill: the container is the same, everything works, the log is whole.
fn all_is_well(cctl: &Instance, id: &str, pid: &serde_json::Value) {
    assert!(cctl.cctl(&["ps", "-q"]).ok().contains(&id[..12]));
    assert_eq!(&state_of(cctl, id)["Pid"], pid);
    let known = cctl.cctl(&["logs", id]).ok().lines().count();
    let text = eventually("the log grows", || {
        let text = cctl.cctl(&["logs", id]).ok();
        (text.lines().count() > known + 3).then_some(text)
    });
    counts(&text);
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "new"]).ok(), "new");
    let mut attached = cctl.command(&["attach", "--no-stdin", id]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(attached.stdout.take().unwrap()).lines();
    let first: u64 = lines.next().unwrap().unwrap().parse().unwrap();
    let second: u64 = lines.next().unwrap().unwrap().parse().unwrap();
    assert_eq!(second, first + 1);
    attached.kill().unwrap();
    attached.wait().unwrap();
}

#[test]
fn any_one_service_may_be_killed() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", COUNT]).ok();
    let pid = state_of(&cctl, &id)["Pid"].clone();
    for service in SERVICES {
        kill(cctl.pid(service));
        // At once: the first commands meet the gap.
        all_is_well(&cctl, &id, &pid);
    }
    assert!(cctl.status().iter().all(|row| row["name"] == "supervisor" || row["restarts"] == 1), "{:?}", cctl.status());
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn the_supervisor_and_its_keeper_may_be_killed() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", COUNT]).ok();
    let pid = state_of(&cctl, &id)["Pid"].clone();
    let supervisor = cctl.pid("supervisor");
    kill(supervisor);
    all_is_well(&cctl, &id, &pid);
    assert_ne!(cctl.pid("supervisor"), supervisor);

    let successor = cctl.pid("supervisor");
    let stat = std::fs::read_to_string(format!("/proc/{successor}/stat")).unwrap();
    let keeper: i32 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(keeper > 1, "{stat}");
    kill(keeper);
    eventually("there is a keeper again", || {
        let status = cctl.cctl(&["system", "status", "--format", "json"]);
        (status.code == 0 && cctl.status().iter().all(|row| row["state"] == "ready")).then_some(())
    });
    all_is_well(&cctl, &id, &pid);
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn all_at_once_may_be_killed() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", COUNT]).ok();
    let pid = state_of(&cctl, &id)["Pid"].clone();
    for _ in 0..3 {
        cctl.status().iter().map(|row| i32::try_from(row["pid"].as_i64().unwrap()).unwrap()).for_each(|pid| {
            // The supervisor's death takes the services along: some may be gone by now.
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        });
        all_is_well(&cctl, &id, &pid);
    }
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn attached_clients_miss_nothing() {
    let cctl = Instance::start();
    let script = "for i in $(seq 1 1500); do echo $i; sleep 0.005; done";
    let mut client = cctl.command(&["run", "--rm", "base", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let reader = BufReader::new(client.stdout.take().unwrap());
    let text = std::thread::spawn(move || reader.lines().map(|line| line.unwrap() + "\n").collect::<String>());
    for service in ["log-collector", "containers", "executor", "log-collector", "network", "log-collector"] {
        cctl.kill_service(service);
    }
    kill(cctl.pid("supervisor"));
    assert!(client.wait().unwrap().success());
    let text = text.join().unwrap();
    counts(&text);
    assert_eq!(text.lines().count(), 1500);
}

/// Reads a client's output to its end: the lines, each of which must be the next number.
fn numbers(client: &mut Child) -> JoinHandle<u64> {
    let reader = BufReader::with_capacity(1 << 20, client.stdout.take().unwrap());
    std::thread::spawn(move || {
        let mut count = 0;
        for line in reader.lines() {
            count += 1;
            assert_eq!(line.unwrap(), count.to_string(), "a gap or a repeat");
        }
        count
    })
}

#[test]
fn clients_of_a_fast_writer_miss_nothing() {
    const LINES: u64 = 4_000_000;
    let cctl = Instance::start();
    let last = LINES.to_string();
    // Both streams, and all of it fits into the log.
    let script = format!("seq 1 {last} >&2 & seq 1 {last}; wait");
    let bounds = ["--log-opt", "max-size=5m", "--log-opt", "max-file=40"];
    let run = [&["run", "--name", "fast"][..], &bounds, &["base", "sh", "-c", &script]].concat();
    let errors = std::fs::File::create(cctl.scratch().join("err")).unwrap();
    let mut attached = cctl.command(&run).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
    let seen = numbers(&mut attached);
    eventually("it runs", || (cctl.cctl(&["ps", "-q", "-f", "name=fast"]).stdout.len() > 5).then_some(()));
    let follow = cctl.command(&["logs", "-f", "fast"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut following = follow.unwrap();
    let followed = numbers(&mut following);
    let mut kills = 0;
    while attached.try_wait().unwrap().is_none() {
        cctl.kill_service("log-collector");
        kills += 1;
    }
    assert!(attached.wait().unwrap().success() && following.wait().unwrap().success());
    assert_eq!((seen.join().unwrap(), followed.join().unwrap()), (LINES, LINES));
    let text = std::fs::read_to_string(cctl.scratch().join("err")).unwrap();
    counts(&text);
    assert_eq!(text.lines().count() as u64, LINES);
    // Afterwards, too, when it is compressed.
    let mut later = cctl.command(&["logs", "fast"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(numbers(&mut later).join().unwrap(), LINES);
    later.wait().unwrap();
    assert!(kills >= 3, "only {kills} kills");
    eprintln!("{kills} kills");
}

#[test]
fn input_arrives_once() {
    let cctl = Instance::start();
    let mut client = cctl.spawn_with_input(&["run", "-i", "--rm", "base", "cat"]);
    let mut input = client.stdin.take().unwrap();
    let reader = BufReader::new(client.stdout.take().unwrap());
    let text = std::thread::spawn(move || reader.lines().map(|line| line.unwrap() + "\n").collect::<String>());
    for round in 0..4 {
        for number in 1..=500 {
            writeln!(input, "{}", round * 500 + number).unwrap();
        }
        cctl.kill_service("log-collector");
    }
    drop(input);
    assert!(client.wait().unwrap().success());
    let text = text.join().unwrap();
    counts(&text);
    assert_eq!(text.lines().count(), 2000);
}

#[test]
fn exit_codes_survive_the_absence_of_services() {
    let cctl = Instance::start();
    let script = "while ! [ -e /data/go ]; do sleep 0.02; done; echo last words; exit 42";
    let shared = cctl.scratch().join("shared");
    let volume = format!("{}:/data", shared.display());
    let id = cctl.cctl(&["run", "-d", "-v", &volume, "base", "sh", "-c", script]).ok();
    cctl.cctl(&["system", "stop"]).ok();
    std::fs::write(shared.join("go"), "").unwrap();
    // Nobody is there to see it end.
    std::thread::sleep(std::time::Duration::from_millis(500));
    cctl.cctl(&["system", "start"]).ok();
    assert_eq!(cctl.cctl(&["wait", &id]).ok(), "42");
    assert_eq!(cctl.cctl(&["logs", &id]).ok(), "last words");
    cctl.cctl(&["rm", &id]).ok();
}

#[test]
fn commands_do_not_fail_while_services_are_killed() {
    let cctl = Instance::start();
    std::thread::scope(|scope| {
        let cctl = &cctl;
        let runs = scope.spawn(move || {
            for number in 0..40 {
                let text = number.to_string();
                assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", &text]).ok(), text);
            }
        });
        let mut victims = SERVICES.iter().cycle();
        while !runs.is_finished() {
            cctl.kill_service(victims.next().unwrap());
        }
        runs.join().unwrap();
    });
    assert_eq!(cctl.cctl(&["ps", "-a"]).ok().lines().skip(1).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn published_ports_outlive_the_network_service() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "-p", "80", "base", "sh", "-c", "while :; do nc -l -p 80 -e cat; done"]).ok();
    let port: u16 = cctl.cctl(&["port", &id, "80"]).ok().rsplit(':').next().unwrap().trim().parse().unwrap();
    let mut connection = eventually("it listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    for _ in 0..3 {
        cctl.kill_service("network");
        connection.write_all(b"x").unwrap();
        let mut answer = [0];
        std::io::Read::read_exact(&mut connection, &mut answer).unwrap();
    }
    cctl.cctl(&["rm", "-f", &id]).ok();
}
