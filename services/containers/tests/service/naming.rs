//! Names, and the log of what happened.

use crate::support::executor::exit;
use crate::support::{Bench, call, spec};
use schema::Code;
use schema::containers::ContainerSpec;
use std::time::{Duration, Instant};

#[actix::test]
async fn a_container_can_be_renamed_also_while_it_runs() {
    let mut bench = Bench::new().await;
    let web = bench.create(&spec("web")).await;
    bench.create(&spec("other")).await;
    let rename = async |from: &str, to: &str| bench.client.rename(&call(), from, to).await;
    for running in [false, true] {
        if running {
            bench.client.start(&call(), "web").await.unwrap();
        }
        assert_eq!(rename("web", "site").await.unwrap().spec.name, "site");
        assert_eq!(bench.inspect(&web).await.spec.name, "site");
        assert_eq!(rename("web", "x").await.unwrap_err().code, Code::NotFound);
        assert_eq!(rename("site", "site").await.unwrap().spec.name, "site");
        assert_eq!(rename("site", "other").await.unwrap_err().code, Code::AlreadyExists);
        assert_eq!(rename("site", "a/b").await.unwrap_err().code, Code::InvalidArgument);
        assert_eq!(rename(web.short(), "web").await.unwrap().spec.name, "web");
    }
    let hosts = bench.world.names.borrow()[&web].hosts.clone();
    assert!(hosts.iter().any(|host| host.hostname == "web"), "{hosts:?}");
    rename("web", "site").await.unwrap();
    bench.create(&spec("web")).await;
    bench.service.restart();
    assert_eq!(bench.client.inspect(&call(), "site").await.unwrap().id, web);
    let mut renames = bench.events(&web).await.into_iter().filter(|event| event.action == "rename");
    assert_eq!(renames.next_back().unwrap().attributes[..3], ["name=site", "image=base", "oldName=web"]);
}

#[actix::test]
async fn a_name_that_cannot_be_recorded_is_not_taken() {
    let bench = Bench::new().await;
    let web = bench.create(&spec("web")).await;
    let blocked = bench.instance.state("containers").join("kept").join(format!("{web}.json.tmp"));
    std::fs::create_dir(&blocked).unwrap();
    bench.client.rename(&call(), "web", "site").await.unwrap_err();
    std::fs::remove_dir(&blocked).unwrap();
    assert_eq!(bench.inspect(&web).await.spec.name, "web");
    bench.create(&spec("site")).await;
    assert_eq!(bench.actions(&web).await, ["create"]);
}

#[actix::test]
async fn prefixes_find_one_container_and_empty_names_none() {
    let bench = Bench::new().await;
    assert_eq!(bench.client.inspect(&call(), "").await.unwrap_err().code, Code::NotFound);
    let ids = [bench.create(&spec("one")).await, bench.create(&spec("two")).await];
    for id in &ids {
        for length in [2, 12, 63, 64] {
            assert_eq!(bench.client.inspect(&call(), &id.as_str()[..length]).await.unwrap().id, *id);
        }
    }
    let common = (0..64).take_while(|length| ids[0].as_str()[..*length] == ids[1].as_str()[..*length]).last().unwrap();
    if common > 0 {
        let ambiguous = bench.client.inspect(&call(), &ids[0].as_str()[..common]).await.unwrap_err();
        assert_eq!(ambiguous.code, Code::Conflict);
    }
    // A name that is the beginning of an id is the name.
    let named = bench.create(&spec(&ids[0].as_str()[..4])).await;
    assert_eq!(bench.client.inspect(&call(), &ids[0].as_str()[..4]).await.unwrap().id, named);
    for nobody in ["", " ", "zz", &ids[0].as_str()[1..30]] {
        assert_eq!(bench.client.inspect(&call(), nobody).await.unwrap_err().code, Code::NotFound, "{nobody:?}");
        assert_eq!(bench.client.stop(&call(), nobody, 0).await.unwrap_err().code, Code::NotFound, "{nobody:?}");
    }
}

#[actix::test]
async fn events_tell_what_happened_since_and_wait_for_more() {
    let bench = Bench::new().await;
    let web = bench.run(&ContainerSpec { labels: vec!["team=me".to_owned()], ..spec("web") }).await;
    let first = bench.client.events(&call(), 0, 0, 0).await.unwrap();
    let seen: Vec<_> = first.events.iter().map(|event| (event.sequence, event.action.as_str())).collect();
    assert_eq!(seen, [(1, "create"), (2, "start")]);
    for attribute in ["name=web", "image=base", "team=me", "maker=image"] {
        assert!(first.events[1].attributes.contains(&attribute.to_owned()), "{:?}", first.events[1]);
    }
    let begun = Instant::now();
    let nothing = bench.client.events(&call(), first.next, 0, 300).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!((nothing.events.len(), nothing.next), (0, first.next));

    let (client, next) = (bench.another_client(), first.next);
    let waiting = actix::spawn(async move { client.events(&call(), next, 0, 30_000).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let now = kit::process::now();
    bench.world.end(&web, exit(6, 0));
    let told = waiting.await.unwrap().unwrap();
    assert_eq!((told.events[0].action.as_str(), told.events[0].sequence), ("die", 3));
    assert!(told.events[0].attributes.contains(&"exitCode=6".to_owned()));
    bench.client.wait(&call(), "web").await.unwrap();
    let since = bench.client.events(&call(), 0, now, 0).await.unwrap();
    assert_eq!(since.events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [3]);
}

#[actix::test]
async fn many_creates_and_runs_at_once_all_succeed() {
    let bench = Bench::new().await;
    let runs = (0..100).map(|number| {
        let client = bench.another_client();
        async move {
            let mut bytes = [0x11; 32];
            bytes[31] = number;
            let id = schema::ContainerId::from_bytes(bytes);
            client.create(&call(), &id, &spec("")).await?;
            client.start(&call(), id.as_str()).await
        }
    });
    let ran = futures::future::join_all(runs).await;
    let names: std::collections::BTreeSet<_> = ran.into_iter().map(|run| run.unwrap().spec.name).collect();
    assert_eq!(names.len(), 100);
    assert_eq!(bench.client.list(&call()).await.unwrap().len(), 100);
}
