//! Keeper and supervisor on the real kernel, with services that are nothing but their protocol.
#![allow(clippy::unwrap_used, clippy::panic)]

mod drop_ins;
mod fake;
mod instance;
mod replace;
mod sys;
mod systemd;

use instance::{Instance, Process, eventually, names, signal, stop};
use rustix::process::{Pid, Signal, kill_process};
use schema::Code;
use schema::supervisor::State;
use std::fs;
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_service_gets_its_socket_and_nothing_else() {
    let instance = Instance::start(&["one", "two"]);
    let rows = instance.status().unwrap();
    let shown: Vec<_> = rows.iter().map(|row| (row.service.as_str(), row.state, row.restarts)).collect();
    assert_eq!(shown, [("supervisor", State::Ready, 0), ("one", State::Ready, 0), ("two", State::Ready, 0)]);
    assert!(rows.iter().all(|row| row.pid > 0 && row.memory > 0 && row.last_error.is_empty()), "{rows:?}");
    let (pid, open, environment) = instance.talk("one");
    assert_eq!(pid, rows[1].pid);
    let mut numbers: Vec<&str> = open.split(' ').map(|text| text.split_once('=').unwrap().0).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, ["0", "1", "2", "3"], "{open}");
    assert!(open.contains("0=/dev/null") && open.contains("3=socket:"), "{open}");
    assert!(open.contains("1=") && open.matches("/logs/one.log").count() == 2, "{open}");
    assert!(environment.contains("NOTIFY_SOCKET") && !environment.contains("SECRET"), "{environment}");
    assert!(environment.contains("CCTL_CONFIG") && environment.contains("https_proxy"), "{environment}");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
}

#[test]
fn a_killed_service_comes_back_and_serves_who_connected_meanwhile() {
    let instance = Instance::start(&["steady"]);
    let (before, inode) = (instance.row("steady").pid, instance.inode("steady"));
    // While it is stopped, a connection waits; and it waits on when the process is killed.
    stop(before);
    let mut waiting = instance.connect("steady");
    signal(before, Signal::KILL);
    let mut text = String::new();
    waiting.read_to_string(&mut text).unwrap();
    let served_by: i32 = text.lines().next().unwrap().parse().unwrap();
    let after = instance.successor("steady", before);
    assert_eq!(served_by, after.pid);
    assert_eq!((after.restarts, after.last_error.as_str()), (1, "killed by SIGKILL"));
    assert_eq!(instance.inode("steady"), inode);
}

#[test]
fn a_hung_service_is_killed_by_the_watchdog() {
    let instance = Instance::start(&["steady"]);
    let before = instance.row("steady").pid;
    let start = Instant::now();
    signal(before, Signal::STOP);
    let after = instance.successor("steady", before);
    assert!(after.last_error.contains("no sign of life for 1"), "{}", after.last_error);
    assert!(after.last_error.contains("it is stopped"), "{}", after.last_error);
    println!("replaced {:?} after it was stopped", start.elapsed());
}

#[test]
fn a_service_that_turns_without_end_is_killed_by_the_watchdog() {
    let instance = Instance::start(&["looping"]);
    let before = instance.row("looping").pid;
    // It says that it is alive until somebody connects.
    let _connection = instance.connect("looping");
    let start = Instant::now();
    let after = instance.successor("looping", before);
    assert!(after.last_error.contains("no sign of life for 1"), "{}", after.last_error);
    println!("replaced {:?} after it began to turn", start.elapsed());
}

#[test]
fn a_service_that_is_stopped_while_it_starts_is_replaced() {
    let instance = Instance::start(&["steady", "late"]);
    let before = instance.row("late").pid;
    signal(before, Signal::KILL);
    let starting = eventually("the next is started", || {
        Some(instance.row("late")).filter(|row| ![0, before].contains(&row.pid) && row.state == State::Starting)
    });
    stop(starting.pid);
    let after = instance.successor("late", starting.pid);
    assert!(after.last_error.contains("stopped before it was ready"), "{}", after.last_error);
    assert_eq!(instance.row("steady").restarts, 0);
}

#[test]
fn a_stopped_keeper_is_let_go_on() {
    let instance = Instance::start(&["steady"]);
    let rows = instance.status().unwrap();
    stop(instance.keeper());
    eventually("the keeper goes on", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", instance.keeper())).unwrap();
        (!stat.rsplit_once(')').unwrap().1.starts_with(" T")).then_some(())
    });
    assert_eq!(
        instance.status().unwrap().iter().map(|row| row.pid).collect::<Vec<_>>(),
        rows.iter().map(|row| row.pid).collect::<Vec<_>>()
    );
    // It keeps.
    signal(rows[0].pid, Signal::KILL);
    instance.successor("supervisor", rows[0].pid);
}

