//! Monitors are killed and stopped, again and again: another takes over, and nobody notices.

use crate::bench::{Bench, EXEC, is_alive, on_bench, random_id, sh, spec, tells_ends, until};
use crate::capture::Capture;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use schema::ContainerId;
use schema::executor::{ExecSpec, Phase, SandboxSpec};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

const TERMINAL: ExecSpec = ExecSpec { terminal: true, open_stdin: true, privileged: false };

fn terminal() -> SandboxSpec {
    SandboxSpec { terminal: true, open_stdin: true, ..spec() }
}

/// It may have ended, with its container, since it was found.
fn signal(pid: i32, signal: Signal) {
    let sent = kill_process(Pid::from_raw(pid).unwrap(), signal);
    assert!(matches!(sent, Ok(()) | Err(Errno::SRCH)), "{sent:?}");
}

fn numbers(last: u32) -> String {
    (1..=last).map(|number| format!("{number}\n")).collect()
}

/// Prints numbers, with a pause now and then, so that there is time for many kills.
fn count(last: u32, pause: u32) -> String {
    format!(
        "i=0; while [ $i -lt {last} ]; do i=$((i+1)); echo $i; [ $((i % {pause})) != 0 ] || usleep 4000; done; exit 33"
    )
}

/// Ends the monitor of a sandbox or exec, and waits for the next one; the pids that were ended.
async fn replace(bench: &Bench, id: &ContainerId, with: Signal) -> i32 {
    let monitor = bench.monitor_of(id);
    signal(monitor, with);
    until("there is another monitor", || {
        let directory = bench.sandbox_directory(id);
        directory.join("exit").exists() || bench.monitor_of(id) != monitor
    })
    .await;
    monitor
}

/// Kills monitors until the run is over: how many.
async fn kill_on(bench: &Bench, id: &ContainerId) -> u32 {
    let mut kills = 0;
    while !bench.sandbox_directory(id).join("ended").exists() {
        replace(bench, id, Signal::KILL).await;
        kills += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    kills
}

#[test]
fn every_line_is_there_once_without_a_terminal() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &spec()).await.unwrap();
        let capture = Capture::begin(&prepared.directory, false);
        bench.start(&id, &sh(&count(20_000, 50))).await.unwrap();
        let kills = kill_on(&bench, &id).await;
        assert_eq!(bench.wait(&id).await.code, 33);
        assert!(capture.await.unwrap().stdout == numbers(20_000));
        println!("{kills} kills");
        assert!(kills > 20, "{kills}");
        bench.destroy(&id).await;
    });
}

#[test]
fn every_line_is_there_once_with_a_terminal() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &terminal()).await.unwrap();
        let capture = Capture::begin(&prepared.directory, true);
        bench.start(&id, &sh(&format!("stty -onlcr; {}", count(20_000, 50)))).await.unwrap();
        let kills = kill_on(&bench, &id).await;
        assert_eq!(bench.wait(&id).await.code, 33);
        assert!(capture.await.unwrap().stdout == numbers(20_000));
        println!("{kills} kills");
        assert!(kills > 20, "{kills}");
        bench.destroy(&id).await;
    });
}

#[test]
fn every_line_of_an_exec_is_there_once() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        for (exec_spec, prefix) in [(EXEC, ""), (TERMINAL, "stty -onlcr; ")] {
            let exec = random_id();
            let prepared = bench.client.prepare_exec(&bench.call(), &id, &exec, &exec_spec).await.unwrap();
            let capture = Capture::begin(&prepared.directory, exec_spec.terminal);
            bench.start(&exec, &sh(&format!("{prefix}{}", count(10_000, 50)))).await.unwrap();
            let kills = kill_on(&bench, &exec).await;
            assert_eq!(bench.wait(&exec).await.code, 33);
            assert!(capture.await.unwrap().stdout == numbers(10_000));
            println!("{kills} kills");
            assert!(kills > 10, "{kills}");
            bench.destroy(&exec).await;
        }
        bench.destroy(&id).await;
    });
}

