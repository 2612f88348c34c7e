//! Repetition, and callers that go away.

use crate::support::executor::exit;
use crate::support::{Bench, call, id, spec};
use schema::Code;
use schema::containers::{AutoRemove, ContainerSpec, State};
use std::time::Duration;

#[actix::test]
async fn a_repeated_create_is_the_same_container() {
    let bench = Bench::new().await;
    let (id, call) = (id(), call());
    let first = bench.client.create(&call, &id, &spec("")).await.unwrap();
    let again = bench.another_client().create(&call, &id, &spec("")).await.unwrap();
    assert_eq!(first, again);
    let other = bench.client.create(&call, &id, &spec("other")).await.unwrap_err();
    assert_eq!(other.code, Code::AlreadyExists);
}

#[actix::test]
async fn a_repeated_start_starts_nothing_and_another_is_refused() {
    let bench = Bench::new().await;
    let id = bench.create(&spec("web")).await;
    let first = call();
    bench.client.start(&first, "web").await.unwrap();
    bench.client.start(&first, "web").await.unwrap();
    let refused = bench.client.start(&call(), "web").await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (Code::Conflict, "container \"web\" is running already"));
    bench.world.end(&id, exit(0, 0));
    bench.client.wait(&call(), "web").await.unwrap();
    let late = bench.client.start(&first, "web").await.unwrap();
    assert_eq!((late.state, bench.world.executions(&id)), (State::Exited, 1));
}

#[actix::test]
async fn a_repeated_run_is_one_run_whatever_became_of_it() {
    let bench = Bench::new().await;
    for auto_remove in [AutoRemove::Never, AutoRemove::AfterClient, AutoRemove::OnExit] {
        let (id, first, spec) = (id(), call(), ContainerSpec { auto_remove, ..spec("job") });
        let running = bench.client.run(&first, &id, &spec).await.unwrap();
        assert_eq!((running.state, &running.id), (State::Running, &id));
        // On its way twice at the same moment, and again when it has ended.
        let other = bench.another_client();
        let (one, two) = futures::join!(bench.client.run(&first, &id, &spec), other.run(&first, &id, &spec));
        assert_eq!((one.unwrap().started_at, two.unwrap().started_at), (running.started_at, running.started_at));
        bench.world.end(&id, exit(3, 0));
        bench.client.wait(&call(), id.as_str()).await.unwrap();
        let late = bench.another_client().run(&first, &id, &spec).await.unwrap();
        assert_eq!((late.exit, bench.world.executions(&id)), (Some(exit(3, 0)), 1), "{auto_remove:?}");
        if auto_remove != AutoRemove::OnExit {
            bench.client.remove(&call(), id.as_str(), false).await.unwrap();
        }
        bench.assert_nothing_left().await;
    }
}

#[actix::test]
async fn what_cannot_run_stays_unless_it_was_to_go() {
    let bench = Bench::new().await;
    let missing = ContainerSpec { image: "absent".to_owned(), ..spec("job") };
    let refused = bench.client.run(&call(), &id(), &missing).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
    assert!(bench.client.list(&call()).await.unwrap().is_empty(), "nothing was made");
    bench.world.fail("executor.start", schema::Failure::command_not_found("frobnicate"));
    let (kept, first) = (id(), call());
    for _ in 0..2 {
        let failed = bench.client.run(&first, &kept, &spec("job")).await.unwrap_err();
        assert_eq!(failed.code, Code::CommandNotFound);
    }
    assert_eq!(bench.inspect(&kept).await.error.unwrap().message, "frobnicate");
    bench.client.remove(&call(), "job", false).await.unwrap();
    let gone = id();
    let spec = ContainerSpec { auto_remove: AutoRemove::OnExit, ..spec("job") };
    assert_eq!(bench.client.run(&call(), &gone, &spec).await.unwrap_err().code, Code::CommandNotFound);
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn a_start_goes_on_without_its_caller() {
    let bench = Bench::new().await;
    let id = bench.create(&spec("web")).await;
    bench.world.hang("filesystem.mount", None);
    let first = call();
    let cut = tokio::time::timeout(Duration::from_millis(300), bench.another_client().start(&first, "web")).await;
    assert!(cut.is_err());
    bench.world.heal();
    let running = bench.client.start(&first, "web").await.unwrap();
    assert_eq!((running.state, bench.world.executions(&id)), (State::Running, 1));
}

#[actix::test]
async fn a_hung_worker_for_one_container_delays_no_other() {
    let bench = Bench::new().await;
    let stuck = bench.create(&spec("stuck")).await;
    bench.world.hang("network.attach", Some(&stuck));
    let client = bench.another_client();
    let _starting = actix::spawn(async move { client.start(&call(), "stuck").await });
    bench.eventually("attach was asked for", async || bench.world.count(&stuck, "network.attach") == 1).await;
    let all = async {
        let other = bench.run(&spec("other")).await;
        assert_eq!(bench.inspect(&stuck).await.state, State::Starting);
        assert_eq!(bench.client.list(&call()).await.unwrap().len(), 2);
        bench.world.end(&other, exit(0, 0));
        bench.client.wait(&call(), "other").await.unwrap();
        bench.client.remove(&call(), "other", false).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(10), all).await.unwrap();
    let refused = bench.client.remove(&call(), "stuck", false).await.unwrap_err();
    assert_eq!(refused.code, Code::Conflict);
}

#[actix::test]
async fn a_terminal_can_be_resized_while_it_runs() {
    let bench = Bench::new().await;
    let id = bench.create(&ContainerSpec { terminal: true, ..spec("tty") }).await;
    bench.run(&spec("pipe")).await;
    assert_eq!(bench.client.resize(&call(), "tty", 24, 80).await.unwrap_err().code, Code::Conflict);
    bench.client.start(&call(), "tty").await.unwrap();
    bench.client.resize(&call(), "tty", 24, 80).await.unwrap();
    assert_eq!(bench.world.count(&id, "executor.resize"), 1);
    let refused = bench.client.resize(&call(), "pipe", 24, 80).await.unwrap_err();
    assert!(refused.message.contains("no terminal"), "{refused}");
}

#[actix::test]
async fn answers_are_repeated_after_a_container_has_removed_itself() {
    let bench = Bench::new().await;
    let id = bench.create(&ContainerSpec { auto_remove: AutoRemove::OnExit, ..spec("job") }).await;
    let first = call();
    bench.client.start(&first, id.as_str()).await.unwrap();
    bench.world.end(&id, exit(3, 0));
    bench.eventually("it is gone", async || !bench.exists(&id).await).await;
    assert_eq!(bench.client.start(&first, id.as_str()).await.unwrap().exit.unwrap().code, 3);
    assert_eq!(bench.client.wait(&call(), id.as_str()).await.unwrap().exit.unwrap().code, 3);
    assert_eq!(bench.client.start(&call(), id.as_str()).await.unwrap_err().code, Code::NotFound);
    bench.assert_nothing_left().await;
}
