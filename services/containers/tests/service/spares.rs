//! Sandboxes that stand ready.

use crate::support::executor::exit;
use crate::support::{Bench, call, id, spec};
use schema::containers::{AutoRemove, ContainerSpec};
use schema::{Code, ContainerId, Failure};
use std::time::Duration;

/// With so many at most.
async fn bench(most: u32) -> Bench {
    let mut bench = Bench::new().await;
    std::fs::create_dir_all(bench.instance.config()).unwrap();
    std::fs::write(bench.instance.config().join("containers.toml"), format!("spares = {most}")).unwrap();
    bench.service.restart();
    bench
}

fn job() -> ContainerSpec {
    ContainerSpec { auto_remove: AutoRemove::AfterClient, ..spec("job") }
}

/// Asks until one is offered that stands ready.
async fn offered(bench: &Bench, spec: &ContainerSpec) -> ContainerId {
    let id = std::cell::RefCell::new(None);
    bench
        .eventually("one stands ready", async || {
            let offer = bench.client.offer(&call(), spec).await.unwrap();
            let is_ready = bench.world.has(&offer)[..2] == [true, true];
            id.replace(is_ready.then_some(offer));
            is_ready
        })
        .await;
    id.into_inner().unwrap()
}

/// Runs jobs until one gets a sandbox that stood ready; answers as what it was asked for, and what it is.
async fn runs_in_a_ready_one(bench: &Bench) -> (ContainerId, ContainerId) {
    for _ in 0..100 {
        let asked = id();
        let runs = bench.client.run(&call(), &asked, &job()).await.unwrap().id;
        if runs != asked {
            return (asked, runs);
        }
        bench.client.remove(&call(), runs.as_str(), true).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    panic!("no sandbox was ready for any of 100 jobs\n{}", bench.world.story());
}

#[actix::test]
async fn a_container_takes_the_sandbox_that_stands_ready() {
    let bench = bench(2).await;
    let id = offered(&bench, &job()).await;
    let made = bench.world.sandbox(&id);
    bench.client.create(&call(), &id, &job()).await.unwrap();
    bench.client.start(&call(), id.as_str()).await.unwrap();
    assert_eq!(bench.world.sandbox(&id), made, "no other was made");
    assert_eq!(bench.inspect(&id).await.ids, made.ids);
    assert_eq!(bench.client.list(&call()).await.unwrap().len(), 1, "no user sees the others");
    let problems = bench.client.check(&call(), false).await.unwrap().problems;
    assert!(problems.iter().all(|problem| !problem.message.contains("there is none")), "{problems:?}");
    bench.world.end(&id, exit(0, 0));
    bench.client.wait(&call(), id.as_str()).await.unwrap();
    bench.client.remove(&call(), id.as_str(), false).await.unwrap();
    bench.client.shut_down(&call(), 0).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn a_container_that_runs_in_one_is_found_by_both_ids() {
    let mut bench = bench(2).await;
    let (asked, runs) = runs_in_a_ready_one(&bench).await;
    assert_eq!(bench.world.count(&runs, "network.attach"), 1, "when it was made");
    assert_eq!(bench.inspect(&asked).await, bench.inspect(&runs).await);
    assert!(bench.inspect(&runs).await.attachment.is_some());
    bench.service.restart();
    assert_eq!(bench.inspect(&asked).await.id, runs);
    assert_eq!(bench.client.list(&call()).await.unwrap().len(), 1);
    bench.client.remove(&call(), asked.as_str(), true).await.unwrap();
    assert!(!bench.exists(&runs).await && !bench.exists(&asked).await);
    bench.client.shut_down(&call(), 0).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn a_run_whose_answer_was_lost_is_not_run_in_another_one() {
    let mut bench = bench(2).await;
    runs_in_a_ready_one(&bench).await;
    // The same request comes twice at once, and again after a restart.
    let (asked, request) = (id(), call());
    let other = bench.another_client();
    let job = ContainerSpec { name: "other".to_owned(), ..job() };
    let (one, two) = futures::join!(bench.client.run(&request, &asked, &job), other.run(&request, &asked, &job));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((&one.id, one.pid), (&two.id, two.pid));
    bench.service.restart();
    let again = bench.client.run(&request, &asked, &job).await.unwrap();
    assert_eq!(((&again.id), bench.world.executions(&one.id)), (&one.id, 1));
    for container in bench.client.list(&call()).await.unwrap() {
        bench.client.remove(&call(), container.id.as_str(), true).await.unwrap();
    }
    bench.client.shut_down(&call(), 0).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn what_stands_ready_makes_room_for_what_users_want() {
    let bench = bench(2).await;
    // The second and the third of them have sandboxes ready, which are not of use to the other.
    for _ in 0..3 {
        bench.client.offer(&call(), &job()).await.unwrap();
    }
    bench.eventually("two stand ready", async || bench.world.leases.borrow().len() >= 2).await;
    let ready: Vec<_> = bench.world.leases.borrow().iter().cloned().collect();
    let other = ContainerSpec { terminal: true, ..spec("other") };
    bench.world.fail("filesystem.mount", Failure::exhausted("no room"));
    let failed = bench.client.run(&call(), &id(), &other).await.unwrap_err();
    assert_eq!(failed.code, Code::ResourceExhausted);
    assert!(ready.iter().all(|id| bench.world.has(id)[..2] == [false, false]), "{}", bench.world.story());
    bench.world.heal();
    bench.client.start(&call(), "other").await.unwrap();
    bench.client.remove(&call(), "other", true).await.unwrap();
    bench.client.shut_down(&call(), 0).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn before_the_services_stop_they_go_and_containers_stay() {
    let bench = bench(2).await;
    let (_, runs) = runs_in_a_ready_one(&bench).await;
    bench.client.stand_down(&call()).await.unwrap();
    bench.eventually("they are gone", async || bench.world.sandboxes.borrow().len() == 1).await;
    assert!(bench.exists(&runs).await);
    bench.client.remove(&call(), runs.as_str(), true).await.unwrap();
    bench.client.shut_down(&call(), 0).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn what_is_created_otherwise_than_it_was_said_gets_a_sandbox_of_its_own() {
    let bench = bench(1).await;
    let id = offered(&bench, &job()).await;
    let other = ContainerSpec { open_stdin: true, hostname: "other".to_owned(), ..job() };
    bench.client.create(&call(), &id, &other).await.unwrap();
    bench.client.start(&call(), id.as_str()).await.unwrap();
    let sandbox = bench.world.sandbox(&id);
    assert!(sandbox.open_stdin && sandbox.hostname == "other");
    // The writable layer was the spare's.
    bench.world.excuse("filesystem.release");
    bench.client.remove(&call(), id.as_str(), true).await.unwrap();
    bench.client.shut_down(&call(), 0).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn there_are_never_more_than_are_wanted_and_none_after_a_restart() {
    let mut bench = bench(3).await;
    for number in 0..20 {
        let terminal = number % 2 == 0;
        bench.client.offer(&call(), &ContainerSpec { terminal, ..job() }).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bench.eventually("some stand ready", async || bench.world.made.borrow().len() >= 3).await;
    // Three that are ready, and those that were offered and not taken.
    assert!(bench.world.sandboxes.borrow().len() <= 3 + 20, "{}", bench.world.sandboxes.borrow().len());
    bench.service.restart();
    bench.eventually("they are gone", async || bench.world.sandboxes.borrow().is_empty()).await;
    bench.client.shut_down(&call(), 0).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn without_the_setting_there_are_none() {
    let bench = bench(0).await;
    for _ in 0..3 {
        bench.client.offer(&call(), &job()).await.unwrap();
    }
    assert_eq!(bench.world.made.borrow().len(), 0);
}