#[test]
fn what_is_typed_arrives_once() {
    on_bench(async |bench| {
        for terminal in [true, false] {
            let id = random_id();
            let prepared = bench.prepare(&id, &SandboxSpec { terminal, open_stdin: true, ..spec() }).await.unwrap();
            let capture = Capture::begin(&prepared.directory, terminal);
            let quiet = if terminal { "stty -echo -onlcr; " } else { "" };
            let script =
                format!("{quiet}echo 0; i=0; while [ $i -lt 3000 ]; do read line; echo $line; i=$((i+1)); done");
            bench.start(&id, &sh(&script)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            let mut stdin = File::options().write(true).open(prepared.directory.join("stdin")).unwrap();
            let typist = std::thread::spawn(move || {
                for number in 1..=3000 {
                    writeln!(stdin, "{number}").unwrap();
                    std::thread::sleep(Duration::from_micros(300));
                }
                stdin
            });
            let kills = kill_on(&bench, &id).await;
            drop(typist.join().unwrap());
            assert_eq!(bench.wait(&id).await.code, 0);
            let expected = format!("0\n{}", numbers(3000));
            let captured = capture.await.unwrap().stdout;
            assert!(captured == expected, "{} of {} bytes", captured.len(), expected.len());
            println!("{kills} kills");
            assert!(kills > 10, "{kills}");
            bench.destroy(&id).await;
        }
    });
}

#[test]
fn the_end_of_the_input_is_seen_across_monitors() {
    on_bench(async |bench| {
        for killed_first in [true, false] {
            let id = random_id();
            let prepared = bench.prepare(&id, &SandboxSpec { open_stdin: true, ..spec() }).await.unwrap();
            let capture = Capture::begin(&prepared.directory, false);
            bench.start(&id, &sh("cat; exit 4")).await.unwrap();
            let mut stdin = File::options().write(true).open(prepared.directory.join("stdin")).unwrap();
            stdin.write_all(b"before\n").unwrap();
            if killed_first {
                replace(&bench, &id, Signal::KILL).await;
                stdin.write_all(b"after\n").unwrap();
            }
            drop(stdin);
            if !killed_first {
                signal(bench.monitor_of(&id), Signal::KILL);
            }
            std::fs::write(prepared.directory.join("stdin.close"), "x").unwrap();
            assert_eq!(bench.wait(&id).await.code, 4);
            let expected = if killed_first { "before\nafter\n" } else { "before\n" };
            assert_eq!(capture.await.unwrap().stdout, expected);
            bench.destroy(&id).await;
        }
    });
}

#[test]
fn executor_and_monitor_are_killed_together() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &spec()).await.unwrap();
        let capture = Capture::begin(&prepared.directory, false);
        bench.start(&id, &sh(&count(20_000, 50))).await.unwrap();
        let exec = random_id();
        let exec_prepared = bench.client.prepare_exec(&bench.call(), &id, &exec, &EXEC).await.unwrap();
        let exec_capture = Capture::begin(&exec_prepared.directory, false);
        // Somebody keeps what it writes to, as the log collector does.
        let keeper = File::options()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
            .open(exec_prepared.directory.join("stdout.relay"))
            .unwrap();
        bench.start(&exec, &sh(&count(20_000, 50))).await.unwrap();
        for _ in 0..5 {
            for monitor in [bench.monitor_of(&id), bench.monitor_of(&exec)] {
                signal(monitor, Signal::KILL);
            }
            bench.kill_executor();
            let states = bench.client.list(&bench.call()).await.unwrap();
            assert!(states.iter().all(|state| matches!(state.phase, Phase::Running(_))), "{states:?}");
            until("there are monitors again", || [&id, &exec].iter().all(|id| is_alive(bench.monitor_of(id)))).await;
        }
        assert_eq!(bench.wait(&id).await.code, 33);
        assert!(capture.await.unwrap().stdout == numbers(20_000));
        // It ended with the container, at the latest.
        bench.wait(&exec).await;
        drop(keeper);
        let lines = exec_capture.await.unwrap().stdout;
        assert!(numbers(20_000).starts_with(&lines), "a gap or a repeat");
        bench.destroy(&exec).await;
        bench.destroy(&id).await;
    });
}