#[test]
fn a_service_that_cannot_start_is_given_up_and_others_live() {
    let instance = Instance::start(&["crashing", "steady", "shy"]);
    let failed = |name| eventually("given up", || Some(instance.row(name)).filter(|row| row.state == State::Failed));
    let (crashing, shy) = (failed("crashing"), failed("shy"));
    assert_eq!((crashing.restarts, crashing.last_error.as_str(), crashing.pid), (3, "exited with status 3", 0));
    assert!(shy.last_error.contains("was not ready for 500ms"), "{}", shy.last_error);
    assert_eq!(instance.talk("steady").0, instance.row("steady").pid);
    // A restart that is asked for tries again, and says how it went.
    let refusal = instance.ask(async |supervisor, call| supervisor.restart(call, "crashing").await).unwrap_err();
    assert_eq!(refusal.code, Code::Unavailable);
    assert!(refusal.message.contains("exited with status 3") && refusal.hint.contains("crashing.log"), "{refusal:?}");
}

#[test]
fn restart_answers_when_the_successor_is_ready() {
    let instance = Instance::start(&["one", "two"]);
    let before = [instance.row("one").pid, instance.row("two").pid];
    instance.ask(async |supervisor, call| supervisor.restart(call, "two").await).unwrap();
    let now = instance.row("two");
    assert!(now.state == State::Ready && now.pid != before[1] && instance.row("one").pid == before[0], "{now:?}");
    instance.ask(async |supervisor, call| supervisor.restart(call, "").await).unwrap();
    assert_ne!(instance.row("one").pid, before[0]);
    assert_ne!(instance.row("two").pid, now.pid);
    let refusal = instance.ask(async |supervisor, call| supervisor.restart(call, "three").await).unwrap_err();
    assert_eq!(refusal.code, Code::NotFound);
    assert!(refusal.message.contains("\"three\"") && refusal.hint.contains("one, two"), "{refusal:?}");
    let log = instance.ask(async |supervisor, call| supervisor.log_file(call, "two").await).unwrap();
    assert!(log.exists());
}

#[test]
fn a_killed_supervisor_comes_back_on_the_same_sockets() {
    let instance = Instance::start(&["one", "two"]);
    let rows = instance.status().unwrap();
    let inodes = ["supervisor", "one", "two"].map(|name| instance.inode(name));
    let services = [Process::of(rows[1].pid), Process::of(rows[2].pid)];
    signal(rows[0].pid, Signal::KILL);
    for row in &rows {
        instance.successor(&row.service, row.pid);
    }
    assert!(services.iter().all(Process::is_gone), "services of the dead supervisor are left");
    assert_eq!(inodes, ["supervisor", "one", "two"].map(|name| instance.inode(name)));
    let supervisor = instance.row("supervisor");
    assert_eq!((supervisor.restarts, supervisor.last_error.as_str()), (1, "killed by SIGKILL"));
    assert_eq!(instance.processes().len(), 4);
}

#[test]
fn a_supervisor_without_a_keeper_becomes_one() {
    let mut instance = Instance::start(&["steady"]);
    let rows = instance.status().unwrap();
    let (keeper, inode) = (instance.keeper(), instance.inode("steady"));
    signal(keeper, Signal::KILL);
    assert!(!instance.wait_for_keeper());
    let after = instance.successor("supervisor", rows[0].pid);
    assert_eq!((after.restarts, after.last_error.as_str()), (1, "the keeper was gone"));
    assert_eq!(instance.keeper(), rows[0].pid, "the supervisor has become the keeper");
    instance.successor("steady", rows[1].pid);
    assert_eq!(instance.inode("steady"), inode);
    // It keeps: the lock, the sockets, and a supervisor.
    assert!(!instance.command().stderr(Stdio::null()).status().unwrap().success());
    signal(after.pid, Signal::KILL);
    assert_eq!(instance.successor("supervisor", after.pid).restarts, 2);
    assert_eq!(instance.talk("steady").0, instance.row("steady").pid);
}

#[test]
fn what_a_service_puts_on_its_shelf_outlives_it_and_the_supervisor_and_the_keeper() {
    let mut instance = Instance::start(&["shelving", "steady"]);
    assert_eq!(instance.shelved("shelving"), 0);
    let before = instance.row("shelving").pid;
    signal(before, Signal::KILL);
    let before = instance.successor("shelving", before).pid;
    assert_eq!(instance.shelved("shelving"), 1);
    signal(instance.row("supervisor").pid, Signal::KILL);
    let before = instance.successor("shelving", before).pid;
    assert_eq!(instance.shelved("shelving"), 2);
    signal(instance.keeper(), Signal::KILL);
    assert!(!instance.wait_for_keeper());
    let before = instance.successor("shelving", before).pid;
    assert_eq!(instance.shelved("shelving"), 3);
    // The new keeper holds it, too.
    signal(instance.row("supervisor").pid, Signal::KILL);
    instance.successor("shelving", before);
    assert_eq!(instance.shelved("shelving"), 4);
    assert_eq!(instance.talk("steady").0, instance.row("steady").pid);
}

