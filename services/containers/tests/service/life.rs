//! The plain life of a container.

use crate::support::executor::exit;
use crate::support::{Bench, call, spec};
use schema::common::{Limits, PortBinding, Protocol};
use schema::containers::{ContainerSpec, State};
use schema::{Code, Failure};

#[actix::test]
async fn a_container_lives_and_leaves_nothing() {
    let bench = Bench::new().await;
    let id = bench.create(&spec("web")).await;
    let created = bench.inspect(&id).await;
    assert_eq!((created.state, created.spec.hostname.as_str()), (State::Created, id.short()));
    assert_eq!(created.arguments, ["sh"]);
    assert_eq!(bench.world.has(&id), [false; 4]);

    let running = bench.client.start(&call(), "web").await.unwrap();
    assert_eq!((running.state, running.pid, running.run_position), (State::Running, 4242, 33));
    assert_eq!(running.attachment.unwrap().prefix_length, 24);
    assert_eq!(running.warnings, ["no swap limit here"]);
    let calls = bench.world.calls(&id);
    assert_eq!(calls[0], "executor.prepare");
    let mut together = calls[1..4].to_vec();
    together.sort();
    assert_eq!(together, ["filesystem.mount", "log-collector.open", "network.attach"]);
    assert_eq!(calls[4..6], ["filesystem.set_names", "executor.start"]);

    let (client, waited) = (bench.another_client(), id.clone());
    let waiting = actix::spawn(async move { client.wait(&call(), waited.as_str()).await });
    bench.world.end(&id, exit(7, 0));
    let ended = waiting.await.unwrap().unwrap();
    assert_eq!((ended.state, ended.pid, ended.exit.unwrap().code), (State::Exited, 0, 7));
    assert_eq!(bench.world.has(&id), [false, false, true, true]);

    bench.client.remove(&call(), &id.as_str()[..9], false).await.unwrap();
    assert!(!bench.exists(&id).await);
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn an_exited_container_runs_again_with_its_layer() {
    let bench = Bench::new().await;
    let id = bench.run(&spec("web")).await;
    bench.world.end(&id, exit(1, 0));
    bench.client.wait(&call(), "web").await.unwrap();
    let again = bench.client.start(&call(), "web").await.unwrap();
    assert_eq!((again.state, again.exit), (State::Running, None));
    assert_eq!((bench.world.executions(&id), bench.world.count(&id, "filesystem.release")), (2, 0));
}

#[actix::test]
async fn names_are_unique_and_made_up_for_who_has_none() {
    let bench = Bench::new().await;
    let one = bench.create(&spec("web")).await;
    let other = bench.create(&spec("")).await;
    let name = bench.inspect(&other).await.spec.name;
    assert!(name.contains('_'), "{name}");
    let taken = bench.client.create(&call(), &crate::support::id(), &spec("web")).await.unwrap_err();
    assert_eq!(taken.code, Code::AlreadyExists);
    assert_eq!(taken.message, format!("the name \"web\" is in use by container {}", one.short()));
    bench.client.remove(&call(), "web", false).await.unwrap();
    bench.create(&spec("web")).await;
}

#[actix::test]
async fn bad_requests_are_refused_and_leave_nothing() {
    let bench = Bench::new().await;
    let refused = async |spec: &ContainerSpec| -> Failure {
        bench.client.create(&call(), &crate::support::id(), spec).await.unwrap_err()
    };
    assert_eq!(refused(&spec("x/y")).await.code, Code::InvalidArgument);
    let unknown = ContainerSpec { image: "nope".to_owned(), ..spec("web") };
    assert_eq!(refused(&unknown).await.code, Code::NotFound);
    let little = ContainerSpec { limits: Limits { memory: 4096, ..Limits::default() }, ..spec("web") };
    assert!(refused(&little).await.message.contains("4096"));
    let port = PortBinding { host_address: None, host_port: 80, container_port: 80, protocol: Protocol::Tcp };
    assert_eq!(refused(&ContainerSpec { ports: vec![port, port], ..spec("web") }).await.code, Code::InvalidArgument);
    let nothing = ContainerSpec { entrypoint: Some(vec![]), ..spec("web") };
    assert!(refused(&nothing).await.message.starts_with("no command"));
    assert_eq!(bench.client.list(&call()).await.unwrap(), []);
    bench.assert_nothing_left().await;
    for failed in [
        bench.client.start(&call(), "web").await,
        bench.client.stop(&call(), "web", 0).await,
        bench.client.wait(&call(), "web").await,
        bench.client.inspect(&call(), "").await,
    ] {
        assert_eq!(failed.unwrap_err().code, Code::NotFound);
    }
}

#[actix::test]
async fn the_list_is_newest_first_and_info_counts() {
    let bench = Bench::new().await;
    let first = bench.create(&spec("one")).await;
    let second = bench.run(&spec("two")).await;
    let listed: Vec<_> = bench.client.list(&call()).await.unwrap().into_iter().map(|container| container.id).collect();
    assert_eq!(listed, [second, first]);
    let info = bench.client.info(&call()).await.unwrap();
    assert_eq!((info.containers, info.running, info.network.bridge.as_str()), (2, 1, "cctl0"));
}
