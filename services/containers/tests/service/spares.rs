//! Sandboxes that stand ready.

use crate::support::executor::exit;
use crate::support::{Bench, call, id, spec};
use schema::containers::{AutoRemove, ContainerSpec, State};
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

/// Runs and removes jobs, all but the first of which leave a sandbox that stands ready.
async fn make_ready(bench: &Bench, count: usize) {
    for _ in 0..=count {
        let id = bench.client.run(&call(), &id(), &job()).await.unwrap().id;
        bench.client.remove(&call(), id.as_str(), true).await.unwrap();
    }
    bench.eventually("they stand ready", async || bench.world.leases.borrow().len() == count).await;
}

#[actix::test]
async fn a_container_takes_the_sandbox_that_stands_ready() {
    let bench = bench(2).await;
    let (_, id) = runs_in_a_ready_one(&bench).await;
    let steps = ["executor.prepare", "network.attach", "filesystem.mount", "log-collector.open", "executor.set_up"];
    assert_eq!(steps.map(|step| bench.world.count(&id, step)), [1; 5], "{}", bench.world.story());
    assert_eq!(bench.world.count(&id, "executor.start"), 1);
    assert_eq!(bench.inspect(&id).await.ids, bench.world.sandbox(&id).ids);
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
    // Those are not of use to the other.
    make_ready(&bench, 2).await;
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
async fn what_a_container_has_taken_late_is_not_removed_any_more() {
    let bench = bench(1).await;
    make_ready(&bench, 1).await;
    let ready = bench.world.leases.borrow().first().unwrap().clone();
    bench.eventually("it is set up", async || bench.world.count(&ready, "executor.set_up") == 1).await;
    // The answer to that came before those to what is asked after it.
    for _ in 0..5 {
        bench.client.info(&call()).await.unwrap();
    }
    // Its image is leased so late that it was given up before, and it could not be removed then.
    bench.world.hang("image-store.lease", None);
    bench.world.fail("network.detach", Failure::unavailable("no network"));
    let client = bench.another_client();
    let running = actix::spawn(async move { client.run(&call(), &id(), &job()).await });
    bench.eventually("it is given up", async || bench.world.count(&ready, "network.detach") > 0).await;
    bench.world.heal();
    assert_eq!(running.await.unwrap().unwrap().id, ready);
    // What could not be removed is tried again every five seconds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(bench.inspect(&ready).await.state, State::Running);
    assert!(bench.world.has(&ready)[..3].iter().all(|has| *has), "{}", bench.world.story());
    bench.client.remove(&call(), ready.as_str(), true).await.unwrap();
    bench.client.shut_down(&call(), 0).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn what_could_not_be_removed_goes_at_the_end() {
    let bench = bench(1).await;
    make_ready(&bench, 1).await;
    bench.world.fail("network.detach", Failure::unavailable("no network"));
    bench.client.stand_down(&call()).await.unwrap();
    assert_eq!(bench.world.leases.borrow().len(), 1);
    bench.world.heal();
    bench.client.shut_down(&call(), 0).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn there_are_never_more_than_are_wanted_and_none_after_a_restart() {
    let mut bench = bench(3).await;
    for number in 0..20 {
        let other = ContainerSpec { terminal: number % 2 == 0, ..job() };
        let id = bench.client.run(&call(), &id(), &other).await.unwrap().id;
        assert!(bench.world.sandboxes.borrow().len() <= 1 + 2 * 3, "{}", bench.world.story());
        bench.client.remove(&call(), id.as_str(), true).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Those that make room for others may still be going.
    bench.eventually("some stand ready", async || (1..=3).contains(&bench.world.sandboxes.borrow().len())).await;
    bench.service.restart();
    bench.eventually("they are gone", async || bench.world.sandboxes.borrow().is_empty()).await;
    bench.client.shut_down(&call(), 0).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn without_the_setting_there_are_none() {
    let bench = bench(0).await;
    for _ in 0..3 {
        let asked = id();
        assert_eq!(bench.client.run(&call(), &asked, &job()).await.unwrap().id, asked);
        bench.client.remove(&call(), asked.as_str(), true).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.world.made.borrow().len(), 3);
    bench.assert_nothing_left().await;
}