#[test]
fn shut_down_leaves_no_process_and_no_socket() {
    let mut instance = Instance::start(&["one", "two", "crashing"]);
    let start = Instant::now();
    instance.ask(async |supervisor, call| supervisor.shut_down(call).await).unwrap();
    assert!(instance.wait_for_keeper());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(instance.processes(), Vec::<i32>::new());
    assert_eq!(names(&instance.run()), Vec::<String>::new());
}

#[test]
fn the_keeper_ends_in_order_when_told_to() {
    let mut instance = Instance::start(&["one"]);
    let start = Instant::now();
    signal(instance.keeper(), Signal::TERM);
    assert!(instance.wait_for_keeper());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(instance.processes(), Vec::<i32>::new());
    assert_eq!(names(&instance.run()), Vec::<String>::new());
}

#[test]
fn a_second_keeper_is_refused() {
    let instance = Instance::start(&["one"]);
    let inode = instance.inode("one");
    let output = instance.command().output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains("runs already") && error.contains(&instance.keeper().to_string()), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!(instance.inode("one"), inode);
    assert_eq!(instance.talk("one").0, instance.row("one").pid);
}

#[test]
fn an_orphan_of_a_service_lives_on_and_is_reaped() {
    let instance = Instance::start(&["parent"]);
    let before = instance.row("parent");
    let orphan: i32 = fs::read_to_string(instance.run().join("orphan")).unwrap().parse().unwrap();
    let process = Process::of(orphan);
    signal(before.pid, Signal::KILL);
    let after = instance.successor("parent", before.pid);
    assert!(process.is_alive());
    let parent = fs::read_to_string(format!("/proc/{orphan}/status")).unwrap();
    assert!(parent.contains(&format!("PPid:\t{}\n", instance.keeper())), "{parent}");
    signal(orphan, Signal::KILL);
    eventually("the orphan is reaped", || process.is_gone().then_some(()));
    let now = instance.row("parent");
    assert_eq!((now.pid, now.restarts, now.state), (after.pid, after.restarts, State::Ready));
}

#[test]
fn the_keeper_leaves_word_of_what_lost_its_monitor() {
    let instance = Instance::start(&["engine"]);
    let monitor: i32 = fs::read_to_string(instance.run().join("orphan")).unwrap().parse().unwrap();
    eventually("it has its trap", || instance.run().join("first").exists().then_some(()));
    let children = fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children")).unwrap();
    let first: i32 = children.trim().parse().unwrap();
    let name = (first, kit::process::start_time(first).unwrap());
    let words = kit::orphans::Words::of(&schema::Instance::new(instance.run(), instance.run()));
    signal(monitor, Signal::KILL);
    let parent = || fs::read_to_string(format!("/proc/{first}/status")).unwrap();
    let keeper = format!("PPid:\t{}\n", instance.keeper());
    eventually("the keeper inherits it", || parent().contains(&keeper).then_some(()));
    signal(first, Signal::TERM);
    // As wait(2) says it.
    assert_eq!(eventually("there is word of it", || words.told(name)), 21 << 8);
    eventually("it is reaped", || kit::process::start_time(first).is_err().then_some(()));
    // Of the monitor, which is no process of a container, there is none.
    assert_eq!(fs::read_dir(instance.run().join("ended")).unwrap().count(), 1);
}

#[test]
fn both_killed_at_once_leave_what_the_next_keeper_replaces() {
    let mut instance = Instance::start(&["steady"]);
    let rows = instance.status().unwrap();
    let service = Process::of(rows[1].pid);
    signal(rows[0].pid, Signal::STOP);
    signal(instance.keeper(), Signal::KILL);
    signal(rows[0].pid, Signal::KILL);
    assert!(!instance.wait_for_keeper());
    eventually("the service dies with its supervisor", || (!service.is_alive()).then_some(()));
    let next = instance.command().spawn().unwrap();
    instance.adopt(next);
    instance.successor("steady", rows[1].pid);
    assert_eq!(instance.row("supervisor").restarts, 0);
    instance.ask(async |supervisor, call| supervisor.shut_down(call).await).unwrap();
    assert!(instance.wait_for_keeper());
}

