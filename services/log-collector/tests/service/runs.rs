//! Runs: opening again, restarting a container, forgetting.

use crate::harness::*;
use schema::Code;
use schema::log_collector::{LogSpec, Stream};
use std::io::Write;

#[test]
fn positions_go_on_across_runs_and_opening_again_changes_nothing() {
    let mut service = Service::start();
    let id = id();
    let mut end = 0;
    for run in 0..4_u64 {
        let mut sandbox = Sandbox::new(&service, &id, true, false);
        let spec = sandbox.spec(4096, 10);
        let text = lines(run * 1000..run * 1000 + 500);
        block_on(async {
            let client = service.client();
            assert_eq!(client.open(&call(), &id, &spec).await, Ok(end));
            sandbox.writer("stdout").write_all(&text).unwrap();
            assert_eq!(client.open(&call(), &id, &spec).await, Ok(end));
        });
        service.kill();
        service.spawn();
        block_on(async {
            let client = service.client();
            assert_eq!(client.open(&call(), &id, &spec).await, Ok(end));
            sandbox.end();
            let output = read_all(&client, &id, end).await.unwrap();
            assert_same(&output.of(Stream::Stdout), &text);
            assert_eq!(client.open(&call(), &id, &spec).await, Ok(end));
            end += text.len() as u64;
            assert_eq!(output.next, end);
        });
        sandbox.destroy();
    }
}

#[test]
fn a_container_that_is_started_again_and_again_while_the_collector_is_killed() {
    const RUNS: u64 = 60;
    let mut service = Service::start();
    let id = id();
    let done = std::sync::atomic::AtomicBool::new(false);
    // Made by this thread, the rest is the container's.
    let (instance, container) = (service.instance.clone(), id.clone());
    std::thread::scope(|scope| {
        let living = scope.spawn(|| {
            let mut end = 0;
            for run in 0..RUNS {
                let text = lines(run * 1000..run * 1000 + random() % 500);
                block_on(async {
                    let client = schema::log_collector::Client::new(&instance);
                    let mut sandbox = Sandbox::at(&instance, &container, true, false);
                    let spec = sandbox.spec(4096, 1000);
                    assert_eq!(client.open(&call(), &container, &spec).await, Ok(end));
                    sandbox.writer("stdout").write_all(&text).unwrap();
                    sandbox.end();
                    assert_eq!(client.open(&call(), &container, &spec).await, Ok(end));
                    sandbox.destroy();
                    let output = read_all(&client, &container, end).await.unwrap();
                    assert_same(&output.of(Stream::Stdout), &text);
                    end += text.len() as u64;
                    assert_eq!(output.next, end);
                });
            }
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        service.torment(60, || !done.load(std::sync::atomic::Ordering::SeqCst) && !living.is_finished());
        living.join().unwrap();
    });
    eprintln!("{RUNS} runs, {} kills", service.kills);
}

#[test]
fn a_run_whose_sandbox_is_gone_has_ended() {
    let mut service = Service::start();
    let id = id();
    let sandbox = Sandbox::new(&service, &id, true, false);
    block_on(async {
        service.client().open(&call(), &id, &sandbox.spec(0, 0)).await.unwrap();
        sandbox.writer("stdout").write_all(b"last words\n").unwrap();
        read_until(&service.client(), &id, 0, 11).await;
    });
    service.kill();
    sandbox.destroy();
    service.spawn();
    let output = block_on(async { read_all(&service.client(), &id, 0).await.unwrap() });
    assert_eq!(output.text(), "last words\n");
}

#[test]
fn a_new_run_cuts_short_one_that_never_ended() {
    let service = Service::start();
    let id = id();
    let first = Sandbox::new(&service, &id, true, false);
    block_on(async {
        let client = service.client();
        client.open(&call(), &id, &first.spec(0, 0)).await.unwrap();
        first.writer("stdout").write_all(b"one\n").unwrap();
        read_until(&client, &id, 0, 4).await;
        first.destroy();
        let mut second = Sandbox::new(&service, &id, true, false);
        assert_eq!(client.open(&call(), &id, &second.spec(0, 0)).await, Ok(4));
        second.writer("stdout").write_all(b"two\n").unwrap();
        second.end();
        assert_eq!(read_all(&client, &id, 0).await.unwrap().text(), "one\ntwo\n");
    });
}

#[test]
fn reconcile_forgets_what_no_container_owns() {
    let mut service = Service::start();
    let kept: Vec<_> = (0..3).map(|_| id()).collect();
    let gone: Vec<_> = (0..40).map(|_| id()).collect();
    block_on(async {
        let client = service.client();
        for id in kept.iter().chain(&gone) {
            let mut sandbox = Sandbox::new(&service, id, true, false);
            client.open(&call(), id, &sandbox.spec(0, 0)).await.unwrap();
            sandbox.end();
        }
        client.reconcile(&call(), &kept).await.unwrap();
        client.reconcile(&call(), &kept).await.unwrap();
        assert_eq!(client.read(&call(), &gone[0], 0, 0, 0).await.unwrap_err().code, Code::NotFound);
        assert!(client.read(&call(), &kept[0], 0, 0, 0).await.unwrap().ended);
    });
    let left = |ids: &[schema::ContainerId]| ids.iter().filter(|id| service.log_directory(id).exists()).count();
    assert_eq!((left(&kept), left(&gone)), (3, 0));
    // A removal that was cut short is finished.
    let doomed = service.log_directory(&kept[0]);
    std::fs::rename(&doomed, doomed.with_extension("removed")).unwrap();
    service.kill();
    service.spawn();
    block_on(async {
        let client = service.client();
        assert_eq!(client.read(&call(), &kept[0], 0, 0, 0).await.unwrap_err().code, Code::NotFound);
        assert!(client.read(&call(), &kept[1], 0, 0, 0).await.unwrap().ended);
    });
    assert!(!doomed.with_extension("removed").exists());
}

#[test]
fn bad_calls_are_named() {
    let service = Service::start();
    let id = id();
    let sandbox = Sandbox::new(&service, &id, true, false);
    block_on(async {
        let client = service.client();
        let code = |failure: schema::Failure| failure.code;
        assert_eq!(client.open(&call(), &id, &sandbox.spec(1, 0)).await.map_err(code), Err(Code::InvalidArgument));
        assert_eq!(client.open(&call(), &id, &sandbox.spec(0, 9999)).await.map_err(code), Err(Code::InvalidArgument));
        let elsewhere = |directory: &str| LogSpec { directory: directory.into(), ..sandbox.spec(0, 0) };
        assert_eq!(client.open(&call(), &id, &elsewhere("relative")).await.map_err(code), Err(Code::InvalidArgument));
        let failure = client.open(&call(), &id, &elsewhere("/nowhere")).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound);
        assert!(failure.message.contains("/nowhere"), "{failure}");
        assert_eq!(client.read(&call(), &id, 0, 0, 0).await.map_err(code), Err(Code::NotFound));
        let from = schema::log_collector::From::End;
        assert_eq!(client.locate(&call(), &id, from).await.map_err(code), Err(Code::NotFound));
        assert_eq!(client.input(&id, "s", true).open(&call()).await.map_err(code), Err(Code::NotFound));
        // And then a good one.
        assert_eq!(client.open(&call(), &id, &sandbox.spec(0, 0)).await, Ok(0));
        let failure = client.input(&id, "s", true).open(&call()).await.unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert!(failure.hint.contains("run -i"), "{}", failure.hint);
    });
}
