//! Records that cannot be read.

use crate::support::{Bench, call, id, spec};
use schema::containers::State;
use schema::{Code, ContainerId};
use std::time::Duration;

/// Both records of a container say something else.
fn damage(bench: &Bench, id: &ContainerId, content: &str) {
    for directory in ["kept".to_owned(), bench.boot_directory()] {
        for file in bench.files(&directory) {
            if file.to_string_lossy().contains(id.as_str()) {
                std::fs::write(file, content).unwrap();
            }
        }
    }
}

#[actix::test]
async fn a_damaged_record_harms_no_other_and_nothing_of_its_container() {
    let mut bench = Bench::new().await;
    let good = bench.run(&spec("good")).await;
    let bad = bench.run(&spec("bad")).await;
    bench.service.kill();
    damage(&bench, &bad, "cctl-record container 1 sha256:00\n{}");
    for _ in 0..2 {
        bench.world.told.borrow_mut().clear();
        bench.service.restart();
        assert_eq!(bench.client.list(&call()).await.unwrap().len(), 1);
        assert_eq!(bench.inspect(&good).await.state, State::Running);
        let refused = bench.client.inspect(&call(), bad.short()).await.unwrap_err();
        assert!(refused.code == Code::Corrupt && refused.hint.contains("rm -f"), "{refused:?}");
        bench.eventually("the workers are told", async || bench.world.told.borrow().len() == 3).await;
        for live in bench.world.told.borrow().values() {
            assert!(live.contains(&bad) && live.contains(&good));
        }
        assert_eq!(bench.world.has(&bad), [true; 4]);
    }
    bench.run(&spec("bad")).await;
    bench.client.remove(&call(), bad.short(), true).await.unwrap();
    assert_eq!(bench.world.has(&bad), [false; 4]);
    let gone = bench.client.inspect(&call(), bad.as_str()).await.unwrap_err();
    assert_eq!(gone.code, Code::NotFound);
    bench.service.restart();
    assert_eq!(bench.client.list(&call()).await.unwrap().len(), 2);
    assert!(bench.files("kept/damaged").is_empty());
}

#[actix::test]
async fn nobody_gets_the_user_ids_of_a_container_whose_record_is_damaged() {
    let mut bench = Bench::new().await;
    let good = bench.run(&spec("good")).await;
    let bad = bench.run(&spec("bad")).await;
    bench.service.kill();
    damage(&bench, &bad, "junk");
    bench.world.hang("executor.list", None);
    bench.service.again();
    let new = id();
    let early =
        tokio::time::timeout(Duration::from_millis(200), bench.client.create(&call(), &new, &spec("other"))).await;
    assert!(early.is_err(), "it has user ids before it is known which are free");
    assert_eq!(bench.client.list(&call()).await.unwrap().len(), 1);
    bench.world.heal();
    let other = bench.client.create(&call(), &new, &spec("other")).await.unwrap();
    for id in [&good, &bad] {
        assert_ne!(other.ids.unwrap(), bench.world.sandbox(id).ids.unwrap());
    }
}

#[actix::test]
async fn a_run_whose_record_is_damaged_is_found_again() {
    let mut bench = Bench::new().await;
    let web = bench.run(&spec("web")).await;
    bench.service.kill();
    for file in bench.files(&bench.boot_directory()) {
        std::fs::write(file, "junk").unwrap();
    }
    bench.service.again();
    bench.eventually("it is running", async || bench.inspect(&web).await.state == State::Running).await;
    bench.client.stop(&call(), "web", 5000).await.unwrap();
    assert_eq!((bench.inspect(&web).await.exit.unwrap().code, bench.world.executions(&web)), (143, 1));
    assert_eq!(bench.world.has(&web), [false, false, true, true]);
}
