//! Restart policies.

use crate::support::executor::exit;
use crate::support::{Bench, call, spec};
use schema::containers::{AutoRemove, Container, ContainerSpec, RestartKind, RestartPolicy, State};
use schema::{Code, ContainerId, Failure};
use std::time::{Duration, Instant};

fn with(kind: RestartKind, maximum: u32) -> ContainerSpec {
    ContainerSpec { restart: RestartPolicy { kind, maximum }, ..spec("web") }
}

async fn runs_again(bench: &Bench, id: &ContainerId, times: u32) {
    bench
        .eventually("it runs again", async || {
            bench.world.executions(id) == times && bench.inspect(id).await.state == State::Running
        })
        .await;
}

#[actix::test]
async fn what_ends_is_started_again_and_counted() {
    let bench = Bench::new().await;
    let id = bench.run(&with(RestartKind::Always, 0)).await;
    for count in 1..=3 {
        let begun = Instant::now();
        bench.world.end(&id, exit(0, 0));
        runs_again(&bench, &id, count + 1).await;
        assert!(begun.elapsed() >= Duration::from_millis(50 << count), "the pauses double from 100 ms");
        assert_eq!(bench.inspect(&id).await.restart_count, count);
    }
    let actions = bench.actions(&id).await;
    assert_eq!(actions, ["create", "start", "die", "start", "die", "start", "die", "start"]);
    let address = bench.inspect(&id).await.attachment.unwrap().address.unwrap();
    assert_eq!(address.octets()[3], 5, "every start takes a new address");
    assert_eq!(bench.world.names.borrow()[&id].hosts[0].address, address.to_string());
}

#[actix::test]
async fn on_failure_leaves_success_alone_and_gives_up() {
    let bench = Bench::new().await;
    let id = bench.run(&with(RestartKind::OnFailure, 1)).await;
    bench.world.end(&id, exit(3, 0));
    runs_again(&bench, &id, 2).await;
    bench.world.end(&id, exit(4, 0));
    let ended = bench.client.wait(&call(), "web").await.unwrap();
    assert_eq!((ended.state, ended.restart_count, ended.exit.unwrap().code), (State::Exited, 1, 4));
    bench.client.start(&call(), "web").await.unwrap();
    assert_eq!(bench.inspect(&id).await.restart_count, 0);
    bench.world.end(&id, exit(0, 0));
    assert_eq!(bench.client.wait(&call(), "web").await.unwrap().state, State::Exited);
}

/// Makes the next start by the policy wait for the network.
async fn restarting(bench: &Bench, id: &ContainerId) -> Container {
    bench.world.fail("network.attach", Failure::exhausted("no address"));
    bench.world.end(id, exit(7, 0));
    bench.eventually("it is tried several times", async || bench.inspect(id).await.restart_count >= 3).await;
    bench.eventually("it waits", async || bench.inspect(id).await.state == State::Restarting).await;
    bench.inspect(id).await
}

#[actix::test]
async fn a_start_by_the_policy_that_fails_is_tried_again() {
    let bench = Bench::new().await;
    let id = bench.run(&with(RestartKind::UnlessStopped, 0)).await;
    let waiting = restarting(&bench, &id).await;
    assert!(waiting.error.unwrap().message.contains("no address"));
    bench.world.heal();
    runs_again(&bench, &id, 2).await;
    assert_eq!(bench.inspect(&id).await.error, None);
}

