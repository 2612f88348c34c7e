//! What a new process makes of what it finds.

use crate::support::executor::exit;
use crate::support::{Bench, call, id, spec};
use schema::Code;
use schema::containers::{AutoRemove, ContainerSpec, State};
use schema::executor::Phase;
use std::time::Duration;

#[actix::test]
async fn lists_are_answered_while_workers_are_absent() {
    let mut bench = Bench::new().await;
    let web = bench.run(&spec("web")).await;
    bench.service.kill();
    bench.world.hang("executor.list", None);
    bench.world.hang("network.reconcile", None);
    bench.service.again();
    let listed = bench.client.list(&call()).await.unwrap();
    assert_eq!((listed.len(), listed[0].state), (1, State::Running));
    bench.client.create(&call(), &id(), &spec("other")).await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), bench.client.stop(&call(), "web", 0)).await;
    assert!(early.is_err(), "stopped before it was known what runs");
    let client = bench.another_client();
    let starting = actix::spawn(async move { client.start(&call(), "other").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!bench.world.story().contains("executor.list\nexecutor.prepare"));
    bench.world.heal();
    assert_eq!(starting.await.unwrap().unwrap().state, State::Running);
    bench.client.stop(&call(), "web", 5000).await.unwrap();
    assert!(bench.inspect(&web).await.exit.is_some());
}

#[actix::test]
async fn leftovers_that_belong_to_nobody_are_removed() {
    let mut bench = Bench::new().await;
    let web = bench.run(&spec("web")).await;
    bench.service.kill();
    let nobody = id();
    bench.world.sandboxes.borrow_mut().insert(nobody.clone(), Phase::Parked);
    for things in [&bench.world.leases, &bench.world.layers, &bench.world.logs] {
        things.borrow_mut().insert(nobody.clone());
    }
    bench.service.again();
    bench.eventually("it is gone", async || bench.world.has(&nobody) == [false; 4]).await;
    assert_eq!(bench.world.has(&web), [true; 4]);
}

#[actix::test]
async fn a_run_that_ended_meanwhile_is_finished() {
    let mut bench = Bench::new().await;
    let web = bench.run(&spec("web")).await;
    let lost = bench.run(&spec("lost")).await;
    bench.service.kill();
    bench.world.end(&web, exit(6, 0));
    bench.world.sandboxes.borrow_mut().remove(&lost);
    bench.service.again();
    assert_eq!(bench.client.wait(&call(), "web").await.unwrap().exit, Some(exit(6, 0)));
    let unknown = bench.client.wait(&call(), "lost").await.unwrap().exit.unwrap();
    assert_eq!((unknown.code, unknown.note.as_str()), (-1, "unknown: its sandbox is gone"));
    assert!(!bench.world.has(&web)[0] && !bench.world.has(&lost)[1]);
}

#[actix::test]
async fn nothing_runs_after_the_host_was_restarted() {
    let mut bench = Bench::new().await;
    let kept = bench.run(&spec("kept")).await;
    let never = bench.create(&spec("never")).await;
    let job = bench.run(&ContainerSpec { auto_remove: AutoRemove::OnExit, ..spec("job") }).await;
    bench.service.kill();
    let boots = bench.instance.state("containers").join("boots");
    std::fs::rename(bench.instance.state("containers").join(bench.boot_directory()), boots.join("earlier")).unwrap();
    bench.world.sandboxes.borrow_mut().clear();
    bench.service.again();
    let ended = bench.client.wait(&call(), "kept").await.unwrap();
    let exit = ended.exit.unwrap();
    assert_eq!((ended.state, exit.code, exit.note.as_str()), (State::Exited, -1, "unknown: the host was restarted"));
    assert_eq!(bench.inspect(&never).await.state, State::Created);
    assert!(!bench.exists(&job).await);
    bench.eventually("the job's things are gone", async || bench.world.has(&job) == [false; 4]).await;
    assert_eq!(bench.world.has(&kept), [false, false, true, true]);
    bench.client.start(&call(), "kept").await.unwrap();
    let gone = bench.client.start(&call(), "job").await.unwrap_err();
    assert_eq!(gone.code, Code::NotFound);
}
