//! Containers that remove themselves.

use crate::support::executor::exit;
use crate::support::{Bench, call, spec};
use schema::containers::{AutoRemove, ContainerSpec};
use schema::{Call, Code, ContainerId};
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
