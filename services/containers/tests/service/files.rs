//! A look into the files of a container, and into what is stored of all.

use crate::support::executor::exit;
use crate::support::world::Moment;
use crate::support::{Bench, call, spec};
use schema::filesystem::{ArchiveRequest, ExtractRequest, FileKind};
use schema::{Code, Failure};

#[actix::test]
async fn files_are_looked_at_where_they_are() {
    let bench = Bench::new().await;
    let web = bench.create(&spec("web")).await;
    let sandbox = || bench.world.places.borrow()[&web].sandbox;
    let request = ArchiveRequest { path: "/".to_owned(), export: true, by_path: false };
    for runs in [false, true, false] {
        if runs {
            bench.client.start(&call(), "web").await.unwrap();
        }
        assert_eq!(bench.client.changes(&call(), "web", b"", 0).await.unwrap().changes[0].path, b"/new");
        // The sandbox is named by its monitor; that of a fake executor does not live, and so is not named.
        assert_eq!((sandbox(), bench.world.places.borrow()[&web].layers.len()), (None, 1));
        let part = bench.client.archive(&call(), "web", &request, b"", 1 << 20).await.unwrap();
        assert_eq!((part.data.as_slice(), part.ended), (&b"tar"[..], false));
        assert!(bench.client.archive(&call(), "web", &request, &part.next, 1 << 20).await.unwrap().ended);
        assert_eq!(bench.client.stat(&call(), "web", "/new").await.unwrap().kind, FileKind::File);
        let upload = ExtractRequest { path: "/".to_owned(), upload: "none".to_owned(), keep_owner: false };
        assert_eq!(bench.client.extract(&call(), "web", &upload).await.unwrap_err().code, Code::NotFound);
        assert_eq!(bench.client.usage(&call(), "web").await.unwrap().bytes, 4096);
        if runs {
            bench.client.stop(&call(), "web", 5000).await.unwrap();
        }
    }
    assert_eq!(bench.client.stat(&call(), "nope", "/").await.unwrap_err().code, Code::NotFound);
}

#[actix::test]
async fn what_is_used_is_told_of_what_runs() {
    let bench = Bench::new().await;
    let web = bench.create(&spec("web")).await;
    assert_eq!(bench.client.stats(&call(), "web").await.unwrap_err().code, Code::Conflict);
    assert_eq!(bench.client.top(&call(), "web").await.unwrap_err().code, Code::Conflict);
    bench.client.start(&call(), "web").await.unwrap();
    assert_eq!(bench.client.stats(&call(), "web").await.unwrap().pids, 3);
    assert_eq!(bench.client.top(&call(), "web").await.unwrap()[0].command, "sh");
    bench.client.pause(&call(), "web").await.unwrap();
    assert_eq!(bench.client.top(&call(), "web").await.unwrap().len(), 1);
    bench.world.end(&web, exit(0, 0));
    bench.client.wait(&call(), "web").await.unwrap();
    assert_eq!(bench.client.stats(&call(), "web").await.unwrap_err().code, Code::Conflict);
}

#[actix::test]
async fn an_image_is_held_as_long_as_its_container() {
    let mut bench = Bench::new().await;
    let holds = |id: &schema::ContainerId| bench.world.images.borrow().contains_key(id.as_str());
    let web = bench.create(&spec("web")).await;
    assert!(holds(&web));
    let taken = bench.client.create(&call(), &crate::support::id(), &spec("web")).await.unwrap_err();
    assert_eq!((taken.code, bench.world.images.borrow().len()), (Code::AlreadyExists, 1));
    let stray = crate::support::id();
    bench.world.images.borrow_mut().insert(stray.to_string(), "another".to_owned());
    bench.world.images.borrow_mut().remove(web.as_str());
    bench.service.restart();
    bench
        .eventually("leases are as the records say", async || bench.world.images.borrow().contains_key(web.as_str()))
        .await;
    assert_eq!(bench.world.images.borrow().len(), 1);
    bench.client.start(&call(), "web").await.unwrap();
    bench.client.remove(&call(), "web", true).await.unwrap();
    bench.assert_nothing_left().await;
}

#[actix::test]
async fn a_container_starts_without_the_image_store() {
    let bench = Bench::new().await;
    bench.create(&spec("web")).await;
    for step in ["image-store.lease", "image-store.resolve"] {
        bench.world.fail(step, Failure::not_found("its last name was taken from the image"));
    }
    bench.client.start(&call(), "web").await.unwrap();
}

