//! The monitor of a container is killed and stopped: the container, its users and its log do not notice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod absence;

use harness::{Instance, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const SERVICES: [&str; 6] = ["containers", "executor", "filesystem", "image-store", "log-collector", "network"];
const COUNT: &str = "i=0; while :; do echo $((i=i+1)); usleep 2000; done";

/// What is recorded of sandboxes and execs.
fn records(cctl: &Instance) -> impl Iterator<Item = serde_json::Value> {
    let entries = std::fs::read_dir(cctl.runtime().join("sandboxes")).unwrap().flatten();
    let records = entries.filter_map(|entry| std::fs::read(entry.path().join("sandbox.json")).ok());
    records.filter_map(|record| serde_json::from_slice(&record).ok())
}

/// Of execs alone.
fn execs(cctl: &Instance) -> Vec<serde_json::Value> {
    records(cctl).filter(|record| record["spec"]["of"].is_string()).collect()
}

/// Every monitor that is recorded, of containers and of execs.
fn monitors(cctl: &Instance) -> Vec<i32> {
    records(cctl).map(|record| i32::try_from(record["monitor"]["pid"].as_i64().unwrap()).unwrap()).collect()
}

fn signal(pid: i32, signal: Signal) {
    // It may have ended by itself.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

/// Ends all monitors, and waits until others have taken over.
fn replace(cctl: &Instance, with: Signal) {
    let before = monitors(cctl);
    before.iter().for_each(|pid| signal(*pid, with));
    eventually("there are other monitors", || monitors(cctl).iter().all(|pid| !before.contains(pid)).then_some(()));
}

fn counts(text: &str, last: usize) {
    for (line, number) in text.lines().zip(1..) {
        assert_eq!(line.trim_end(), number.to_string(), "a gap or a repeat");
    }
    assert!(text.lines().count() >= last, "{} lines", text.lines().count());
}

/// What must be so with a container that counts.
fn all_is_well(cctl: &Instance, id: &str) {
    let known = cctl.cctl(&["logs", id]).ok().lines().count();
    let text = eventually("the log grows", || {
        let text = cctl.cctl(&["logs", id]).ok();
        (text.lines().count() > known + 5).then_some(text)
    });
    counts(&text, known);
    assert_eq!(cctl.cctl(&["exec", id, "hostname"]).ok(), id[..12]);
    assert!(cctl.cctl(&["ps", "-q"]).ok().contains(&id[..12]));
    let mut attached = cctl.command(&["attach", "--no-stdin", id]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(attached.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap().trim().parse::<u64>().unwrap();
    let first = next();
    assert_eq!(next(), first + 1);
    attached.kill().unwrap();
    attached.wait().unwrap();
}

#[test]
fn every_command_works_with_another_monitor() {
    let cctl = Instance::start_without_spares();
    for flags in [&["-d"][..], &["-d", "-t"]] {
        let script = format!("trap 'exit 7' TERM; {COUNT}");
        let run = |script: &str| cctl.cctl(&[&["run"], flags, &["base", "sh", "-c", script]].concat()).ok();
        let id = run(&script);
        replace(&cctl, Signal::KILL);
        all_is_well(&cctl, &id);
        cctl.cctl(&["cp", &format!("{id}:/etc/hostname"), &cctl.scratch().join("copied").display().to_string()]).ok();
        assert_eq!(std::fs::read_to_string(cctl.scratch().join("copied")).unwrap().trim(), &id[..12]);
        cctl.cctl(&["pause", &id]).ok();
        replace(&cctl, Signal::KILL);
        cctl.cctl(&["unpause", &id]).ok();
        all_is_well(&cctl, &id);
        cctl.cctl(&["stop", "-t", "5", &id]).ok();
        assert_eq!(cctl.cctl(&["wait", &id]).ok(), "7");
        cctl.cctl(&["start", &id]).ok();
        replace(&cctl, Signal::KILL);
        cctl.cctl(&["kill", "-s", "KILL", &id]).ok();
        assert_eq!(cctl.cctl(&["wait", &id]).ok(), "137");
        cctl.cctl(&["rm", &id]).ok();
        let id = run(COUNT);
        monitors(&cctl).into_iter().for_each(|pid| signal(pid, Signal::KILL));
        cctl.cctl(&["rm", "-f", &id]).ok();
        assert_eq!(cctl.cctl(&["ps", "-aq"]).ok(), "");
    }
}

#[test]
fn attached_clients_miss_nothing() {
    let cctl = Instance::start();
    let script = "i=0; while [ $i -lt 4000 ]; do echo $((i=i+1)); [ $((i % 10)) != 0 ] || usleep 5000; done; exit 3";
    for arguments in [&["run", "--rm"][..], &["run", "--rm", "-t"]] {
        let arguments = [arguments, &["base", "sh", "-c", script]].concat();
        let mut client = cctl.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let reader = BufReader::new(client.stdout.take().unwrap());
        let text = thread::spawn(move || reader.lines().map(|line| line.unwrap() + "\n").collect::<String>());
        eventually("it runs", || cctl.cctl(&["ps", "-q"]).ok().lines().next().map(|_| ()));
        let mut kills = 0;
        while !text.is_finished() {
            monitors(&cctl).into_iter().for_each(|pid| signal(pid, Signal::KILL));
            kills += 1;
            thread::sleep(Duration::from_millis(25));
        }
        assert_eq!(client.wait().unwrap().code(), Some(3));
        let text = text.join().unwrap();
        counts(&text, 4000);
        assert!(text.lines().count() == 4000 && kills > 10, "{kills} kills");
    }
}

#[test]
fn a_shell_on_a_terminal_goes_on() {
    let cctl = Instance::start();
    let mut terminal = cctl.terminal(&["run", "-it", "--rm", "base", "sh"]);
    terminal.shows("/ # ");
    for round in 0..20 {
        if round == 10 {
            replace(&cctl, Signal::STOP);
        } else {
            monitors(&cctl).into_iter().for_each(|pid| signal(pid, Signal::KILL));
        }
        terminal.type_text(&format!("echo $(({round} * 1000 + 7))x\n"));
        terminal.shows(&format!("{}x", round * 1000 + 7));
    }
    terminal.resize(41, 101);
    eventually("the new size arrives", || {
        replace(&cctl, Signal::KILL);
        terminal.type_text("stty size\n");
        thread::sleep(Duration::from_millis(50));
        terminal.screen().contains("41 101").then_some(())
    });
    terminal.type_text("exit 5\n");
    assert_eq!(terminal.wait(), 5);
}

#[test]
fn execs_go_on() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "base", "sleep", "1000"]).ok();
    let mut client = cctl.spawn_with_input(&["exec", "-i", &id, "cat"]);
    let mut input = client.stdin.take().unwrap();
    let reader = BufReader::new(client.stdout.take().unwrap());
    let text = thread::spawn(move || reader.lines().map(|line| line.unwrap() + "\n").collect::<String>());
    // A start is another test's.
    eventually("the exec runs", || execs(&cctl).iter().any(|exec| exec["first"].is_object()).then_some(()));
    for round in 0..20 {
        (1..=100).for_each(|number| writeln!(input, "{}", round * 100 + number).unwrap());
        monitors(&cctl).into_iter().for_each(|pid| signal(pid, Signal::KILL));
        thread::sleep(Duration::from_millis(20));
    }
    drop(input);
    assert!(client.wait().unwrap().success());
    let text = text.join().unwrap();
    counts(&text, 2000);
    assert_eq!(text.lines().count(), 2000);

    let mut terminal = cctl.terminal(&["exec", "-it", &id, "sh"]);
    terminal.shows("/ # ");
    for round in 0..10 {
        monitors(&cctl).into_iter().for_each(|pid| signal(pid, Signal::KILL));
        terminal.type_text(&format!("echo $(({round} * 1000 + 7))x\n"));
        terminal.shows(&format!("{}x", round * 1000 + 7));
    }
    terminal.type_text("exit 6\n");
    assert_eq!(terminal.wait(), 6);
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn a_monitor_and_any_service_are_killed_together() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", COUNT]).ok();
    for service in SERVICES {
        let service = cctl.pid(service);
        monitors(&cctl).into_iter().chain([service]).for_each(|pid| signal(pid, Signal::KILL));
        all_is_well(&cctl, &id);
    }
    for _ in 0..3 {
        // All there is, at once.
        let all = cctl.status().into_iter().map(|row| i32::try_from(row["pid"].as_i64().unwrap()).unwrap());
        all.chain(monitors(&cctl)).for_each(|pid| signal(pid, Signal::KILL));
        all_is_well(&cctl, &id);
    }
    eventually("there is a monitor", || {
        monitors(&cctl).iter().all(|pid| kill_process(Pid::from_raw(*pid).unwrap(), Signal::CONT).is_ok()).then_some(())
    });
    cctl.cctl(&["stop", "-t", "0", &id]).ok();
    assert_eq!(cctl.cctl(&["wait", &id]).ok(), "137");
    cctl.cctl(&["rm", &id]).ok();
}

/// Who holds what a monitor and the executor hold: the keeper and the supervisor, each alone.
#[test]
fn exit_codes_and_terminals_outlive_the_executor_and_the_monitor() {
    let cctl = Instance::start();
    for round in 0..12 {
        let code = 20 + round;
        let mut terminal = cctl.terminal(&["run", "-it", "--rm", "base", "sh"]);
        terminal.shows("/ # ");
        let script = format!("usleep 300000; exit {code}");
        let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", &script]).ok();
        let supervisor = cctl.pid("supervisor");
        let keeper = parent(supervisor);
        let executor = cctl.pid("executor");
        let others = match round % 3 {
            0 => None,
            1 => Some(supervisor),
            _ => Some(keeper).filter(|pid| *pid > 1),
        };
        // So that the executor does not replace a monitor before it is killed itself.
        signal(executor, Signal::STOP);
        monitors(&cctl).into_iter().chain(others).chain([executor]).for_each(|pid| signal(pid, Signal::KILL));
        assert_eq!(cctl.cctl(&["wait", &id]).ok(), code.to_string(), "round {round}");
        terminal.type_text(&format!("echo $(({round} * 1000 + 7))x\n"));
        terminal.shows(&format!("{}x", round * 1000 + 7));
        terminal.type_text("exit 5\n");
        assert_eq!(terminal.wait(), 5);
        cctl.cctl(&["rm", &id]).ok();
    }
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Kills monitors as soon as they are there, before they are asked to execute anything, until so many are dead.
fn kill_the_next(cctl: &Instance, count: usize) {
    let (directory, begun) = (cctl.runtime().join("sandboxes"), Instant::now());
    let mut killed = Vec::new();
    while killed.len() < count {
        assert!(begun.elapsed() < Duration::from_secs(60), "only {} of {count} monitors were there", killed.len());
        let mut sandboxes = std::fs::read_dir(&directory).unwrap().flatten();
        if sandboxes.all(|sandbox| !sandbox.path().join("plan").exists()) {
            for pid in monitors(cctl).into_iter().filter(|pid| !killed.contains(pid)).collect::<Vec<_>>() {
                signal(pid, Signal::KILL);
                killed.push(pid);
            }
        }
        thread::sleep(Duration::from_micros(500));
    }
}

#[test]
fn a_start_whose_monitor_is_killed_goes_on_with_another() {
    let cctl = Instance::start_without_spares();
    cctl.cctl(&["run", "--rm", "base", "true"]).ok();
    for count in 1..=3 {
        let said = thread::scope(|scope| {
            let killer = scope.spawn(|| kill_the_next(&cctl, count));
            let said = cctl.cctl(&["run", "--rm", "base", "echo", "once"]).ok();
            killer.join().unwrap();
            said
        });
        assert_eq!(said, "once");
    }
}

/// Kills the monitors of execs before they are asked to execute anything, until so many are dead, or the exec is over.
fn kill_the_next_of_execs(cctl: &Instance, count: usize, is_over: &AtomicBool) {
    let (directory, begun) = (cctl.runtime().join("sandboxes"), Instant::now());
    let mut killed = Vec::new();
    while killed.len() < count && !is_over.load(Ordering::SeqCst) {
        assert!(begun.elapsed() < Duration::from_secs(60), "only {} of {count} monitors were there", killed.len());
        for sandbox in std::fs::read_dir(&directory).unwrap().flatten().map(|entry| entry.path()) {
            let record = std::fs::read(sandbox.join("sandbox.json")).unwrap_or_default();
            let Ok(record) = serde_json::from_slice::<serde_json::Value>(&record) else { continue };
            let pid = i32::try_from(record["monitor"]["pid"].as_i64().unwrap()).unwrap();
            if record["spec"]["of"].is_string() && !sandbox.join("plan").exists() && !killed.contains(&pid) {
                signal(pid, Signal::KILL);
                killed.push(pid);
            }
        }
        thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn an_exec_whose_monitor_is_killed_goes_on_with_another() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "base", "sleep", "1000"]).ok();
    let round = |count| {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let killer = scope.spawn(|| kill_the_next_of_execs(&cctl, count, &is_over));
            let output = cctl.cctl(&["exec", &id, "echo", "once"]);
            is_over.store(true, Ordering::SeqCst);
            killer.join().unwrap();
            output
        })
    };
    for count in 1..=3 {
        // A monitor that was asked between the look and the kill may have executed it, and that is said.
        let output = (0..5).map(|_| round(count)).find(|output| !output.stderr.contains("was killed"));
        assert_eq!(output.expect("each time it may have been executed").ok(), "once");
    }
    cctl.cctl(&["rm", "-f", &id]).ok();
}
