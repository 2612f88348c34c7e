//! Images of containers.

use crate::support::users::commit_spec;
use crate::support::world::Moment;
use crate::support::{Bench, call, spec};
use schema::containers::{ContainerSpec, State};
use schema::{Code, Failure};

#[actix::test]
async fn a_running_container_is_committed_while_it_stands_still() {
    let bench = Bench::new().await;
    let given = ContainerSpec {
        command: vec!["sh".to_owned(), "-c".to_owned(), "x".to_owned()],
        environment: vec!["MINE=1".to_owned()],
        labels: vec!["team=me".to_owned()],
        user: "web".to_owned(),
        ..spec("web")
    };
    let web = bench.run(&given).await;
    let image = bench.client.commit(&call(), "web", "upload1", &commit_spec("mine:1", true)).await.unwrap();
    assert!(image.id.as_str().starts_with("sha256:0a"));
    let calls = bench.world.calls(&web);
    assert_eq!(calls[calls.len() - 3..], ["executor.freeze", "filesystem.commit_layer", "executor.thaw"]);
    assert_eq!(bench.inspect(&web).await.state, State::Running);
    let request = bench.world.commits.borrow()["upload1"].clone();
    assert_eq!((&request.container, request.reference.as_str()), (&web, "mine:1"));
    assert_eq!((&request.command, &request.changes), (&given.command, &vec!["CMD top".to_owned()]));
    assert_eq!((&request.config.command, request.config.user.as_str()), (&given.command, "web"));
    assert_eq!(request.config.environment, ["FROM=image", "MINE=1"]);
    assert_eq!(request.config.labels, ["maker=image", "team=me"]);
    assert_eq!((request.message.as_str(), request.author.as_str()), ("a message", "me"));
    let event = bench.events(&web).await.pop().unwrap();
    assert_eq!(event.action, "commit");
    assert!(event.attributes.contains(&"reference=mine:1".to_owned()), "{event:?}");
}

#[actix::test]
async fn what_does_not_run_or_is_paused_is_committed_as_it_is() {
    let bench = Bench::new().await;
    let web = bench.create(&spec("web")).await;
    let commit = async |upload: &str, pause| bench.client.commit(&call(), "web", upload, &commit_spec("", pause)).await;
    commit("created", false).await.unwrap();
    bench.client.start(&call(), "web").await.unwrap();
    let refused = commit("running", false).await.unwrap_err();
    assert!(refused.code == Code::Conflict && refused.hint.contains("pause"), "{refused:?}");
    bench.client.pause(&call(), "web").await.unwrap();
    bench.world.excuse("a layer is read");
    commit("paused", true).await.unwrap();
    assert_eq!((bench.inspect(&web).await.state, bench.world.count(&web, "executor.thaw")), (State::Paused, 0));
    bench.client.stop(&call(), "web", 5000).await.unwrap();
    commit("stopped", false).await.unwrap();
    assert_eq!(bench.world.commits.borrow().len(), 3);
}

#[actix::test]
async fn a_repeated_commit_is_the_same_image() {
    let bench = Bench::new().await;
    let web = bench.run(&spec("web")).await;
    let commit = async || bench.client.commit(&call(), "web", "again", &commit_spec("mine", true)).await.unwrap();
    assert_eq!(commit().await, commit().await);
    assert_eq!(bench.world.count(&web, "filesystem.commit_layer"), 1);
}

#[actix::test]
async fn a_failed_commit_leaves_no_upload_and_a_container_that_goes_on() {
    for step in ["executor.freeze", "filesystem.commit_layer", "image-store.commit_upload"] {
        let bench = Bench::new().await;
        let web = bench.run(&spec("web")).await;
        bench.world.fail(step, Failure::exhausted("the disk is full"));
        let commit = async || bench.client.commit(&call(), "web", "up", &commit_spec("mine", true)).await;
        assert_eq!(commit().await.unwrap_err().code, Code::ResourceExhausted, "{step}");
        assert!(bench.world.uploads.borrow().is_empty() && bench.world.frozen.borrow().is_empty(), "{step}");
        assert_eq!(bench.inspect(&web).await.state, State::Running);
        bench.world.heal();
        commit().await.unwrap();
    }
}

#[actix::test]
async fn a_stop_does_not_wait_for_a_commit() {
    let bench = Bench::new().await;
    bench.run(&spec("web")).await;
    for end in ["stop", "kill", "rm"] {
        bench.world.hang("filesystem.commit_layer", None);
        let client = bench.another_client();
        let committing =
            actix::spawn(async move { client.commit(&call(), "web", "slow", &commit_spec("mine", true)).await });
        let is_read = async || bench.world.story().lines().last().unwrap().starts_with("filesystem.commit_layer");
        bench.eventually("it is read", is_read).await;
        match end {
            "stop" => drop(bench.client.stop(&call(), "web", 20_000).await.unwrap()),
            "kill" => drop(bench.client.kill(&call(), "web", 9).await.unwrap()),
            _ => bench.client.remove(&call(), "web", true).await.unwrap(),
        }
        assert_eq!(committing.await.unwrap().unwrap_err().code, Code::Conflict, "{end}");
        bench.world.heal();
        if end != "rm" {
            bench.client.start(&call(), "web").await.unwrap();
        }
    }
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn killed_in_a_commit_it_lets_the_container_go_on_and_commits_when_it_is_asked_again() {
    for step in ["executor.freeze", "filesystem.commit_layer", "executor.thaw", "image-store.commit_upload"] {
        for moment in [Moment::Before, Moment::After] {
            let mut bench = Bench::new().await;
            let web = bench.run(&spec("web")).await;
            let (client, world) = (bench.another_client(), std::rc::Rc::clone(&bench.world));
            bench.world.set_trap(step, moment);
            let life = async {
                let image = client.commit(&call(), "web", "once", &commit_spec("mine", true)).await.unwrap();
                assert!(image.id.as_str().starts_with("sha256:0a"));
            };
            tokio::pin!(life);
            tokio::select! {
                () = &mut life => panic!("{step} was not reached"),
                () = world.trapped() => bench.service.restart(),
            }
            life.await;
            bench.eventually("it goes on", async || bench.world.frozen.borrow().is_empty()).await;
            assert_eq!(bench.inspect(&web).await.state, State::Running, "{step} {moment:?}");
            assert_eq!(bench.actions(&web).await, ["create", "start", "commit"], "{step} {moment:?}");
        }
    }
}