#[actix::test]
async fn a_stop_a_kill_and_a_removal_end_the_restarts() {
    let bench = Bench::new().await;
    for end in ["stop", "kill", "rm -f"] {
        let id = bench.run(&with(RestartKind::Always, 0)).await;
        restarting(&bench, &id).await;
        let refused = bench.client.remove(&call(), "web", false).await.unwrap_err();
        assert_eq!(refused.code, Code::Conflict);
        assert_eq!(bench.exec("web").await.unwrap_err().code, Code::Conflict);
        match end {
            "stop" => assert_eq!(bench.client.stop(&call(), "web", 5000).await.unwrap().state, State::Exited),
            "kill" => assert_eq!(bench.client.kill(&call(), "web", 9).await.unwrap().state, State::Exited),
            _ => bench.client.remove(&call(), "web", true).await.unwrap(),
        }
        bench.world.heal();
        tokio::time::sleep(Duration::from_millis(1000)).await;
        assert_eq!(bench.world.executions(&id), 1, "{end}");
        if end != "rm -f" {
            bench.client.remove(&call(), "web", false).await.unwrap();
        }
    }
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn a_running_container_that_is_stopped_or_killed_stays_so() {
    let bench = Bench::new().await;
    let id = bench.run(&with(RestartKind::Always, 0)).await;
    assert_eq!(bench.client.stop(&call(), "web", 5000).await.unwrap().state, State::Exited);
    bench.client.start(&call(), "web").await.unwrap();
    assert_eq!(bench.client.kill(&call(), "web", 9).await.unwrap().state, State::Exited);
    bench.client.start(&call(), "web").await.unwrap();
    bench.client.restart(&call(), "web", 5000).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((bench.world.executions(&id), bench.inspect(&id).await.restart_count), (4, 0));
}

#[actix::test]
async fn wait_answers_at_each_end_and_waits_for_what_is_restarting() {
    let bench = Bench::new().await;
    let id = bench.run(&with(RestartKind::Always, 0)).await;
    let client = bench.another_client();
    let waiting = actix::spawn(async move { client.wait(&call(), "web").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    restarting(&bench, &id).await;
    assert_eq!(waiting.await.unwrap().unwrap().exit.unwrap().code, 7);
    // By now, the pause between two tries is of seconds.
    bench.eventually("it is tried more often", async || bench.inspect(&id).await.restart_count >= 5).await;
    bench.eventually("it waits", async || bench.inspect(&id).await.state == State::Restarting).await;
    // The end that it is restarting after may be answered; then its next end is waited for.
    bench
        .eventually("its next end is waited for", async || {
            tokio::time::timeout(Duration::from_millis(200), bench.client.wait(&call(), "web")).await.is_err()
        })
        .await;
    bench.client.stop(&call(), "web", 5000).await.unwrap();
    assert_eq!(bench.client.wait(&call(), "web").await.unwrap().state, State::Exited);
}

#[actix::test]
async fn a_pause_before_a_restart_goes_on_after_a_kill() {
    let mut bench = Bench::new().await;
    let id = bench.run(&with(RestartKind::Always, 0)).await;
    let waiting = restarting(&bench, &id).await;
    bench.service.restart();
    let found = bench.inspect(&id).await;
    assert!(found.restart_count >= waiting.restart_count, "{found:?}");
    bench.world.heal();
    runs_again(&bench, &id, 2).await;
    bench.service.restart();
    bench.world.end(&id, exit(1, 0));
    runs_again(&bench, &id, 3).await;
}

/// Makes the next start of the service one in another boot.
fn reboot(bench: &mut Bench) {
    bench.service.kill();
    let boots = bench.instance.state("containers").join("boots");
    std::fs::rename(bench.instance.state("containers").join(bench.boot_directory()), boots.join("earlier")).unwrap();
    bench.world.sandboxes.borrow_mut().clear();
    bench.service.again();
}

#[actix::test]
async fn after_the_host_was_restarted_policies_apply() {
    let mut bench = Bench::new().await;
    let mut ids = Vec::new();
    for (kind, stop) in [
        (RestartKind::No, false),
        (RestartKind::OnFailure, false),
        (RestartKind::OnFailure, true),
        (RestartKind::UnlessStopped, false),
        (RestartKind::UnlessStopped, true),
        (RestartKind::Always, false),
        (RestartKind::Always, true),
    ] {
        let name = format!("web-{kind:?}-{stop}");
        let id = bench.run(&ContainerSpec { name: name.clone(), ..with(kind, 0) }).await;
        if stop {
            bench.client.stop(&call(), &name, 5000).await.unwrap();
        }
        ids.push((id, name));
    }
    reboot(&mut bench);
    for ((id, name), runs) in ids.iter().zip([1, 2, 1, 2, 1, 2, 2]) {
        if runs == 2 {
            runs_again(&bench, id, 2).await;
        } else {
            assert_eq!(bench.client.wait(&call(), name).await.unwrap().state, State::Exited, "{name}");
        }
    }
    bench.service.restart();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let runs: Vec<_> = ids.iter().map(|(id, _)| bench.world.executions(id)).collect();
    assert_eq!(runs, [1, 2, 1, 2, 1, 2, 2]);
}

#[actix::test]
async fn what_removes_itself_cannot_have_a_policy() {
    let bench = Bench::new().await;
    let both = ContainerSpec { auto_remove: AutoRemove::AfterClient, ..with(RestartKind::Always, 0) };
    let refused = bench.client.create(&call(), &crate::support::id(), &both).await.unwrap_err();
    assert!(refused.code == Code::InvalidArgument && refused.hint.contains("--restart"), "{refused:?}");
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn shutting_down_ends_the_restarts() {
    let bench = Bench::new().await;
    let id = bench.run(&with(RestartKind::Always, 0)).await;
    restarting(&bench, &id).await;
    bench.client.shut_down(&call(), 5000).await.unwrap();
    bench.world.heal();
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert_eq!((bench.inspect(&id).await.state, bench.world.executions(&id)), (State::Exited, 1));
}