#[test]
fn what_cannot_start_says_so_in_one_line_and_leaves_nothing() {
    let instance = Instance::prepare(&["one", "two"]);
    fs::remove_file(instance.path("libexec/two")).unwrap();
    let output = instance.command().output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains("libexec/two is missing") && error.lines().count() == 1, "{error}");
    fs::write(instance.path("services.toml"), "service = 1").unwrap();
    let output = instance.command().output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("services.toml, line 1") && error.lines().count() == 1, "{error}");
    assert!(!instance.run().exists() && !instance.path("root").exists());
}

#[test]
fn a_hung_supervisor_is_killed_by_the_keeper() {
    let instance = Instance::start(&["steady"]);
    let rows = instance.status().unwrap();
    let start = Instant::now();
    signal(rows[0].pid, Signal::STOP);
    let after = eventually("a successor is ready", || {
        // Only a process that runs can answer: do not ask the one that is stopped.
        let gone = fs::read_to_string(format!("/proc/{}/stat", rows[0].pid)).is_err();
        gone.then(|| instance.successor("supervisor", rows[0].pid))
    });
    println!("replaced {:?} after it was stopped", start.elapsed());
    assert_eq!(after.restarts, 1);
    instance.successor("steady", rows[1].pid);
}

#[test]
fn a_keeper_starts_right_after_another_has_ended() {
    let mut instance = Instance::start(&["steady"]);
    for _ in 0..5 {
        instance.ask(async |supervisor, call| supervisor.shut_down(call).await).unwrap();
        eventually("the socket is gone", || (!instance.run().join("supervisor.sock").exists()).then_some(()));
        let next = instance.command().spawn().unwrap();
        assert!(instance.wait_for_keeper());
        instance.adopt(next);
        instance.successor("steady", 0);
    }
}

#[test]
fn a_storm_of_kills_leaves_one_of_each_on_the_same_sockets() {
    let mut instance = Instance::start(&["one", "two"]);
    let inodes = ["supervisor", "one", "two"].map(|name| instance.inode(name));
    let victims = ["one", "two", "supervisor", "one", "keeper", "two", "one", "supervisor", "two", "keeper"];
    let mut dead = 0;
    for round in 0..4 {
        for (step, victim) in victims.into_iter().enumerate() {
            if ["keeper", "supervisor"].contains(&victim) {
                // One of the two has to live: a supervisor without a keeper answers until it has become one. Whoever
                // has become keeper signs before it starts a supervisor; a status comes from there.
                let keeper = eventually("there is a keeper", || instance.signed().filter(|keeper| *keeper != dead));
                if victim == "keeper" {
                    dead = keeper;
                }
            }
            let rows = eventually("the supervisor answers", || instance.status().ok());
            match victim {
                "keeper" => signal(dead, Signal::KILL),
                name => match rows.iter().find(|row| row.service == name).unwrap().pid {
                    // It is about to be started.
                    0 => {}
                    // It may just have ended by itself, with its supervisor.
                    pid => drop(kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL)),
                },
            }
            // From at once to the middle of a start.
            std::thread::sleep(Duration::from_millis((round * 7 + step as u64 * 3) % 25));
        }
    }
    assert!(!instance.wait_for_keeper(), "the first keeper was killed");
    eventually("there is a keeper", || instance.signed().filter(|keeper| *keeper != dead));
    eventually("all are ready", || instance.status().ok()?.iter().all(|row| row.state == State::Ready).then_some(()));
    assert_eq!(inodes, ["supervisor", "one", "two"].map(|name| instance.inode(name)));
    // One keeper, one supervisor, two services.
    assert_eq!(instance.processes().len(), 4);
    for name in ["one", "two"] {
        assert_eq!(instance.talk(name).0, instance.row(name).pid);
    }
}

#[test]
fn a_keeper_that_dies_while_a_supervisor_starts_is_succeeded() {
    let instance = Instance::start(&["one"]);
    for round in 0..8 {
        let keeper = instance.keeper();
        let old = instance.row("supervisor").pid;
        signal(old, Signal::KILL);
        let starting = eventually("the next supervisor is started", || {
            let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).ok()?;
            // Services whose supervisor was killed are its children, too, until they have ended.
            let supervises = |pid: &i32| {
                let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                *pid != old && words.split(|byte| *byte == 0).any(|word| word == b"supervise")
            };
            children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(supervises)
        });
        // From its first instruction to the middle of its start.
        std::thread::sleep(Duration::from_millis(round));
        signal(starting, Signal::STOP);
        signal(keeper, Signal::KILL);
        signal(starting, Signal::CONT);
        eventually("it becomes the keeper", || instance.signed().filter(|keeper| *keeper == starting));
        eventually("all are ready", || {
            instance.status().ok()?.iter().all(|row| row.state == State::Ready).then_some(())
        });
    }
}
