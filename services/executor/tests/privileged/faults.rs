//! Processes of ours are killed at any point.

use crate::bench::{command, is_alive, on_bench, random_id, sh, spec, until};
use crate::capture::Capture;
use rustix::process::{Pid, Signal, kill_process};
use schema::Code;
use schema::executor::{Phase, SandboxSpec};
use std::fs;
use std::time::Duration;

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn the_executor_is_killed_between_all_steps() {
    on_bench(async |bench| {
        let id = random_id();
        let spec = SandboxSpec { open_stdin: true, ..spec() };
        let prepared = bench.prepare(&id, &spec).await.unwrap();
        bench.kill_executor();
        assert_eq!(bench.client.prepare(&bench.call(), &id, &spec).await, Ok(prepared.clone()));
        assert!(
            matches!(bench.client.list(&bench.call()).await.unwrap()[..], [ref state] if state.phase == Phase::Parked)
        );
        let capture = Capture::begin(&prepared.directory, false);
        let started = bench.start(&id, &sh("read line; echo $line; exit 9")).await.unwrap();
        bench.kill_executor();
        assert_eq!(bench.start(&id, &sh("true")).await, Ok(started));
        assert!(
            matches!(bench.client.list(&bench.call()).await.unwrap()[..], [ref state] if state.phase == Phase::Running(started))
        );
        let waiting = {
            let (client, id, call) = (bench.client.clone(), id.clone(), bench.call());
            tokio::task::spawn_local(async move { client.wait(&call, &id).await })
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
        bench.kill_executor();
        fs::write(prepared.directory.join("stdin"), "done\n").unwrap();
        let exit = waiting.await.unwrap().unwrap();
        assert_eq!(exit.code, 9);
        bench.kill_executor();
        assert_eq!(bench.wait(&id).await, exit);
        assert_eq!(bench.start(&id, &sh("true")).await, Ok(started));
        assert_eq!(capture.await.unwrap().stdout, "done\n");
        bench.kill_executor();
        bench.destroy(&id).await;
    });
}

#[test]
fn the_executor_is_killed_at_any_instant() {
    on_bench(async |bench| {
        for delay in [0, 1, 2, 3, 5, 8, 12, 18, 25, 40] {
            let (id, victim) = (random_id(), bench.executor_pid());
            let killer = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(delay));
                kill(victim as i32);
            });
            let restart = {
                let bench = std::rc::Rc::clone(&bench);
                tokio::task::spawn_local(async move {
                    until("the executor is killed", || killer.is_finished()).await;
                    bench.kill_executor();
                })
            };
            let prepared = bench.client.prepare(&bench.call(), &id, &spec()).await.unwrap();
            if delay % 2 == 0 {
                crate::bench::mount(prepared.sandbox, &bench.directory.path().join("rootfs"));
                bench.start(&id, &sh("exit 11")).await.unwrap();
                assert_eq!(bench.wait(&id).await.code, 11);
            }
            bench.destroy(&id).await;
            restart.await.unwrap();
        }
    });
}

#[test]
fn what_was_half_made_is_removed() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &spec()).await.unwrap();
        // As if the executor had been killed before the sandbox was whole.
        fs::remove_file(prepared.directory.join("sandbox.json")).unwrap();
        bench.kill_executor();
        assert_eq!(bench.client.list(&bench.call()).await, Ok(vec![]));
        assert!(!prepared.directory.exists());
        assert!(!is_alive(prepared.sandbox.pid));
        let again = bench.client.prepare(&bench.call(), &id, &spec()).await.unwrap();
        assert_ne!(again.sandbox, prepared.sandbox);
        bench.destroy(&id).await;
    });
}

#[test]
fn cgroups_without_a_sandbox_are_removed() {
    on_bench(async |bench| {
        let id = random_id();
        bench.prepare(&id, &spec()).await.unwrap();
        let orphan = bench.cgroups().pop().unwrap().join(random_id().as_str());
        fs::create_dir(&orphan).unwrap();
        bench.kill_executor();
        assert_eq!(bench.client.list(&bench.call()).await.unwrap().len(), 1);
        assert!(!orphan.exists());
        bench.destroy(&id).await;
    });
}

