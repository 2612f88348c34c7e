//! Containers that stand still.

use crate::bench::{Bench, EXEC, on_bench, on_v1_bench, random_id, sh, spec, until};
use schema::Code;
use schema::executor::SandboxSpec;

async fn stand_still(bench: &Bench) {
    let id = bench.idle(&spec()).await;
    let counter = bench.directory.path().join("rootfs/counter");
    let exec = random_id();
    bench.client.prepare_exec(&bench.call(), &id, &exec, &EXEC).await.unwrap();
    bench.start(&exec, &sh("while :; do echo x >> /counter; sleep 0.01; done")).await.unwrap();
    let size = || std::fs::metadata(&counter).map_or(0, |file| file.len());
    until("it counts", || size() > 10).await;
    for _ in 0..2 {
        bench.client.freeze(&bench.call(), &id, true).await.unwrap();
    }
    let before = size();
    bench.kill_executor();
    let states = bench.client.list(&bench.call()).await.unwrap();
    assert!(states.len() == 2 && states.iter().all(|state| state.frozen), "{states:?}");
    let refused = bench.exec(&id, EXEC, &sh("true")).await.unwrap_err();
    assert!(refused.code == Code::Conflict && refused.message.contains("paused"), "{refused}");
    assert!(bench.client.stats(&bench.call(), &id).await.unwrap().pids >= 3);
    assert!(bench.client.processes(&bench.call(), &id).await.unwrap().len() >= 3);
    assert_eq!(size(), before);
    bench.client.freeze(&bench.call(), &id, false).await.unwrap();
    until("it counts again", || size() > before).await;
    assert!(bench.client.list(&bench.call()).await.unwrap().iter().all(|state| !state.frozen));
    // What is frozen can be killed, ...
    bench.client.freeze(&bench.call(), &id, true).await.unwrap();
    bench.client.signal(&bench.call(), &id, 9).await.unwrap();
    assert_eq!(bench.wait(&id).await.code, 137);
    assert_eq!(bench.wait(&exec).await.code, 137);
    assert_eq!(bench.client.freeze(&bench.call(), &id, true).await.unwrap_err().code, Code::Conflict);
    bench.destroy(&exec).await;
    bench.destroy(&id).await;
    assert_eq!(bench.client.freeze(&bench.call(), &id, true).await.unwrap_err().code, Code::NotFound);
    // ... and destroyed, also when its monitor is dead.
    for monitored in [true, false] {
        let id = random_id();
        let prepared = bench.prepare(&id, &SandboxSpec { open_stdin: true, ..spec() }).await.unwrap();
        bench.start(&id, &sh("cat")).await.unwrap();
        bench.client.freeze(&bench.call(), &id, true).await.unwrap();
        if !monitored {
            let monitor = rustix::process::Pid::from_raw(prepared.sandbox.pid).unwrap();
            rustix::process::kill_process(monitor, rustix::process::Signal::KILL).unwrap();
        }
        let began = std::time::Instant::now();
        bench.destroy(&id).await;
        assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
    }
}

#[test]
fn a_frozen_container_stands_still_until_it_is_thawed() {
    on_bench(async |bench| stand_still(&bench).await);
}

#[test]
fn a_frozen_container_stands_still_on_a_host_without_the_unified_hierarchy() {
    on_v1_bench(async |bench| stand_still(&bench).await);
}

#[test]
fn what_is_not_running_cannot_be_frozen() {
    on_bench(async |bench| {
        let id = random_id();
        bench.prepare(&id, &spec()).await.unwrap();
        for frozen in [true, false] {
            let failure = bench.client.freeze(&bench.call(), &id, frozen).await.unwrap_err();
            assert!(failure.code == Code::Conflict && failure.message.contains("not running"), "{failure}");
        }
        bench.destroy(&id).await;
    });
}

#[test]
fn other_signals_are_kept_for_later() {
    on_bench(async |bench| {
        let id = random_id();
        bench.prepare(&id, &spec()).await.unwrap();
        bench.start(&id, &sh("trap 'exit 3' TERM; > /trapped; while :; do sleep 0.01; done")).await.unwrap();
        until("it has its trap", || bench.directory.path().join("rootfs/trapped").exists()).await;
        bench.client.freeze(&bench.call(), &id, true).await.unwrap();
        bench.client.signal(&bench.call(), &id, 15).await.unwrap();
        let states = bench.client.list(&bench.call()).await.unwrap();
        assert!(states[0].frozen && matches!(states[0].phase, schema::executor::Phase::Running(_)), "{states:?}");
        bench.client.freeze(&bench.call(), &id, false).await.unwrap();
        assert_eq!(bench.wait(&id).await.code, 3);
        bench.destroy(&id).await;
    });
}
