//! What is kept, and what is removed when nobody needs it any more.

use crate::archive::Archive;
use crate::engine::{Engine, call, id, run};
use crate::sandbox::Sandbox;
use schema::common::{CheckReport, Layer, SandboxRef};
use schema::filesystem::{MountSpec, Names};
use std::fs;
use std::time::{Duration, Instant};

fn is_unpacked(engine: &Engine, layer: &Layer) -> bool {
    engine.state(&format!("layers/{}", layer.diff_id.hex())).exists()
}

/// Waits for something that comes by itself.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn check(engine: &Engine) -> CheckReport {
    engine.filesystem.check(&call(), false, &[]).await.unwrap()
}

#[test]
fn a_layer_goes_with_the_last_image_and_container_that_need_it() {
    run(async |engine| {
        let used = engine.layer(Archive::new().file("used", "x")).await;
        let other = engine.layer(Archive::new().file("other", "x")).await;
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, std::slice::from_ref(&used), &[]).await.unwrap();
        let second = Sandbox::new();
        engine.mount(2, &second, std::slice::from_ref(&other), &[]).await.unwrap();
        assert_eq!(check(engine).await.problems, []);
        // The images are gone, the containers are not.
        engine.remove_images().await;
        assert_eq!(check(engine).await.problems, []);
        assert!(is_unpacked(engine, &used) && is_unpacked(engine, &other));
        assert_eq!(sandbox.read("used"), "x");
        drop(second);
        engine.filesystem.release(&call(), &id(2)).await.unwrap();
        eventually("the layer that nobody needs is removed", || !is_unpacked(engine, &other)).await;
        assert!(is_unpacked(engine, &used));
        drop(sandbox);
        engine.filesystem.reconcile(&call(), &[]).await.unwrap();
        eventually("so is the other", || !is_unpacked(engine, &used)).await;
        let marks = engine.state("unsynced");
        eventually("and their marks", || fs::read_dir(&marks).unwrap().count() == 0).await;
        for directory in ["layers", "records", "containers", "chains"] {
            let names = fs::read_dir(engine.state(directory)).unwrap().map(|entry| entry.unwrap().file_name());
            // A store that is not synced remembers the boot.
            assert_eq!(names.filter(|name| name != "boot").count(), 0, "{directory}");
        }
    });
}

#[test]
fn a_layer_that_a_power_cut_may_have_torn_is_unpacked_again() {
    run(async |engine| {
        let layer = engine.layer(Archive::new().file("x", "whole")).await;
        let mark = engine.state(&format!("unsynced/{}", layer.diff_id.hex()));
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, std::slice::from_ref(&layer), &[]).await.unwrap();
        assert!(mark.exists(), "it is used before it is on the disk");
        // A process that ends takes nothing from it.
        let _fresh = engine.another().await;
        assert!(is_unpacked(engine, &layer));
        drop(sandbox);
        let torn = engine.state(&format!("layers/{}/x", layer.diff_id.hex()));
        fs::write(&torn, "").unwrap();
        fs::write(&mark, "another boot").unwrap();
        let fresh = engine.another().await;
        assert!(!is_unpacked(engine, &layer) && !mark.exists());
        let sandbox = Sandbox::new();
        let spec =
            MountSpec { layers: vec![layer.clone()], volumes: vec![], read_only: false, tmpfs: vec![], ids: None };
        fresh.mount(&call(), &id(2), &sandbox.reference, &spec).await.unwrap();
        assert_eq!(sandbox.read("x"), "whole");
        eventually("it gets to the disk", || !mark.exists()).await;
        assert!(is_unpacked(engine, &layer));
    });
}

#[test]
fn a_layer_that_was_removed_is_unpacked_again() {
    run(async |engine| {
        let layer = engine.layer(Archive::new().file("x", "x")).await;
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, std::slice::from_ref(&layer), &[]).await.unwrap();
        drop(sandbox);
        engine.filesystem.release(&call(), &id(1)).await.unwrap();
        engine.remove_images().await;
        eventually("it is removed", || !is_unpacked(engine, &layer)).await;
        let again = engine.layer(Archive::new().file("x", "x")).await;
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, &[again], &[]).await.unwrap();
        assert_eq!(sandbox.read("x"), "x");
    });
}

