//! Further processes in a container.

use crate::support::executor::exit;
use crate::support::users::exec_spec;
use crate::support::world::Moment;
use crate::support::{Bench, call, id, spec};
use schema::containers::{ContainerSpec, ExecSpec, State};
use schema::{Code, ContainerId, Failure};
use std::time::{Duration, Instant};

const STEPS: [&str; 3] = ["executor.prepare_exec", "log-collector.open", "executor.start_exec"];

async fn ended(bench: &Bench, exec: &ContainerId, code: i32) {
    bench.world.end(exec, exit(code, 0));
    assert_eq!(bench.client.exec_wait(&call(), exec).await.unwrap().code, code);
}

#[actix::test]
async fn an_exec_runs_is_listed_and_leaves_nothing() {
    let bench = Bench::new().await;
    let surroundings = ContainerSpec { user: "web".to_owned(), environment: vec!["A=1".to_owned()], ..spec("web") };
    let web = bench.run(&surroundings).await;
    let exec = bench.exec("web").await.unwrap();
    assert_eq!((&exec.container, exec.pid, exec.position), (&web, 4242, 33));
    assert_eq!(bench.inspect(&web).await.execs, std::slice::from_ref(&exec.id));
    let process = bench.world.processes.borrow()[&exec.id].clone();
    assert_eq!((process.arguments, process.user.as_str()), (vec!["id".to_owned()], "web"));
    for entry in ["A=1", "FROM=image"] {
        assert!(process.environment.contains(&entry.to_owned()), "{:?}", process.environment);
    }

    let begun = Instant::now();
    ended(&bench, &exec.id, 3).await;
    bench.eventually("it is not listed", async || bench.inspect(&web).await.execs.is_empty()).await;
    bench.eventually("its sandbox is gone", async || !bench.world.has(&exec.id)[0]).await;
    assert!(bench.world.has(&exec.id)[3], "its output is gone before anybody could read it");
    assert_eq!(bench.client.exec_wait(&call(), &exec.id).await.unwrap().code, 3);
    bench.eventually("it is forgotten", async || bench.world.has(&exec.id) == [false; 4]).await;
    assert!(begun.elapsed() >= Duration::from_secs(10));
    bench
        .eventually("nobody knows it", async || {
            bench.client.exec_wait(&call(), &exec.id).await.is_err_and(|failure| failure.code == Code::NotFound)
        })
        .await;
    bench.client.remove(&call(), "web", true).await.unwrap();
    bench.assert_nothing_left().await;
    assert!(bench.files(&format!("{}/execs", bench.boot_directory())).is_empty());
}

#[actix::test]
async fn a_lease_keeps_the_output_of_an_exec() {
    let bench = Bench::new().await;
    bench.run(&spec("web")).await;
    let exec = bench.exec("web").await.unwrap();
    ended(&bench, &exec.id, 0).await;
    bench.client.exec_keep(&call(), &exec.id, 4000).await.unwrap();
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert!(bench.world.has(&exec.id)[3], "forgotten before the lease and the grace were over");
    bench.eventually("it is forgotten", async || !bench.world.has(&exec.id)[3]).await;
}

#[actix::test]
async fn a_repeated_exec_is_the_same_and_another_is_refused() {
    let bench = Bench::new().await;
    bench.run(&spec("web")).await;
    let exec = id();
    let run = async |words: &[&str]| bench.client.exec(&call(), "web", &exec, &exec_spec(words)).await;
    let first = run(&["id"]).await.unwrap();
    assert_eq!(run(&["id"]).await.unwrap(), first);
    assert_eq!(bench.world.executions(&exec), 1);
    assert_eq!(run(&["other"]).await.unwrap_err().code, Code::AlreadyExists);
    ended(&bench, &exec, 0).await;
    assert_eq!((run(&["id"]).await.unwrap(), bench.world.executions(&exec)), (first, 1));
}

#[actix::test]
async fn an_exec_needs_a_container_that_runs_and_is_not_paused() {
    let bench = Bench::new().await;
    bench.create(&spec("web")).await;
    assert_eq!(bench.exec("web").await.unwrap_err().code, Code::Conflict);
    bench.client.start(&call(), "web").await.unwrap();
    bench.client.pause(&call(), "web").await.unwrap();
    let refused = bench.exec("web").await.unwrap_err();
    assert_eq!((refused.code, refused.hint.as_str()), (Code::Conflict, "`cctl unpause web` lets it go on"));
    bench.client.unpause(&call(), "web").await.unwrap();
    bench.exec("web").await.unwrap();
    let bad = ExecSpec { arguments: vec![], ..exec_spec(&[]) };
    let refused = bench.client.exec(&call(), "web", &id(), &bad).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument);
    assert_eq!(bench.exec("nope").await.unwrap_err().code, Code::NotFound);
}

