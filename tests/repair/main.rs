//! `cctl system check --repair`: what is damaged is mended, whoever is killed meanwhile; what cannot be is said.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use harness::{Instance, Output, Registry};
use std::fs;
use std::path::{Path, PathBuf};

/// An instance with the image `base` of a registry, pulled, and the size of its layers is not nothing.
fn pulled(registry: &Registry) -> Instance {
    let cctl = Instance::start_with_registry(registry);
    cctl.cctl(&["pull", "-q", "base"]).ok();
    cctl
}

fn check(cctl: &Instance) -> Output {
    cctl.cctl(&["system", "check"])
}

/// Repairs, and finds all whole then.
fn repair(cctl: &Instance) -> String {
    let repaired = cctl.cctl(&["system", "check", "--repair"]);
    assert_eq!(repaired.code, 0, "{repaired:?}");
    let whole = check(cctl);
    assert!(whole.code == 0 && whole.stdout.matches("all whole").count() == 2, "{whole:?}");
    repaired.stdout
}

fn echo(cctl: &Instance) {
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "whole"]).ok(), "whole");
}

/// The files of a directory, the largest first.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file() && path.file_name().unwrap() != "boot");
    files.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    files
}

fn blobs(cctl: &Instance) -> Vec<PathBuf> {
    files(&cctl.root().join("image-store/blobs/sha256"))
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(path, bytes).unwrap();
}

#[test]
fn every_damaged_or_missing_blob_is_pulled_again() {
    let registry = Registry::start();
    let cctl = pulled(&registry);
    cctl.cctl(&["run", "-d", "--name", "other", "base", "sleep", "600"]).ok();
    let id = cctl.cctl(&["images", "-q", "--no-trunc"]).ok();
    let all = blobs(&cctl);
    assert_eq!(all.len(), 3, "a layer, a configuration and a manifest");
    for blob in &all {
        let name = blob.file_name().unwrap().to_string_lossy().into_owned();
        for damage in
            [flip, |path| fs::write(path, "").unwrap(), |path| fs::remove_file(path).unwrap()] as [fn(&Path); 3]
        {
            damage(blob);
            let found = check(&cctl);
            assert!(found.code == 1 && found.stdout.contains(&name), "{found:?}");
            assert!(found.stdout.contains("--repair"), "it says what to do: {found:?}");
            let told = repair(&cctl);
            assert!(told.contains("repaired: ") && told.contains(&name), "{told}");
            assert_eq!(cctl.cctl(&["images", "-q", "--no-trunc"]).ok(), id);
        }
        // What was damaged is kept, and who does not want it is told how to remove it.
        let kept = cctl.root().join("image-store/blobs/damaged").join(&name);
        let whole = check(&cctl).ok();
        assert!(kept.exists() && whole.contains(&format!("rm {}", kept.display())), "{whole}");
    }
    let state = cctl.cctl(&["inspect", "--format", "{{.State.Status}}", "other"]).ok();
    assert_eq!(state, "running");
    cctl.cctl(&["rm", "-f", "other"]).ok();
    echo(&cctl);
}

#[test]
fn a_damaged_layer_is_unpacked_anew_once_no_container_runs_on_it() {
    let registry = Registry::start();
    let cctl = pulled(&registry);
    cctl.cctl(&["run", "-d", "--name", "user", "base", "sleep", "600"]).ok();
    let id = cctl.cctl(&["inspect", "--format", "{{.Id}}", "user"]).ok();
    let layer = fs::read_dir(cctl.root().join("filesystem/layers")).unwrap().next().unwrap().unwrap().path();
    let victim = layer.join("bin/busybox");
    assert!(victim.is_file(), "{}", victim.display());
    fs::remove_file(layer.join("etc/passwd")).unwrap();
    assert_eq!(check(&cctl).code, 1);
    let used = cctl.cctl(&["system", "check", "--repair"]);
    assert!(used.code == 1 && used.stdout.contains(&format!("cctl stop {}", &id[..12])), "{used:?}");
    assert!(victim.is_file(), "what runs on it goes on");
    assert_eq!(cctl.cctl(&["exec", "user", "echo", "on"]).ok(), "on");
    cctl.cctl(&["stop", "-t", "0", "user"]).ok();
    let told = repair(&cctl);
    assert!(told.contains("repaired: layer"), "{told}");
    cctl.cctl(&["start", "user"]).ok();
    assert!(cctl.cctl(&["exec", "user", "cat", "/etc/passwd"]).ok().contains("root"));
    assert_eq!(check(&cctl).code, 0);
}

