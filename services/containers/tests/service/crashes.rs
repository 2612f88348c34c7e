//! `kill -9` of the service at each step of a container's life: its users notice nothing.

use crate::support::executor::exit;
use crate::support::world::Moment;
use crate::support::{Bench, call, id, spec};
use schema::ContainerId;
use schema::containers::{AutoRemove, ContainerSpec, State};

const STEPS: [&str; 13] = [
    "image-store.lease",
    "executor.prepare",
    "filesystem.mount",
    "network.attach",
    "log-collector.open",
    "filesystem.set_names",
    "executor.start",
    "executor.signal",
    "network.detach",
    "executor.destroy",
    "filesystem.release",
    "log-collector.remove",
    "image-store.release",
];

/// Kills the service when a step is reached, and starts it again.
async fn kill_at(bench: &mut Bench, step: &'static str, moment: Moment, life: impl Future<Output = ()>) {
    bench.world.set_trap(step, moment);
    tokio::pin!(life);
    let world = std::rc::Rc::clone(&bench.world);
    tokio::select! {
        biased;
        () = world.trapped() => bench.service.restart(),
        () = &mut life => panic!("{step} was not reached\n{}", world.story()),
    }
    life.await;
}

#[actix::test]
async fn killed_at_any_step_it_does_all_that_was_asked_once() {
    let ways =
        [AutoRemove::Never, AutoRemove::AfterClient].map(|auto_remove| [(auto_remove, false), (auto_remove, true)]);
    for (auto_remove, in_one_call) in ways.into_iter().flatten() {
        for step in STEPS {
            for moment in [Moment::Before, Moment::After] {
                eprintln!("killed at {step}, {moment:?}, {auto_remove:?}, in one call: {in_one_call}");
                let mut bench = Bench::new().await;
                let (client, id) = (bench.another_client(), id());
                let spec = ContainerSpec { auto_remove, ..spec("web") };
                let world = std::rc::Rc::clone(&bench.world);
                kill_at(&mut bench, step, moment, async {
                    let running = if in_one_call {
                        client.run(&call(), &id, &spec).await.unwrap()
                    } else {
                        client.create(&call(), &id, &spec).await.unwrap();
                        client.start(&call(), "web").await.unwrap()
                    };
                    assert_eq!((running.state, running.run_position), (State::Running, 33));
                    assert_eq!(running.attachment.unwrap().prefix_length, 24);
                    let ended = client.stop(&call(), "web", 10_000).await.unwrap();
                    assert_eq!(ended.exit, Some(exit(143, 15)));
                    assert_eq!(world.has(&id), [false, false, true, true]);
                    client.remove(&call(), "web", false).await.unwrap();
                    world.until_empty().await;
                })
                .await;
                assert_eq!(bench.world.executions(&id), 1, "{step} {moment:?}");
                let told = ["create", "start", "kill", "die", "stop", "destroy"];
                assert_eq!(bench.actions(&id).await, told, "{step} {moment:?}");
                bench.assert_nothing_left().await;
            }
        }
    }
}

#[actix::test]
async fn killed_while_it_cleans_up_it_removes_what_removes_itself() {
    for step in
        ["network.detach", "executor.destroy", "filesystem.release", "log-collector.remove", "image-store.release"]
    {
        for moment in [Moment::Before, Moment::After] {
            let mut bench = Bench::new().await;
            let id = bench.run(&ContainerSpec { auto_remove: AutoRemove::OnExit, ..spec("job") }).await;
            bench.world.end(&id, exit(4, 0));
            let (client, world) = (bench.another_client(), std::rc::Rc::clone(&bench.world));
            kill_at(&mut bench, step, moment, async {
                let ended = client.wait(&call(), id.as_str()).await.unwrap();
                assert_eq!(ended.exit, Some(exit(4, 0)));
                world.until_empty().await;
            })
            .await;
            bench.eventually("it is not seen any more", async || !bench.exists(&id).await).await;
            bench.assert_nothing_left().await;
        }
    }
}

#[actix::test]
async fn killed_in_a_restart_it_restarts_once() {
    for step in ["executor.signal", "network.detach", "executor.destroy", "executor.prepare", "executor.start"] {
        for moment in [Moment::Before, Moment::After] {
            let mut bench = Bench::new().await;
            let id = bench.run(&spec("web")).await;
            let client = bench.another_client();
            kill_at(&mut bench, step, moment, async {
                let running = client.restart(&call(), "web", 10_000).await.unwrap();
                assert_eq!(running.state, State::Running);
            })
            .await;
            assert_eq!(bench.world.executions(&id), 2, "{step} {moment:?}");
        }
    }
}

#[actix::test]
async fn killed_in_a_kill_it_kills_and_says_so() {
    for step in ["executor.kill", "network.detach", "executor.destroy"] {
        for moment in [Moment::Before, Moment::After] {
            let mut bench = Bench::new().await;
            let id = bench.run(&spec("web")).await;
            let client = bench.another_client();
            kill_at(&mut bench, step, moment, async {
                let ended = client.kill(&call(), "web", 9).await.unwrap();
                assert_eq!(ended.exit, Some(exit(137, 9)));
            })
            .await;
            assert_eq!(bench.actions(&id).await, ["create", "start", "kill", "die"], "{step} {moment:?}");
            assert_eq!(bench.client.kill(&call(), "web", 9).await.unwrap_err().code, schema::Code::Conflict);
        }
    }
}

#[actix::test]
async fn a_failed_start_is_undone_by_the_next_process() {
    let mut bench = Bench::new().await;
    let id = bench.create(&spec("web")).await;
    bench.world.fail("executor.start", schema::Failure::command_not_found("frobnicate"));
    let client = bench.another_client();
    kill_at(&mut bench, "executor.destroy", Moment::Before, async {
        let failed = client.start(&call(), "web").await.unwrap_err();
        assert_eq!(failed.code, schema::Code::CommandNotFound);
    })
    .await;
    assert_eq!(bench.world.has(&id)[..2], [false, false]);
}

#[actix::test]
async fn many_kills_harm_no_container() {
    let mut bench = Bench::new().await;
    let ids: Vec<ContainerId> = {
        let mut ids = Vec::new();
        for number in 0..8 {
            ids.push(bench.run(&spec(&format!("web{number}"))).await);
        }
        ids
    };
    for round in 0..10 {
        bench.service.restart();
        let client = bench.another_client();
        let name = format!("job{round}");
        let job = id();
        let spec = ContainerSpec { auto_remove: AutoRemove::AfterClient, ..spec(&name) };
        client.create(&call(), &job, &spec).await.unwrap();
        client.start(&call(), &name).await.unwrap();
        client.remove(&call(), &name, true).await.unwrap();
        assert_eq!(client.list(&call()).await.unwrap().len(), ids.len());
    }
    for id in &ids {
        assert_eq!((bench.inspect(id).await.state, bench.world.executions(id)), (State::Running, 1));
        bench.client.remove(&call(), id.as_str(), true).await.unwrap();
    }
    bench.assert_nothing_left().await;
}

/// Its user was told that it is gone.
#[actix::test]
async fn what_is_still_being_erased_after_a_restart_is_not_listed() {
    let mut bench = Bench::new().await;
    let id = bench.create(&spec("web")).await;
    bench.world.hang("filesystem.release", Some(&id));
    bench.client.remove(&call(), "web", false).await.unwrap();
    bench.service.restart();
    assert_eq!(bench.client.list(&call()).await.unwrap(), []);
    assert_eq!(bench.client.info(&call()).await.unwrap().containers, 0);
    bench.world.heal();
    bench.assert_nothing_left().await;
}
