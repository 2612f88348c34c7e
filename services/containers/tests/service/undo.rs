//! Starts that fail, at each step.

use crate::support::executor::exit;
use crate::support::{Bench, call, spec};
use schema::containers::{AutoRemove, ContainerSpec, State};
use schema::{Code, Failure};
use std::time::Duration;

const STEPS: [&str; 6] = [
    "executor.prepare",
    "filesystem.mount",
    "network.attach",
    "log-collector.open",
    "filesystem.set_names",
    "executor.start",
];

#[actix::test]
async fn a_failure_at_any_step_is_undone_and_told() {
    for step in STEPS {
        let bench = Bench::new().await;
        let id = bench.create(&spec("web")).await;
        bench.world.fail(step, Failure::exhausted("the cupboard is bare").hint("buy bread"));
        let first = call();
        let failed = bench.client.start(&first, "web").await.unwrap_err();
        assert_eq!((failed.code, failed.hint.as_str()), (Code::ResourceExhausted, "buy bread"), "{step}");
        assert!(failed.message.ends_with("the cupboard is bare"), "{step}: {failed}");
        let [sandbox, lease, ..] = bench.world.has(&id);
        assert!(!sandbox && !lease, "{step} is not undone");
        let left = bench.inspect(&id).await;
        assert_eq!((left.state, left.pid, left.attachment), (State::Exited, 0, None), "{step}");
        let error = left.error.unwrap();
        assert_eq!((Code::from(error.code), &error.message), (Code::ResourceExhausted, &failed.message));

        let calls = bench.world.calls(&id).len();
        assert_eq!(bench.client.start(&first, "web").await.unwrap_err(), failed, "{step}");
        assert_eq!(bench.world.calls(&id).len(), calls, "{step}: a repetition did something");
        bench.world.heal();
        let running = bench.client.start(&call(), "web").await.unwrap();
        assert_eq!((running.state, running.error, bench.world.executions(&id)), (State::Running, None, 1));
    }
}

#[actix::test]
async fn a_failed_start_of_a_container_that_removes_itself_leaves_nothing() {
    let bench = Bench::new().await;
    let id = bench.create(&ContainerSpec { auto_remove: AutoRemove::OnExit, ..spec("job") }).await;
    bench.world.fail("executor.start", Failure::command_not_found("no such command: frobnicate"));
    let failed = bench.client.start(&call(), "job").await.unwrap_err();
    assert_eq!(failed, Failure::command_not_found("no such command: frobnicate"));
    assert!(!bench.exists(&id).await);
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn what_cannot_be_cleaned_up_is_tried_again_and_holds_nobody() {
    let bench = Bench::new().await;
    let id = bench.run(&spec("web")).await;
    bench.world.fail("network.detach", Failure::internal("the table is stuck"));
    bench.world.end(&id, exit(5, 0));
    let waited = bench.client.wait(&call(), "web").await.unwrap();
    assert_eq!((waited.state, waited.exit.unwrap().code), (State::Exited, 5));
    assert!(!bench.world.has(&id)[0], "the sandbox waits for the network");
    let refused = bench.client.start(&call(), "web").await.unwrap_err();
    assert!(refused.message.contains("the table is stuck"), "{refused}");
    let refused = bench.client.remove(&call(), "web", false).await.unwrap_err();
    assert!(refused.message.contains("the table is stuck"), "{refused}");
    assert_eq!(bench.inspect(&id).await.state, State::Removing);
    bench.world.heal();
    bench.eventually("it is removed", async || !bench.exists(&id).await).await;
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn a_clean_up_that_hangs_is_over_when_the_worker_is_back() {
    let bench = Bench::new().await;
    let id = bench.run(&spec("web")).await;
    bench.world.hang("executor.destroy", None);
    bench.world.end(&id, exit(5, 0));
    bench.eventually("the end is visible", async || bench.inspect(&id).await.exit.is_some()).await;
    let early = tokio::time::timeout(Duration::from_millis(200), bench.client.wait(&call(), "web")).await;
    assert!(early.is_err(), "wait answered before the sandbox was gone");
    bench.world.heal();
    bench.client.wait(&call(), "web").await.unwrap();
    assert_eq!(bench.world.has(&id), [false, false, true, true]);
}
