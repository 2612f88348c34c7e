//! Containers whose processes are stopped where they are.

use crate::support::world::Moment;
use crate::support::{Bench, call, spec};
use schema::containers::State;
use schema::{Code, ContainerId, Failure};
use std::time::Duration;

async fn paused(bench: &Bench) -> ContainerId {
    let id = bench.run(&spec("web")).await;
    assert_eq!(bench.client.pause(&call(), "web").await.unwrap().state, State::Paused);
    assert!(bench.world.frozen.borrow().contains(&id));
    id
}

#[actix::test]
async fn pause_and_unpause_are_done_once() {
    let bench = Bench::new().await;
    let id = paused(&bench).await;
    bench.client.pause(&call(), "web").await.unwrap();
    for _ in 0..2 {
        assert_eq!(bench.client.unpause(&call(), "web").await.unwrap().state, State::Running);
    }
    assert!(bench.world.frozen.borrow().is_empty());
    assert_eq!((bench.world.count(&id, "executor.freeze"), bench.world.count(&id, "executor.thaw")), (1, 1));
    assert_eq!(bench.actions(&id).await, ["create", "start", "pause", "unpause"]);
}

#[actix::test]
async fn only_what_runs_can_be_paused() {
    let bench = Bench::new().await;
    bench.create(&spec("web")).await;
    for refused in [bench.client.pause(&call(), "web").await, bench.client.unpause(&call(), "web").await] {
        assert_eq!(refused.unwrap_err().code, Code::Conflict);
    }
    bench.client.start(&call(), "web").await.unwrap();
    bench.world.fail("executor.freeze", Failure::unimplemented("no freezer here"));
    let refused = bench.client.pause(&call(), "web").await.unwrap_err();
    assert_eq!(refused, Failure::unimplemented("no freezer here"));
    assert_eq!(bench.client.inspect(&call(), "web").await.unwrap().state, State::Running);
}

#[actix::test]
async fn a_paused_container_can_be_stopped_killed_restarted_and_removed() {
    let bench = Bench::new().await;
    let id = paused(&bench).await;
    let refused = bench.client.remove(&call(), "web", false).await.unwrap_err();
    assert!(refused.code == Code::Conflict && refused.message.contains("paused"), "{refused}");
    let stopped = bench.client.stop(&call(), "web", 20_000).await.unwrap();
    assert_eq!((stopped.state, stopped.exit.unwrap().code), (State::Exited, 143));
    bench.client.start(&call(), "web").await.unwrap();

    bench.client.pause(&call(), "web").await.unwrap();
    let killed = bench.client.kill(&call(), "web", 9).await.unwrap();
    assert_eq!((killed.state, killed.exit.unwrap().code), (State::Exited, 137));
    bench.client.start(&call(), "web").await.unwrap();

    bench.client.pause(&call(), "web").await.unwrap();
    assert_eq!(bench.client.restart(&call(), "web", 20_000).await.unwrap().state, State::Running);
    assert_eq!(bench.world.executions(&id), 4);

    bench.client.pause(&call(), "web").await.unwrap();
    bench.client.remove(&call(), "web", true).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn a_signal_that_ends_nothing_waits_for_the_container_to_go_on() {
    let bench = Bench::new().await;
    let id = paused(&bench).await;
    assert_eq!(bench.client.kill(&call(), "web", 1).await.unwrap().state, State::Paused);
    bench.client.unpause(&call(), "web").await.unwrap();
    bench.eventually("it has ended", async || bench.inspect(&id).await.exit.is_some()).await;
}

#[actix::test]
async fn wait_waits_for_a_paused_container() {
    let bench = Bench::new().await;
    paused(&bench).await;
    let early = tokio::time::timeout(Duration::from_millis(200), bench.client.wait(&call(), "web")).await;
    assert!(early.is_err());
    let client = bench.another_client();
    let waiting = actix::spawn(async move { client.wait(&call(), "web").await });
    bench.client.stop(&call(), "web", 5000).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().state, State::Exited);
}

#[actix::test]
async fn a_restarted_service_keeps_what_a_user_paused_and_lets_go_on_what_nobody_did() {
    let mut bench = Bench::new().await;
    let web = paused(&bench).await;
    let other = bench.run(&spec("other")).await;
    bench.service.kill();
    bench.world.frozen.borrow_mut().insert(other.clone());
    bench.service.again();
    bench.eventually("it goes on", async || !bench.world.frozen.borrow().contains(&other)).await;
    assert_eq!(bench.inspect(&other).await.state, State::Running);
    assert_eq!(bench.inspect(&web).await.state, State::Paused);
    assert!(bench.world.frozen.borrow().contains(&web));
    bench.service.kill();
    bench.world.frozen.borrow_mut().clear();
    bench.service.again();
    bench.eventually("it is frozen again", async || bench.world.frozen.borrow().contains(&web)).await;
    assert_eq!(bench.client.stop(&call(), "web", 5000).await.unwrap().state, State::Exited);
}

#[actix::test]
async fn killed_in_a_pause_it_pauses_when_it_is_asked_again() {
    for step in ["executor.freeze", "executor.thaw"] {
        for moment in [Moment::Before, Moment::After] {
            let mut bench = Bench::new().await;
            let web = bench.run(&spec("web")).await;
            let (client, world) = (bench.another_client(), std::rc::Rc::clone(&bench.world));
            bench.world.set_trap(step, moment);
            let life = async {
                client.pause(&call(), "web").await.unwrap();
                assert!(world.frozen.borrow().contains(&web));
                client.unpause(&call(), "web").await.unwrap();
                let thawed = async {
                    while !world.frozen.borrow().is_empty() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::time::timeout(Duration::from_secs(10), thawed).await.expect("it stays frozen");
            };
            tokio::pin!(life);
            tokio::select! {
                () = &mut life => panic!("{step} was not reached"),
                () = world.trapped() => bench.service.restart(),
            }
            life.await;
            assert_eq!(bench.inspect(&web).await.state, State::Running, "{step} {moment:?}");
            assert_eq!(bench.actions(&web).await, ["create", "start", "pause", "unpause"], "{step} {moment:?}");
        }
    }
}
