//! Ends on request.

use crate::support::executor::exit;
use crate::support::{Bench, call, spec};
use schema::Code;
use schema::containers::{AutoRemove, ContainerSpec, State};
use std::time::{Duration, Instant};

#[actix::test]
async fn stop_asks_first() {
    let bench = Bench::new().await;
    let id = bench.run(&spec("web")).await;
    let stopped = bench.client.stop(&call(), "web", 5000).await.unwrap();
    assert_eq!((stopped.state, stopped.exit.unwrap().code), (State::Exited, 143));
    assert_eq!(bench.world.count(&id, "executor.kill"), 0);
    bench.client.stop(&call(), "web", 5000).await.unwrap();
    assert_eq!(bench.world.count(&id, "executor.signal"), 1);
}

#[actix::test]
async fn stop_kills_who_does_not_listen() {
    let bench = Bench::new().await;
    bench.world.stubborn.set(true);
    let id = bench.run(&spec("web")).await;
    let begun = Instant::now();
    let stopped = bench.client.stop(&call(), "web", 400).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(400));
    assert_eq!(stopped.exit.unwrap().signal, 9);
    assert_eq!((bench.world.count(&id, "executor.signal"), bench.world.count(&id, "executor.kill")), (1, 1));
}

#[actix::test]
async fn a_second_stop_may_shorten_the_time() {
    let bench = Bench::new().await;
    bench.world.stubborn.set(true);
    let id = bench.run(&spec("web")).await;
    let client = bench.another_client();
    let patient = actix::spawn(async move { client.stop(&call(), "web", 3_600_000).await });
    bench.eventually("it is stopping", async || bench.inspect(&id).await.state == State::Stopping).await;
    bench.client.stop(&call(), "web", 10).await.unwrap();
    assert_eq!(patient.await.unwrap().unwrap().state, State::Exited);
}

#[actix::test]
async fn kill_sends_signals_to_what_runs() {
    let bench = Bench::new().await;
    bench.world.stubborn.set(true);
    bench.create(&spec("web")).await;
    assert_eq!(bench.client.kill(&call(), "web", 1).await.unwrap_err().code, Code::Conflict);
    bench.client.start(&call(), "web").await.unwrap();
    assert_eq!(bench.client.kill(&call(), "web", 65).await.unwrap_err().code, Code::InvalidArgument);
    assert_eq!(bench.client.kill(&call(), "web", 1).await.unwrap().state, State::Running);
    assert_eq!(bench.client.kill(&call(), "web", 9).await.unwrap().state, State::Exited);
}

#[actix::test]
async fn a_running_container_is_removed_by_force_only() {
    let bench = Bench::new().await;
    bench.world.stubborn.set(true);
    bench.run(&spec("web")).await;
    let refused = bench.client.remove(&call(), "web", false).await.unwrap_err();
    assert!(refused.code == Code::Conflict && refused.hint.contains("rm -f"), "{refused:?}");
    bench.client.remove(&call(), "web", true).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn restart_is_done_once_and_keeps_what_removes_itself() {
    let bench = Bench::new().await;
    for auto_remove in [AutoRemove::Never, AutoRemove::OnExit] {
        let name = format!("web-{auto_remove:?}");
        let id = bench.run(&ContainerSpec { auto_remove, ..spec(&name) }).await;
        let request = call();
        for _ in 0..2 {
            let running = bench.client.restart(&request, &name, 5000).await.unwrap();
            assert_eq!((running.state, bench.world.executions(&id)), (State::Running, 2));
        }
        bench.client.stop(&call(), &name, 5000).await.unwrap();
        assert_eq!(bench.exists(&id).await, auto_remove == AutoRemove::Never);
    }
    bench.client.restart(&call(), "web-Never", 5000).await.unwrap();
}

#[actix::test]
async fn a_restart_gives_way_to_a_stop() {
    let bench = Bench::new().await;
    bench.world.stubborn.set(true);
    let id = bench.run(&spec("web")).await;
    let client = bench.another_client();
    let restarting = actix::spawn(async move { client.restart(&call(), "web", 3_600_000).await });
    bench.eventually("it is stopping", async || bench.inspect(&id).await.state == State::Stopping).await;
    bench.client.stop(&call(), "web", 0).await.unwrap();
    assert_eq!(restarting.await.unwrap().unwrap_err().code, Code::Conflict);
    assert_eq!((bench.inspect(&id).await.state, bench.world.executions(&id)), (State::Exited, 1));
}

#[actix::test]
async fn a_stop_waits_for_a_start() {
    let bench = Bench::new().await;
    let id = bench.create(&spec("web")).await;
    bench.world.hang("filesystem.mount", None);
    let (starter, stopper) = (bench.another_client(), bench.another_client());
    let starting = actix::spawn(async move { starter.start(&call(), "web").await });
    bench.eventually("mount was asked for", async || bench.world.count(&id, "filesystem.mount") == 1).await;
    let stopping = actix::spawn(async move { stopper.stop(&call(), "web", 5000).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    bench.world.heal();
    starting.await.unwrap().unwrap();
    assert_eq!(stopping.await.unwrap().unwrap().state, State::Exited);
}

#[actix::test]
async fn shutting_down_stops_all_and_tears_down() {
    let bench = Bench::new().await;
    let ids = [bench.run(&spec("one")).await, bench.run(&spec("two")).await];
    bench.create(&spec("idle")).await;
    bench.client.shut_down(&call(), 5000).await.unwrap();
    for id in &ids {
        assert_eq!(bench.inspect(id).await.exit, Some(exit(143, 15)));
        assert!(!bench.world.has(id)[0]);
    }
    assert!(bench.world.story().ends_with("network.tear_down"));
    bench.client.shut_down(&call(), 5000).await.unwrap();
}
