//! Containers that remove themselves.

use crate::support::executor::exit;
use crate::support::{Bench, call, spec};
use schema::common::Volume;
use schema::containers::{AutoRemove, ContainerSpec};
use schema::{Call, Code, ContainerId, Failure};
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_secs(10);

async fn ended(bench: &Bench, auto_remove: AutoRemove, lease_ms: u32) -> ContainerId {
    let id = bench.run(&ContainerSpec { auto_remove, ..spec("job") }).await;
    bench.client.keep(&call(), "job", lease_ms).await.unwrap();
    bench.world.end(&id, exit(0, 0));
    bench.client.wait(&call(), id.as_str()).await.unwrap();
    id
}

#[actix::test]
async fn on_exit_it_is_gone_when_wait_answers() {
    let bench = Bench::new().await;
    let id = ended(&bench, AutoRemove::OnExit, 5000).await;
    assert!(!bench.exists(&id).await);
    bench.assert_nothing_left().await;
    bench.create(&spec("job")).await;
}

/// The service is killed when all is done, and before anybody is told.
#[actix::test]
async fn who_asks_again_after_a_lost_answer_is_told_how_it_ended() {
    for verb in ["stop", "kill", "wait"] {
        let mut bench = Bench::new().await;
        let id = bench.run(&ContainerSpec { auto_remove: AutoRemove::OnExit, ..spec("job") }).await;
        let client = bench.another_client();
        let ask = async |call: &Call, container: &str| match verb {
            "stop" => client.stop(call, container, 1000).await,
            "kill" => client.kill(call, container, 9).await,
            _ => client.wait(call, container).await,
        };
        let lost = call();
        if verb == "wait" {
            bench.world.end(&id, exit(0, 0));
        }
        let told = ask(&lost, "job").await.unwrap();
        assert!(told.exit.is_some());
        bench.service.restart();
        for reference in ["job", id.short(), id.as_str()] {
            let again = ask(&lost, reference).await.unwrap();
            assert_eq!((again.id, again.exit), (id.clone(), told.exit.clone()), "{verb}");
        }
        if verb != "wait" {
            assert_eq!(ask(&call(), "job").await.unwrap_err().code, Code::NotFound, "{verb}");
        }
        bench.assert_nothing_left().await;
        // The next of that name is another.
        let next = bench.run(&ContainerSpec { auto_remove: AutoRemove::OnExit, ..spec("job") }).await;
        if verb == "wait" {
            bench.world.end(&next, exit(5, 0));
        }
        assert_eq!(ask(&call(), "job").await.unwrap().id, next);
    }
}

#[actix::test]
async fn after_the_client_it_goes_when_the_client_says_so() {
    let bench = Bench::new().await;
    let id = ended(&bench, AutoRemove::AfterClient, 60_000).await;
    assert_eq!(bench.world.has(&id), [false, false, true, true]);
    bench.client.remove(&call(), "job", false).await.unwrap();
    bench.assert_nothing_left().await;
}

/// Whoever is about to remove it does not wait for what is removed with it.
#[actix::test]
async fn the_end_is_told_before_it_is_cleaned_up() {
    let bench = Bench::new().await;
    let id = bench.run(&ContainerSpec { auto_remove: AutoRemove::AfterClient, ..spec("job") }).await;
    bench.world.hang("network.detach", Some(&id));
    bench.world.end(&id, exit(7, 0));
    let ended = bench.client.ended(&call(), "job").await.unwrap();
    assert_eq!(ended.exit, Some(exit(7, 0)));
    bench.world.heal();
    bench.client.remove(&call(), "job", false).await.unwrap();
    bench.world.until_empty().await;
    for step in ["network.detach", "executor.destroy"] {
        assert_eq!(bench.world.count(&id, step), 1, "the removal goes on with the clean-up: {step}");
    }
    bench.assert_nothing_left().await;
}

/// Else its client would be told, after a crash, that what has ended cannot be removed because it runs.
#[actix::test]
async fn the_end_that_was_told_is_recorded() {
    let mut bench = Bench::new().await;
    let id = bench.run(&ContainerSpec { auto_remove: AutoRemove::AfterClient, ..spec("job") }).await;
    bench.world.hang("network.detach", Some(&id));
    bench.world.end(&id, exit(7, 0));
    bench.client.ended(&call(), "job").await.unwrap();
    bench.service.kill();
    bench.world.heal();
    bench.world.hang("executor.wait", Some(&id));
    bench.service.again();
    bench.client.remove(&call(), "job", false).await.unwrap();
    bench.world.until_empty().await;
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn a_removal_waits_for_the_sandbox_only_if_that_has_something_of_the_host() {
    let bench = Bench::new().await;
    let volume = Volume { source: "/srv".to_owned(), target: "/srv".to_owned(), read_only: false, idmap: false };
    for volumes in [vec![], vec![volume]] {
        let waits = !volumes.is_empty();
        let spec = ContainerSpec { auto_remove: AutoRemove::AfterClient, volumes, ..spec("job") };
        let id = bench.run(&spec).await;
        bench.world.hang("executor.destroy", Some(&id));
        bench.world.end(&id, exit(0, 0));
        bench.client.ended(&call(), "job").await.unwrap();
        let (client, call) = (bench.another_client(), call());
        let removed = client.remove(&call, "job", false);
        tokio::pin!(removed);
        if waits {
            assert!(tokio::time::timeout(Duration::from_millis(300), &mut removed).await.is_err());
            bench.world.heal();
        }
        removed.await.unwrap();
        assert!(!bench.exists(&id).await);
        bench.world.heal();
        bench.world.until_empty().await;
    }
    bench.assert_nothing_left().await;
}

/// The log collector does not say that it has everything; what is removed does not need it.
#[actix::test]
async fn a_removal_does_not_tell_of_what_the_clean_up_could_not_do() {
    let bench = Bench::new().await;
    let id = bench.run(&ContainerSpec { auto_remove: AutoRemove::AfterClient, ..spec("job") }).await;
    bench.world.fail("log-collector.read", Failure::unavailable("away"));
    bench.world.end(&id, exit(0, 0));
    bench.client.ended(&call(), "job").await.unwrap();
    bench.client.remove(&call(), "job", false).await.unwrap();
    bench.world.heal();
    bench.world.until_empty().await;
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn without_a_lease_it_goes_after_ten_seconds() {
    let mut bench = Bench::new().await;
    let begun = Instant::now();
    let id = ended(&bench, AutoRemove::AfterClient, 0).await;
    bench.eventually("it is removed", async || !bench.exists(&id).await).await;
    assert!(begun.elapsed() >= GRACE);
    bench.assert_nothing_left().await;

    let id = ended(&bench, AutoRemove::AfterClient, 0).await;
    bench.service.restart();
    let restarted = Instant::now();
    bench.eventually("it is removed", async || !bench.exists(&id).await).await;
    assert!(restarted.elapsed() >= GRACE);
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn a_lease_that_is_renewed_keeps_it() {
    let bench = Bench::new().await;
    let id = ended(&bench, AutoRemove::AfterClient, 0).await;
    bench.client.keep(&call(), "job", 4000).await.unwrap();
    tokio::time::sleep(GRACE + Duration::from_secs(1)).await;
    assert!(bench.exists(&id).await, "removed before the lease and the grace were over");
    bench.eventually("it is removed", async || !bench.exists(&id).await).await;
    bench.assert_nothing_left().await;
}
