//! What a container costs.

use crate::bench::{EXEC, command, on_bench, patience, random_id, sh, spec};
use crate::capture::Capture;
use std::time::{Duration, Instant};

/// Bytes that a monitor may take, shared pages divided by their users.
const MONITOR: u64 = 100 << 10;

#[test]
fn a_monitor_is_small() {
    on_bench(async |bench| {
        let id = random_id();
        let prepared = bench.prepare(&id, &spec()).await.unwrap();
        let parked = kit::process::memory(prepared.sandbox.pid).unwrap();
        bench.start(&id, &command(&["sleep", "1000"])).await.unwrap();
        let running = kit::process::memory(prepared.sandbox.pid).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", prepared.sandbox.pid)).unwrap();
        let resident = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        println!("monitor: PSS {} KiB parked, {} KiB running; {resident}", parked >> 10, running >> 10);
        assert!(parked < MONITOR && running < MONITOR, "{parked} {running}");
        bench.destroy(&id).await;
    });
}

#[test]
fn an_exec_costs_as_little() {
    on_bench(async |bench| {
        let id = bench.idle(&spec()).await;
        let exec = random_id();
        let prepared = bench.client.prepare_exec(&bench.call(), &id, &exec, &EXEC).await.unwrap();
        let parked = kit::process::memory(prepared.sandbox.pid).unwrap();
        bench.start(&exec, &command(&["sleep", "1000"])).await.unwrap();
        let running = kit::process::memory(prepared.sandbox.pid).unwrap();
        bench.destroy(&exec).await;
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..30 {
            let began = Instant::now();
            assert_eq!(bench.exec(&id, EXEC, &command(&["true"])).await.unwrap().0.code, 0);
            times.push(began.elapsed());
        }
        times.sort();
        println!("exec: PSS {} KiB parked, {} KiB running", parked >> 10, running >> 10);
        println!("exec, whole: min {:?}, median {:?}", times[0], times[times.len() / 2]);
        assert!(parked < MONITOR && running < MONITOR, "{parked} {running}");
        assert!(times[times.len() / 2] < patience(Duration::from_millis(500)));
        bench.destroy(&id).await;
    });
}

#[test]
fn the_steps_are_quick() {
    on_bench(async |bench| {
        let mut times: [Vec<Duration>; 4] = Default::default();
        for _ in 0..30 {
            let id = random_id();
            let mut began = Instant::now();
            let mut lap = |step: usize, times: &mut [Vec<Duration>; 4]| {
                times[step].push(began.elapsed());
                began = Instant::now();
            };
            let prepared = bench.client.prepare(&bench.call(), &id, &spec()).await.unwrap();
            lap(0, &mut times);
            crate::bench::mount(prepared.sandbox, &bench.directory.path().join("rootfs"));
            let capture = Capture::begin(&prepared.directory, false);
            lap(1, &mut times);
            bench.start(&id, &sh("exit 0")).await.unwrap();
            lap(2, &mut times);
            bench.wait(&id).await;
            capture.await.unwrap();
            lap(3, &mut times);
            let began = Instant::now();
            bench.destroy(&id).await;
            times[1].pop();
            times[1].push(began.elapsed());
        }
        for (step, times) in ["prepare", "destroy", "start", "run and wait"].iter().zip(&mut times) {
            times.sort();
            println!("{step}: min {:?}, median {:?}", times[0], times[times.len() / 2]);
            assert!(times[times.len() / 2] < patience(Duration::from_millis(500)));
        }
    });
}