#[actix::test]
async fn an_exec_that_does_not_start_leaves_nothing_but_the_reason() {
    let bench = Bench::new().await;
    let web = bench.run(&spec("web")).await;
    for step in STEPS {
        bench.world.fail(step, Failure::command_not_found("no such command: frobnicate").hint("look"));
        let exec = id();
        let run = async || bench.client.exec(&call(), "web", &exec, &exec_spec(&["frobnicate"])).await;
        let failed = run().await.unwrap_err();
        assert_eq!((failed.code, failed.hint.as_str()), (Code::CommandNotFound, "look"), "{step}");
        assert_eq!(bench.world.has(&exec), [false; 4], "{step}");
        let calls = bench.world.calls(&exec).len();
        assert_eq!(run().await.unwrap_err(), failed);
        assert_eq!(bench.world.calls(&exec).len(), calls, "{step}: a repetition did something");
        bench.world.heal();
    }
    assert_eq!(bench.inspect(&web).await.execs, []);
    assert!(bench.files(&format!("{}/execs", bench.boot_directory())).is_empty());
    assert_eq!(bench.actions(&web).await, ["create", "start"]);
}

#[actix::test]
async fn execs_end_with_their_container() {
    let bench = Bench::new().await;
    let web = bench.run(&spec("web")).await;
    let exec = bench.exec("web").await.unwrap();
    let (client, waited) = (bench.another_client(), exec.id.clone());
    let waiting = actix::spawn(async move { client.exec_wait(&call(), &waited).await });
    let stopped = bench.client.stop(&call(), "web", 5000).await.unwrap();
    assert_eq!((stopped.state, stopped.execs), (State::Exited, vec![]));
    assert_eq!(waiting.await.unwrap().unwrap().code, 137);
    assert!(bench.world.has(&exec.id)[3], "its client may still read");
    bench.client.remove(&call(), "web", false).await.unwrap();
    assert_eq!(bench.world.has(&exec.id), [false; 4]);
    assert_eq!(bench.client.exec_wait(&call(), &exec.id).await.unwrap_err().code, Code::NotFound);
    bench.assert_nothing_left().await;
    let actions = bench.actions(&web).await;
    let ends: Vec<_> = actions.iter().filter(|action| action.contains("exec_")).collect();
    assert_eq!(ends, ["exec_start", "exec_die"]);
}

#[actix::test]
async fn killed_at_any_step_an_exec_runs_once_and_its_end_is_known() {
    for step in STEPS.into_iter().chain(["executor.destroy"]) {
        for moment in [Moment::Before, Moment::After] {
            let mut bench = Bench::new().await;
            let web = bench.run(&spec("web")).await;
            let (client, exec) = (bench.another_client(), id());
            let world = std::rc::Rc::clone(&bench.world);
            bench.world.set_trap(step, moment);
            let life = async {
                client.exec(&call(), "web", &exec, &exec_spec(&["id"])).await.unwrap();
                world.end(&exec, exit(5, 0));
                assert_eq!(client.exec_wait(&call(), &exec).await.unwrap().code, 5);
                while world.has(&exec)[0] {
                    world.changed.notified().await;
                }
            };
            tokio::pin!(life);
            tokio::select! {
                biased;
                () = world.trapped() => bench.service.restart(),
                () = &mut life => panic!("{step} was not reached"),
            }
            life.await;
            assert_eq!(bench.world.executions(&exec), 1, "{step} {moment:?}");
            let are_told = async || {
                let told = bench.world.told.borrow();
                // One that was not recorded yet, which is done beside the first two steps, is begun anew, and makes itself known.
                let is_known =
                    |live: &std::collections::BTreeSet<_>| STEPS[..2].contains(&step) || live.contains(&exec);
                told.get("log-collector").is_some_and(|live| is_known(live) && live.contains(&web))
            };
            bench.eventually("the log collector is told", are_told).await;
            let actions = bench.actions(&web).await;
            assert_eq!(actions, ["create", "start", "exec_start", "exec_die"], "{step} {moment:?}");
        }
    }
}

#[actix::test]
async fn execs_that_nobody_knows_are_removed() {
    let mut bench = Bench::new().await;
    let web = bench.run(&spec("web")).await;
    let exec = bench.exec("web").await.unwrap();
    bench.service.kill();
    let stray = id();
    bench.world.execs.borrow_mut().insert(stray.clone(), web.clone());
    bench.world.sandboxes.borrow_mut().insert(stray.clone(), schema::executor::Phase::Parked);
    bench.world.logs.borrow_mut().insert(stray.clone());
    bench.service.again();
    bench.eventually("it is gone", async || bench.world.has(&stray) == [false; 4]).await;
    assert_eq!(bench.inspect(&web).await.execs, std::slice::from_ref(&exec.id));
    assert_eq!(bench.world.has(&exec.id), [true, false, false, true]);
    // By then, who had asked for it before may have asked again.
    bench.exec("web").await.unwrap();
    assert_eq!(bench.world.count(&stray, "executor.destroy"), 1);
    ended(&bench, &exec.id, 0).await;
}

#[actix::test]
async fn an_execs_terminal_can_be_resized() {
    let bench = Bench::new().await;
    bench.run(&spec("web")).await;
    let exec = id();
    let tty = ExecSpec { terminal: true, ..exec_spec(&["sh"]) };
    bench.client.exec(&call(), "web", &exec, &tty).await.unwrap();
    bench.client.exec_resize(&call(), &exec, 24, 80).await.unwrap();
    assert_eq!(bench.world.count(&exec, "executor.resize"), 1);
    let plain = bench.exec("web").await.unwrap();
    assert_eq!(bench.client.exec_resize(&call(), &plain.id, 24, 80).await.unwrap_err().code, Code::Conflict);
}