#[test]
fn a_stopped_monitor_is_replaced() {
    on_bench(async |bench| {
        for restarted in [false, true] {
            let id = random_id();
            let prepared = bench.prepare(&id, &terminal()).await.unwrap();
            let capture = Capture::begin(&prepared.directory, true);
            let script = "stty -echo; trap 'stty size; exit 7' WINCH; echo ready; while :; do sleep 0.02; done";
            bench.start(&id, &sh(script)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            // A monitor that took over can be stopped, too.
            for _ in 0..2 {
                let monitor = bench.monitor_of(&id);
                signal(monitor, Signal::STOP);
                if restarted {
                    bench.kill_executor();
                    bench.client.list(&bench.call()).await.unwrap();
                }
                until("it is replaced", || bench.monitor_of(&id) != monitor).await;
            }
            bench.client.resize(&bench.call(), &id, 41, 142).await.unwrap();
            if !restarted {
                assert_eq!(bench.wait(&id).await.code, 7);
                assert_eq!(capture.await.unwrap().stdout, "ready\r\n41 142\r\n");
            }
            bench.destroy(&id).await;
        }
    });
}

#[test]
fn everything_works_with_another_monitor() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &terminal()).await.unwrap();
        let capture = Capture::begin(&prepared.directory, true);
        let script = "stty -echo; trap 'stty size' WINCH; trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 0.02; done";
        let started = bench.start(&id, &sh(script)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        for restarted in [false, true] {
            replace(&bench, &id, Signal::KILL).await;
            if restarted {
                bench.kill_executor();
            }
            assert_eq!(bench.start(&id, &sh("true")).await, Ok(started));
            assert_eq!(bench.exec_script(&id, "id -un; hostname").await, "root\nbox\n");
            bench.client.freeze(&bench.call(), &id, true).await.unwrap();
            bench.client.freeze(&bench.call(), &id, false).await.unwrap();
            assert!(bench.client.stats(&bench.call(), &id).await.unwrap().pids >= 1);
        }
        // A size that is told while there is no monitor.
        let monitor = bench.monitor_of(&id);
        signal(monitor, Signal::KILL);
        bench.client.resize(&bench.call(), &id, 44, 144).await.unwrap();
        until("there is another monitor", || bench.monitor_of(&id) != monitor).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        bench.client.signal(&bench.call(), &id, 15).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 5);
        assert_eq!(capture.await.unwrap().stdout, "ready\r\n44 144\r\nterm\r\n");
        bench.destroy(&id).await;
    });
}

#[test]
fn an_end_while_there_is_no_monitor_is_told() {
    on_bench(async |bench| {
        for terminal in [false, true] {
            let id = random_id();
            let prepared = bench.prepare(&id, &SandboxSpec { terminal, ..spec() }).await.unwrap();
            let capture = Capture::begin(&prepared.directory, terminal);
            bench.start(&id, &sh("read x < /dev/zero & echo words; sleep 0.3; exit 9")).await.unwrap();
            let executor = bench.executor_pid() as i32;
            signal(executor, Signal::STOP);
            signal(bench.monitor_of(&id), Signal::KILL);
            tokio::time::sleep(Duration::from_millis(600)).await;
            signal(executor, Signal::CONT);
            assert_eq!(bench.wait(&id).await.code, 9);
            assert_eq!(capture.await.unwrap().stdout.trim_end(), "words");
            bench.destroy(&id).await;
        }
    });
}