#[test]
fn sandboxes_of_another_boot_are_not_believed() {
    on_bench(async |bench| {
        let id = random_id();
        let directory = bench.sandbox_directory(&id);
        until("the executor serves", || bench.instance.sandboxes().exists()).await;
        fs::create_dir(&directory).unwrap();
        let record = r#"{"boot":"other","spec":{"hostname":"x","host_network":false,"terminal":false,"open_stdin":false,
            "limits":{"memory":0,"memory_swap":0,"nano_cpus":0,"pids":0}},"monitor":{"pid":1,"start_time":1},"warnings":[]}"#;
        fs::write(directory.join("sandbox.json"), record).unwrap();
        bench.kill_executor();
        assert_eq!(bench.client.list(&bench.call()).await, Ok(vec![]));
        assert!(!directory.exists());
    });
}

#[test]
fn a_container_outlives_its_monitor() {
    on_bench(async |bench| {
        for restarted in [false, true] {
            let id = random_id();
            let prepared = bench.prepare(&id, &spec()).await.unwrap();
            let capture = Capture::begin(&prepared.directory, false);
            let started =
                bench.start(&id, &sh("trap 'echo caught; exit 21' TERM; while :; do sleep 0.01; done")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            kill(prepared.sandbox.pid);
            tokio::time::sleep(Duration::from_millis(100)).await;
            if restarted {
                bench.kill_executor();
            }
            let states = bench.client.list(&bench.call()).await.unwrap();
            assert!(
                matches!(&states[..], [state] if matches!(state.phase, Phase::Running(running) if running.pid == started.pid)),
                "{states:?}"
            );
            bench.client.signal(&bench.call(), &id, 15).await.unwrap();
            let exit = bench.wait(&id).await;
            // Known since Linux 6.15.
            assert!(exit.code == 21 || (exit.code == -1 && exit.note.contains("monitor was killed")), "{exit:?}");
            assert_eq!(capture.await.unwrap().stdout, "caught\n");
            bench.destroy(&id).await;
        }
    });
}

#[test]
fn a_container_whose_monitor_was_killed_can_be_destroyed() {
    on_bench(async |bench| {
        for restarted in [false, true] {
            let id = random_id();
            let prepared = bench.prepare(&id, &spec()).await.unwrap();
            let started = bench.start(&id, &command(&["sleep", "1000"])).await.unwrap();
            kill(prepared.sandbox.pid);
            if restarted {
                bench.kill_executor();
            }
            bench.destroy(&id).await;
            until("PID 1 is gone", || !is_alive(started.pid)).await;
        }
    });
}

#[test]
fn a_parked_monitor_that_was_killed_fails_the_start() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &spec()).await.unwrap();
        kill(prepared.sandbox.pid);
        // One that is still dying may be asked to execute something, and nobody knows whether it did.
        until("the monitor is dead", || !is_alive(prepared.sandbox.pid)).await;
        let failure = bench.start(&id, &sh("true")).await.unwrap_err();
        assert!(failure.code == Code::SandboxLost && failure.message.contains("monitor"), "{failure:?}");
        assert_eq!(bench.prepare(&id, &spec()).await.unwrap_err().code, Code::SandboxLost);
        bench.kill_executor();
        let failure = bench.start(&id, &sh("true")).await.unwrap_err();
        assert_eq!(failure.code, Code::SandboxLost, "{failure}");
        bench.destroy(&id).await;
        bench.prepare(&id, &spec()).await.unwrap();
        bench.start(&id, &sh("exit 6")).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 6);
        bench.destroy(&id).await;
    });
}

#[test]
fn signals_to_everybody_do_not_end_a_monitor() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &spec()).await.unwrap();
        for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::PIPE, Signal::QUIT, Signal::USR1] {
            kill_process(Pid::from_raw(prepared.sandbox.pid).unwrap(), signal).unwrap();
        }
        bench.start(&id, &sh("exit 2")).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 2);
        bench.destroy(&id).await;
    });
}

#[test]
fn what_could_not_be_removed_when_it_could_not_be_made_goes_when_it_is_destroyed() {
    on_bench(async |bench| {
        let id = random_id();
        let directory = bench.instance.sandboxes().join(id.as_str());
        let held = directory.join("held");
        fs::create_dir_all(&held).unwrap();
        rustix::mount::mount("held", &held, "tmpfs", rustix::mount::MountFlags::empty(), None).unwrap();
        assert!(bench.prepare(&id, &spec()).await.is_err());
        assert!(bench.client.destroy(&bench.call(), &id).await.is_err(), "{} is there", directory.display());
        rustix::mount::unmount(&held, rustix::mount::UnmountFlags::empty()).unwrap();
        bench.destroy(&id).await;
        assert!(!directory.exists());
        let prepared = bench.prepare(&id, &spec()).await.unwrap();
        assert_eq!(prepared.directory, directory);
        bench.destroy(&id).await;
    });
}