#[actix::test]
async fn a_check_names_what_is_damaged() {
    let mut bench = Bench::new().await;
    bench.run(&spec("good")).await;
    let bad = bench.create(&spec("bad")).await;
    let whole = bench.client.check(&call(), false).await.unwrap();
    assert_eq!((whole.problems.len(), whole.problems[0].object.as_str()), (1, "layer 1"));
    assert!(whole.examined > 7 && whole.bytes > 70, "{whole:?}");
    let file = bench.instance.state("containers").join("kept").join(format!("{bad}.json"));
    std::fs::write(&file, "junk").unwrap();
    for _ in 0..2 {
        let found = bench.client.check(&call(), false).await.unwrap();
        let object = format!("record of container {bad}");
        let problem = found.problems.iter().find(|problem| problem.object == object);
        assert!(problem.is_some_and(|problem| !problem.hint.is_empty()), "{found:?}");
        bench.service.restart();
    }
    // It has read all, and is not in the middle of it.
    bench.client.list(&call()).await.unwrap();
    let events = bench.instance.state("containers").join("events/new.jsonl");
    std::fs::write(&events, std::fs::read_to_string(&events).unwrap().replacen("create", "crEate", 1)).unwrap();
    let found = bench.client.check(&call(), false).await.unwrap();
    assert!(found.problems.iter().any(|problem| problem.object.contains("new.jsonl")), "{found:?}");
}

#[actix::test]
async fn a_repair_writes_anew_what_is_known_and_has_images_kept() {
    let mut bench = Bench::new().await;
    let good = bench.run(&spec("good")).await;
    let events = bench.instance.state("containers").join("events/new.jsonl");
    std::fs::write(&events, std::fs::read_to_string(&events).unwrap().replacen("create", "crEate", 1)).unwrap();
    let state = bench.instance.state("containers");
    let boot = state.join(bench.boot_directory());
    for directory in [state.join("kept"), boot] {
        std::fs::write(directory.join(format!("{good}.json")), "junk").unwrap();
    }
    bench.world.images.borrow_mut().clear();
    let found = bench.client.check(&call(), false).await.unwrap();
    assert_eq!(found.problems.len(), 5, "{found:?}");
    let mended = bench.client.check(&call(), true).await.unwrap();
    assert_eq!(mended.problems, []);
    assert_eq!(mended.repaired.len(), found.problems.len(), "{mended:?}");
    assert_eq!(mended.kept.len(), 1, "{mended:?}");
    assert!(bench.world.images.borrow().contains_key(good.as_str()));
    bench.service.restart();
    assert_eq!(bench.client.inspect(&call(), "good").await.unwrap().id, good);
    assert_eq!(bench.client.check(&call(), true).await.unwrap().problems, []);
}

#[actix::test]
async fn what_belongs_to_nobody_and_what_a_container_lacks_is_named() {
    let bench = Bench::new().await;
    let web = bench.run(&spec("web")).await;
    let nobody = crate::support::id();
    bench.world.leases.borrow_mut().insert(nobody.clone());
    bench.world.logs.borrow_mut().insert(nobody.clone());
    bench.world.leases.borrow_mut().remove(&web);
    let told = |problems: &[schema::common::Problem], id: &schema::ContainerId| {
        problems.iter().filter(|problem| problem.object.contains(id.short())).count()
    };
    let found = bench.client.check(&call(), false).await.unwrap();
    assert_eq!((told(&found.problems, &nobody), told(&found.problems, &web)), (2, 1), "{found:?}");
    let mended = bench.client.check(&call(), true).await.unwrap();
    assert_eq!((told(&mended.repaired, &nobody), told(&mended.problems, &web)), (2, 1), "{mended:?}");
    assert!(!bench.world.leases.borrow().contains(&nobody) && !bench.world.logs.borrow().contains(&nobody));
    let events = bench.client.events(&call(), 0, 0, 0).await.unwrap().events;
    assert_eq!(events.iter().filter(|event| event.action == "orphan" && event.container == nobody).count(), 2);
}

#[actix::test]
async fn a_create_that_is_cut_off_holds_no_image() {
    let mut bench = Bench::new().await;
    bench.world.set_trap("image-store.lease", Moment::After);
    let client = bench.another_client();
    let creating = actix::spawn(async move { client.create(&call(), &crate::support::id(), &spec("web")).await });
    bench.world.trapped().await;
    creating.abort();
    bench.service.restart();
    bench.eventually("the lease is given back", async || bench.world.images.borrow().is_empty()).await;
    bench.assert_nothing_left().await;
}