#[test]
fn records_of_images_come_back_with_their_names_and_what_containers_keep() {
    let registry = Registry::start();
    let cctl = pulled(&registry);
    cctl.cctl(&["run", "-d", "--name", "user", "base", "sleep", "600"]).ok();
    let store = cctl.root().join("image-store");
    let form = "{{.Repository}}:{{.Tag}} {{.Digest}} {{.ID}}";
    let listed = || cctl.cctl(&["images", "--digests", "--no-trunc", "--format", form]).ok();
    let images = listed();
    for restart in [false, true] {
        for damage in [flip, |path| fs::write(path, "").unwrap()] as [fn(&Path); 2] {
            let record = files(&store.join("images")).remove(0);
            damage(&record);
            if restart {
                // It is made again of its blobs at start.
                cctl.kill_service("image-store");
            } else {
                assert_eq!(check(&cctl).code, 1);
            }
            repair(&cctl);
            echo(&cctl);
            cctl.cctl(&["rmi", "base"]).fails(1, &["used by container"]);
            // Where it came from is known to its record alone: the blobs do not say.
            cctl.cctl(&["pull", "-q", "base"]).ok();
        }
    }
    assert_eq!(listed(), images);
    // With its manifest and configuration gone, too, it is pulled: its record says from where.
    flip_header(&files(&store.join("images")).remove(0));
    for blob in blobs(&cctl).into_iter().skip(1) {
        fs::remove_file(blob).unwrap();
    }
    cctl.kill_service("image-store");
    assert_eq!(cctl.cctl(&["images", "-q"]).ok(), "");
    let lost = check(&cctl);
    assert!(lost.code == 1 && lost.stdout.contains("record image") && lost.stdout.contains("--repair"), "{lost:?}");
    let told = repair(&cctl);
    assert!(told.contains("it was pulled"), "{told}");
    assert_eq!(listed(), images);
    cctl.cctl(&["rmi", "base"]).fails(1, &["used by container"]);
    echo(&cctl);
}

