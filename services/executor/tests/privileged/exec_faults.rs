//! Processes of ours are killed while execs run, and many execs leave nothing.

use crate::bench::{Bench, EXEC, children_of, command, on_bench, random_id, sh, spec, tells_ends, until, until_none};
use crate::capture::Capture;
use rustix::process::{Pid, Signal, kill_process};
use schema::executor::{ExecSpec, Phase};
use std::collections::BTreeMap;
use std::fs;
use std::rc::Rc;

#[test]
fn the_executor_is_killed_between_all_steps_of_an_exec() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let (exec, spec) = (random_id(), ExecSpec { open_stdin: true, ..EXEC });
        let phase = async || {
            let states = bench.client.list(&bench.call()).await.unwrap();
            let state = states.into_iter().find(|state| state.id == exec).unwrap();
            assert_eq!(state.exec_of.as_ref(), Some(&id));
            state.phase
        };
        let prepared = bench.client.prepare_exec(&bench.call(), &id, &exec, &spec).await.unwrap();
        bench.kill_executor();
        assert_eq!(phase().await, Phase::Parked);
        assert_eq!(bench.client.prepare_exec(&bench.call(), &id, &exec, &spec).await, Ok(prepared.clone()));
        let capture = Capture::begin(&prepared.directory, false);
        let started = bench.start(&exec, &sh("read line; echo $line; exit 9")).await.unwrap();
        bench.kill_executor();
        assert_eq!(phase().await, Phase::Running(started));
        assert_eq!(bench.start(&exec, &sh("true")).await, Ok(started));
        let waiting = {
            let (client, exec, call) = (bench.client.clone(), exec.clone(), bench.call());
            tokio::task::spawn_local(async move { client.wait(&call, &exec).await })
        };
        tokio::task::yield_now().await;
        bench.kill_executor();
        fs::write(prepared.directory.join("stdin"), "done\n").unwrap();
        let exit = waiting.await.unwrap().unwrap();
        assert_eq!(exit.code, 9);
        bench.kill_executor();
        assert_eq!(phase().await, Phase::Exited(exit.clone()));
        assert_eq!(bench.start(&exec, &sh("true")).await, Ok(started));
        assert_eq!(bench.wait(&exec).await, exit);
        assert_eq!(capture.await.unwrap().stdout, "done\n");
        bench.kill_executor();
        bench.destroy(&exec).await;
        bench.destroy(&id).await;
    });
}

#[test]
fn the_executor_is_killed_at_any_instant_of_an_exec() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        for delay in [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20] {
            let victim = Pid::from_raw(bench.executor_pid() as i32).unwrap();
            let killer = std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(delay));
                kill_process(victim, Signal::KILL).unwrap();
            });
            let restart = {
                let bench = Rc::clone(&bench);
                tokio::task::spawn_local(async move {
                    until("the executor is killed", || killer.is_finished()).await;
                    bench.kill_executor();
                })
            };
            let (exit, captured) = bench.exec(&id, EXEC, &sh("echo once >> /ran; echo out; exit 11")).await.unwrap();
            assert_eq!((exit.code, captured.stdout.as_str()), (11, "out\n"));
            restart.await.unwrap();
        }
        assert_eq!(bench.exec_script(&id, "wc -l < /ran").await, "12\n");
        bench.destroy(&id).await;
    });
}

#[test]
fn a_killed_monitor_of_an_exec_harms_the_container_in_nothing() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        for restarted in [false, true] {
            let exec = random_id();
            let prepared = bench.client.prepare_exec(&bench.call(), &id, &exec, &EXEC).await.unwrap();
            let started =
                bench.start(&exec, &sh("trap 'exit 21' TERM; > /trapped; while :; do sleep 0.01; done")).await;
            let trapped = bench.directory.path().join("rootfs/trapped");
            until("it has its trap", || trapped.exists()).await;
            fs::remove_file(trapped).unwrap();
            kill_process(Pid::from_raw(prepared.sandbox.pid).unwrap(), Signal::KILL).unwrap();
            until("the monitor is gone", || !kit::process::is_alive(prepared.sandbox.pid, prepared.sandbox.start_time))
                .await;
            if restarted {
                bench.kill_executor();
            }
            let states = bench.client.list(&bench.call()).await.unwrap();
            let running = |state: &&_| matches!(state, schema::executor::SandboxState { phase: Phase::Running(_), .. });
            assert_eq!(states.iter().filter(running).count(), 2, "{states:?}");
            bench.client.signal(&bench.call(), &exec, 15).await.unwrap();
            let exit = bench.wait(&exec).await;
            // Known since Linux 6.15.
            assert!(exit.code == 21 || (exit.code == -1 && exit.note.contains("monitor was killed")), "{exit:?}");
            assert!(started.is_ok());
            bench.destroy(&exec).await;
        }
        assert_eq!(bench.exec_script(&id, "echo alive").await, "alive\n");
        bench.destroy(&id).await;
    });
}