#[test]
fn a_monitor_is_killed_at_any_instant_of_the_end() {
    on_bench(async |bench| {
        for delay in 0..30 {
            let id = random_id();
            let prepared = bench.prepare(&id, &SandboxSpec { terminal: delay % 2 == 0, ..spec() }).await.unwrap();
            let capture = Capture::begin(&prepared.directory, delay % 2 == 0);
            let monitor = bench.monitor_of(&id);
            bench.start(&id, &sh("usleep 5000; echo out; exit 12")).await.unwrap();
            let killer = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_micros(4000 + delay * 150));
                let _ = kill_process(Pid::from_raw(monitor).unwrap(), Signal::KILL);
            });
            let code = bench.wait(&id).await.code;
            assert!(code == 12 || code == -1 && !tells_ends(), "{code}");
            assert_eq!(capture.await.unwrap().stdout.trim_end(), "out");
            killer.join().unwrap();
            bench.destroy(&id).await;
        }
    });
}

/// Kills the executor and the monitors of some sandboxes, while the executor can do nothing about it.
fn kill_all(bench: &Bench, ids: &[&ContainerId]) {
    signal(bench.executor_pid() as i32, Signal::STOP);
    ids.iter().for_each(|id| signal(bench.monitor_of(id), Signal::KILL));
}

#[test]
fn an_end_is_told_though_nobody_was_there() {
    on_bench(async |bench| {
        for round in 0..30 {
            let terminal = round % 2 == 0;
            let id = random_id();
            let prepared = bench.prepare(&id, &SandboxSpec { terminal, ..spec() }).await.unwrap();
            let capture = Capture::begin(&prepared.directory, terminal);
            let code = 10 + round;
            bench.start(&id, &sh(&format!("echo words; usleep 600000; exit {code}"))).await.unwrap();
            let exec = random_id();
            bench.client.prepare_exec(&bench.call(), &id, &exec, &EXEC).await.unwrap();
            let directory = bench.sandbox_directory(&exec);
            // Somebody keeps what it writes to, as the log collector does.
            let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
            let keeper = File::options().read(true).custom_flags(flags).open(directory.join("stdout.relay")).unwrap();
            let exec_capture = Capture::begin(&directory, false);
            let started = bench.start(&exec, &sh(&format!("usleep 50000; exit {}", code + 1))).await.unwrap();
            kill_all(&bench, &[&id, &exec]);
            until("the exec has ended", || !is_alive(started.pid)).await;
            let first = bench.first_of(&id);
            if round % 3 != 0 {
                until("PID 1 has ended", || !kit::process::is_alive(first.0, first.1)).await;
            }
            bench.kill_executor();
            for (ended, code) in [(&exec, code + 1), (&id, code)] {
                let told = bench.wait(ended).await.code;
                assert!(told == code || told == -1 && !tells_ends(), "round {round}: {told}");
            }
            drop((keeper, exec_capture.await.unwrap()));
            assert_eq!(capture.await.unwrap().stdout.lines().next().unwrap(), "words");
            bench.destroy(&exec).await;
            bench.destroy(&id).await;
        }
    });
}

#[test]
fn a_terminal_is_not_hung_up_though_nobody_of_its_holders_lives() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &terminal()).await.unwrap();
        let capture = Capture::begin(&prepared.directory, true);
        bench
            .start(&id, &sh("stty -echo; trap 'exit 9' HUP; echo ready; while read line; do [ $line != end ] || exit 8; echo $line; done"))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut stdin = File::options().read(true).write(true).open(prepared.directory.join("stdin")).unwrap();
        for round in 0..20 {
            kill_all(&bench, &[&id]);
            bench.kill_executor();
            let monitor = bench.monitor_of(&id);
            until("there is another monitor", || bench.monitor_of(&id) != monitor).await;
            writeln!(stdin, "line{round}").unwrap();
        }
        writeln!(stdin, "end").unwrap();
        assert_eq!(bench.wait(&id).await.code, 8);
        let text = capture.await.unwrap().stdout;
        let expected: String = (0..20).map(|round| format!("line{round}\r\n")).collect();
        assert_eq!(text, format!("ready\r\n{expected}"));
        bench.destroy(&id).await;
    });
}