/// Damages what a record says of itself, and leaves what it says of its image.
fn flip_header(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_came_from_no_registry_cannot_be_pulled_and_says_so() {
    let cctl = Instance::start();
    let layer = blobs(&cctl).remove(0);
    flip(&layer);
    for _ in 0..2 {
        let repaired = cctl.cctl(&["system", "check", "--repair"]);
        assert_eq!(repaired.code, 1, "{repaired:?}");
        assert!(repaired.stdout.contains("no registry is known to have it"), "{repaired:?}");
        assert!(repaired.stdout.contains("import"), "{repaired:?}");
    }
    cctl.cctl(&["run", "--rm", "base", "true"]).fails(125, &["no such blob"]);
    // The same archive has the same layer.
    cctl.cctl_with_input(&["import", "-", "again"], harness::base_image()).ok();
    repair(&cctl);
    echo(&cctl);
}

#[test]
fn a_registry_that_is_away_leaves_the_problem_and_a_later_repair_finishes() {
    let mut registry = Registry::start();
    let cctl = pulled(&registry);
    flip(&blobs(&cctl)[0]);
    registry.stop();
    let away = cctl.cctl(&["system", "check", "--repair"]);
    assert!(away.code == 1 && away.stderr.contains(&registry.name()), "{away:?}");
    assert!(away.stdout.contains("1 problem"), "{away:?}");
    registry.restart();
    repair(&cctl);
    echo(&cctl);
}

#[test]
fn whoever_is_killed_meanwhile_a_repair_is_finished_by_itself_or_the_next() {
    let registry = Registry::start();
    let cctl = pulled(&registry);
    for service in ["image-store", "containers", "filesystem"] {
        let (mut record, layers) =
            (files(&cctl.root().join("image-store/images")), cctl.root().join("filesystem/layers"));
        echo(&cctl);
        let layer = fs::read_dir(&layers).unwrap().next().unwrap().unwrap().path();
        fs::remove_file(layer.join("etc/passwd")).unwrap();
        flip(&record.remove(0));
        blobs(&cctl).iter().for_each(|blob| flip(blob));
        let repairing = cctl.spawn_with_input(&["system", "check", "--repair"]);
        cctl.kill_service(service);
        cctl.kill_service(service);
        let repaired: Output = repairing.wait_with_output().unwrap().into();
        assert!(repaired.code <= 1, "{repaired:?}");
        repair(&cctl);
        echo(&cctl);
    }
}

#[test]
fn what_belongs_to_no_container_is_named_and_removed_and_told() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "user", "-p", "8080", "base", "sleep", "600"]).ok();
    let user = cctl.cctl(&["inspect", "--format", "{{.Id}}", "user"]).ok();
    assert_eq!(check(&cctl).code, 0);
    let orphan = "0123456789abcdef".repeat(4);
    let places = [
        ("filesystem", cctl.root().join("filesystem/containers").join(&orphan)),
        ("executor", cctl.runtime().join("sandboxes").join(&orphan)),
        ("log-collector", cctl.root().join("log-collector").join(&orphan)),
    ];
    for (service, place) in &places {
        fs::create_dir(place).unwrap();
        if *service == "log-collector" {
            // It knows its logs since its start.
            cctl.kill_service(service);
        }
        let found = check(&cctl);
        assert!(found.code == 1 && found.stdout.contains(&orphan[..12]), "{service}: {found:?}");
        repair(&cctl);
        assert!(!place.exists(), "{}", place.display());
    }
    let form = ["events", "--since", "10m", "--until", "0s", "--filter", "event=orphan", "--format", "json"];
    let told = cctl.cctl(&form).ok();
    assert!(told.contains(&orphan) && told.contains("log-collector") && told.contains("filesystem"), "{told}");
    // What is in the kernel is known to the network, and written anew.
    flip(&cctl.root().join("network/leases").join(format!("{user}.json")));
    let found = check(&cctl);
    assert!(found.code == 1 && found.stdout.contains(&user[..12]), "{found:?}");
    repair(&cctl);
    cctl.kill_service("network");
    assert_eq!(cctl.cctl(&["port", "user"]).ok().lines().count(), 2);
    assert_eq!(check(&cctl).code, 0);
}

#[test]
fn a_lost_record_is_an_event() {
    let cctl = Instance::start();
    cctl.cctl(&["create", "--name", "bad", "base", "true"]).ok();
    let id = cctl.cctl(&["inspect", "--format", "{{.Id}}", "bad"]).ok();
    fs::write(cctl.root().join("containers/kept").join(format!("{id}.json")), "junk").unwrap();
    cctl.kill_service("containers");
    let form = ["events", "--since", "10m", "--until", "0s", "--filter", "event=damage", "--format", "{{.ID}}"];
    assert_eq!(cctl.cctl(&form).ok(), id);
    let found = cctl.cctl(&["system", "check", "--repair"]);
    assert!(found.code == 1 && found.stdout.contains(&format!("cctl rm -f {}", &id[..12])), "{found:?}");
    cctl.cctl(&["rm", "-f", &id]).ok();
    assert_eq!(check(&cctl).code, 0);
}