#[test]
fn a_container_whose_monitor_was_killed_can_be_joined() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let monitor = bench.monitor_of(&id);
        let start = kit::process::start_time(monitor).unwrap();
        kill_process(Pid::from_raw(monitor).unwrap(), Signal::KILL).unwrap();
        until("the monitor is gone", || !kit::process::is_alive(monitor, start)).await;
        for restarted in [false, true] {
            if restarted {
                bench.kill_executor();
            }
            assert_eq!(bench.exec_script(&id, "id -un; hostname").await, "root\nbox\n");
        }
        bench.client.freeze(&bench.call(), &id, true).await.unwrap();
        bench.client.freeze(&bench.call(), &id, false).await.unwrap();
        assert!(bench.client.stats(&bench.call(), &id).await.unwrap().pids >= 2);
        bench.destroy(&id).await;
    });
}

#[test]
fn an_exec_whose_monitor_was_killed_can_be_destroyed() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        for restarted in [false, true] {
            let exec = random_id();
            let prepared = bench.client.prepare_exec(&bench.call(), &id, &exec, &EXEC).await.unwrap();
            let started = bench.start(&exec, &command(&["sleep", "1000"])).await.unwrap();
            let start = kit::process::start_time(started.pid).unwrap();
            kill_process(Pid::from_raw(prepared.sandbox.pid).unwrap(), Signal::KILL).unwrap();
            if restarted {
                bench.kill_executor();
            }
            bench.destroy(&exec).await;
            until("its process is gone", || !kit::process::is_alive(started.pid, start)).await;
        }
        bench.destroy(&id).await;
    });
}

#[test]
fn an_end_that_nobody_has_seen_is_told() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let exec = random_id();
        bench.client.prepare_exec(&bench.call(), &id, &exec, &EXEC).await.unwrap();
        bench.start(&exec, &command(&["sleep", "1000"])).await.unwrap();
        let executor = Pid::from_raw(bench.executor_pid() as i32).unwrap();
        kill_process(executor, Signal::STOP).unwrap();
        for monitor in [bench.monitor_of(&exec), bench.monitor_of(&id)] {
            let first = children_of(monitor as u32)[0] as i32;
            let starts = [monitor, first].map(|pid| (pid, kit::process::start_time(pid).unwrap()));
            for (pid, _) in starts {
                kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
            }
            until("both are gone", || starts.iter().all(|(pid, start)| !kit::process::is_alive(*pid, *start))).await;
        }
        bench.kill_executor();
        for ended in [exec, id] {
            let exit = bench.wait(&ended).await;
            let known = if tells_ends() { (137, 9) } else { (-1, 0) };
            assert_eq!((exit.code, exit.signal), known, "{exit:?}");
            bench.destroy(&ended).await;
        }
    });
}

/// What the kernel and the file system know of: processes, directories, and descriptors by what they are of.
fn traces(bench: &Bench) -> BTreeMap<String, usize> {
    let executor = bench.executor_pid();
    let mut traces = BTreeMap::from([
        ("children".to_owned(), children_of(executor).len()),
        ("directories".to_owned(), fs::read_dir(bench.instance.sandboxes()).unwrap().count()),
    ]);
    for descriptor in fs::read_dir(format!("/proc/{executor}/fd")).unwrap().flatten() {
        if let Ok(target) = fs::read_link(descriptor.path()) {
            let kind = target.to_string_lossy().replace(|character: char| character.is_ascii_digit(), "");
            *traces.entry(kind).or_default() += 1;
        }
    }
    traces
}

#[test]
fn many_execs_leave_nothing() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        bench.exec_script(&id, "true").await;
        let before = traces(&bench);
        for number in 0..200 {
            let (exit, captured) =
                bench.exec(&id, EXEC, &sh(&format!("echo {number}; exit {}", number % 100))).await.unwrap();
            assert_eq!((exit.code, captured.stdout), (number % 100, format!("{number}\n")));
        }
        let at_once = (0..20).map(|number| {
            let (bench, id) = (Rc::clone(&bench), id.clone());
            tokio::task::spawn_local(async move {
                let spec = ExecSpec { terminal: number % 2 == 0, ..EXEC };
                let (exit, captured) =
                    bench.exec(&id, spec, &sh(&format!("echo {number}; exit {number}"))).await.unwrap();
                assert_eq!((exit.code, captured.stdout.trim()), (number, number.to_string().as_str()));
            })
        });
        for run in at_once.collect::<Vec<_>>() {
            run.await.unwrap();
        }
        until_none("more is there than before", || {
            let after = traces(&bench);
            after.into_iter().filter(|(kind, count)| before.get(kind).is_none_or(|had| had < count)).collect()
        })
        .await;
        assert_eq!(bench.client.processes(&bench.call(), &id).await.unwrap().len(), 2);
        let cgroups = bench.cgroups().into_iter().map(|cgroup| fs::read_dir(cgroup).unwrap());
        let names = cgroups.flatten().flatten().filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name());
        assert!(names.into_iter().all(|name| name == "monitors" || name.to_str() == Some(id.as_str())));
        bench.destroy(&id).await;
    });
}