#[test]
fn what_is_not_as_it_was_unpacked_is_told() {
    run(async |engine| {
        let layer = engine.layer(Archive::new().directory("d").file("d/x", "x").file("y", "y")).await;
        let sandbox = Sandbox::new();
        engine.mount(1, &sandbox, std::slice::from_ref(&layer), &[]).await.unwrap();
        let whole = check(engine).await;
        assert_eq!((whole.examined, whole.problems), (3, vec![]));
        let path = engine.state(&format!("layers/{}", layer.diff_id.hex()));
        fs::remove_file(path.join("d/x")).unwrap();
        fs::create_dir(engine.state("layers/stranger")).unwrap();
        fs::create_dir(engine.state("containers/stranger")).unwrap();
        let problems = check(engine).await.problems;
        let objects: Vec<&str> = problems.iter().map(|problem| problem.object.as_str()).collect();
        assert_eq!(objects[0], format!("layer {}", layer.diff_id));
        assert!(objects[1].ends_with("layers/stranger") && objects[2].ends_with("containers/stranger"), "{objects:?}");
        assert!(problems.iter().all(|problem| !problem.hint.is_empty()));
        fs::remove_file(engine.state(&format!("records/{}.json", layer.diff_id.hex()))).unwrap();
        assert!(check(engine).await.problems[0].message.contains("no record"));
    });
}

#[test]
fn a_damaged_layer_is_unpacked_anew_when_nobody_runs_on_it_and_its_blob_is_there() {
    run(async |engine| {
        let layer = engine.layer(Archive::new().file("x", "x").file("y", "y")).await;
        let mut sandbox = Sandbox::new();
        engine.mount(1, &sandbox, std::slice::from_ref(&layer), &[]).await.unwrap();
        let repair = async |running: &[_]| engine.filesystem.check(&call(), true, running).await.unwrap();
        let path = engine.state(&format!("layers/{}", layer.diff_id.hex()));
        fs::remove_file(path.join("x")).unwrap();
        // Its sandbox lives; or it is told to run, though that is not seen.
        let used = repair(&[]).await;
        assert!(used.problems[0].message.contains(id(1).short()), "{used:?}");
        let SandboxRef { pid, start_time } = sandbox.reference;
        drop(sandbox);
        eventually("the sandbox is gone", || !kit::process::is_alive(pid, start_time)).await;
        let used = repair(&[id(1)]).await;
        assert!(used.problems[0].hint.contains("cctl stop"), "{used:?}");
        assert!(path.join("y").exists());
        // What could not be unpacked again stays.
        let blob = engine.image_store(&format!("blobs/sha256/{}", layer.digest.hex()));
        fs::rename(&blob, blob.with_extension("away")).unwrap();
        let lost = repair(&[]).await;
        assert!(lost.repaired.is_empty() && lost.problems.len() == 1, "{lost:?}");
        fs::rename(blob.with_extension("away"), &blob).unwrap();
        let report = repair(&[]).await;
        assert_eq!((report.problems, report.repaired.len()), (vec![], 1));
        assert!(!path.exists());
        sandbox = Sandbox::new();
        engine.mount(1, &sandbox, std::slice::from_ref(&layer), &[]).await.unwrap();
        assert_eq!(sandbox.read("x"), "x");
        assert_eq!(check(engine).await.problems, []);
    });
}

#[test]
fn the_hosts_name_servers_are_followed_while_containers_run() {
    run(async |engine| {
        let layers = [engine.layer(Archive::new().directory("etc")).await];
        let (sandbox, own) = (Sandbox::new(), Sandbox::new());
        engine.mount(1, &sandbox, &layers, &[]).await.unwrap();
        engine.mount(2, &own, &layers, &[]).await.unwrap();
        fs::write(engine.resolver_file(), "nameserver 10.0.0.1\nsearch a.org\n").unwrap();
        let names = |nameservers: &[&str]| Names {
            hostname: "x".to_owned(),
            hosts: vec![],
            nameservers: nameservers.iter().map(|server| (*server).to_owned()).collect(),
            search: vec![],
        };
        engine.filesystem.set_names(&call(), &id(1), &names(&[])).await.unwrap();
        engine.filesystem.set_names(&call(), &id(2), &names(&["192.0.2.1"])).await.unwrap();
        assert_eq!(sandbox.read("etc/resolv.conf"), "nameserver 10.0.0.1\nsearch a.org\n");
        let next = engine.resolver_file().with_extension("new");
        fs::write(&next, "nameserver 10.0.0.2\nsearch b.org\n").unwrap();
        fs::rename(&next, engine.resolver_file()).unwrap();
        let read = || sandbox.read("etc/resolv.conf");
        eventually("the change is seen inside", || read() == "nameserver 10.0.0.2\nsearch b.org\n").await;
        eventually("domains are followed", || own.read("etc/resolv.conf") == "search b.org\nnameserver 192.0.2.1\n")
            .await;
    });
}
