//! `pull` and `push` against a real registry.

use crate::{digest, instance};
use harness::{Instance, Registry, eventually};
use std::fs;

#[test]
fn what_is_pushed_is_what_is_pulled() {
    let registry = Registry::start();
    let cctl = instance(&registry);
    cctl.cctl(&["run", "--name", "box", "base", "sh", "-c", "echo shared > /file"]).ok();
    cctl.cctl(&["commit", "-m", "Shared", "box", "user/betterbase"]).ok();
    cctl.cctl(&["rm", "box"]).ok();
    let pushed = cctl.cctl(&["push", "user/betterbase"]).ok();
    assert!(pushed.contains("latest: digest: sha256:"), "{pushed}");
    let id = cctl.cctl(&["images", "-q", "--no-trunc", "user/betterbase"]).ok();
    cctl.cctl(&["rmi", "user/betterbase"]).ok();
    let pulled = cctl.cctl(&["pull", "user/betterbase"]).ok();
    assert!(pulled.contains("Status: Downloaded newer image for user/betterbase:latest"), "{pulled}");
    assert!(pulled.contains(&digest(&pushed)), "{pulled}");
    assert_eq!(cctl.cctl(&["images", "-q", "--no-trunc", "user/betterbase"]).ok(), id);
    assert_eq!(cctl.cctl(&["run", "--rm", "user/betterbase", "cat", "/file"]).ok(), "shared");
    let again = cctl.cctl(&["pull", "user/betterbase"]).ok();
    assert!(again.contains("Status: Image is up to date for user/betterbase:latest"), "{again}");
    // By digest, and every tag.
    cctl.cctl(&["tag", "user/betterbase", "user/betterbase:other"]).ok();
    cctl.cctl(&["push", "-a", "user/betterbase"]).ok();
    cctl.cctl(&["rmi", "user/betterbase", "user/betterbase:other"]).ok();
    cctl.cctl(&["pull", "-q", &format!("user/betterbase@{}", digest(&pushed))]).ok();
    cctl.cctl(&["pull", "-a", "user/betterbase"]).ok();
    assert_eq!(
        cctl.cctl(&["images", "user/betterbase", "--format", "{{.Tag}}"])
            .ok()
            .lines()
            .filter(|tag| *tag != "<none>")
            .count(),
        2
    );
}

#[test]
fn run_brings_an_image_that_is_missing() {
    let registry = Registry::start();
    let cctl = Instance::start_with_registry(&registry);
    let run = cctl.cctl(&["run", "--rm", "base", "echo", "here"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "here\n"), "{run:?}");
    assert!(run.stderr.contains("Unable to find image 'base:latest' locally"), "{run:?}");
    cctl.cctl(&["rmi", "base"]).ok();
    cctl.cctl(&["run", "--pull", "never", "--rm", "base", "true"]).fails(125, &["base"]);
    let missing = cctl.cctl(&["run", "--rm", "no/such", "true"]);
    assert_eq!(missing.code, 125, "{missing:?}");
    assert!(missing.stderr.contains("no/such"), "{missing:?}");
    assert_eq!(cctl.cctl(&["ps", "-aq"]).ok(), "");
}

#[test]
fn a_registry_that_is_away_or_lies_changes_nothing() {
    let mut registry = Registry::start();
    let cctl = Instance::start_with_registry(&registry);
    // A flipped byte in a layer.
    let layers = blobs(&registry);
    let largest = layers.iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(largest, &bytes).unwrap();
    let flipped = cctl.cctl(&["pull", "base"]);
    assert_eq!(flipped.code, 1, "{flipped:?}");
    assert!(flipped.stderr.contains("sha256:"), "{flipped:?}");
    assert_eq!(cctl.cctl(&["images", "-aq"]).ok(), "");
    bytes[middle] ^= 1;
    fs::write(largest, &bytes).unwrap();
    cctl.cctl(&["pull", "-q", "base"]).ok();
    cctl.cctl(&["rmi", "base"]).ok();
    registry.stop();
    let away = cctl.cctl(&["pull", "base"]);
    assert_eq!(away.code, 1, "{away:?}");
    assert!(away.stderr.contains(&registry.name()), "{away:?}");
    assert_eq!(cctl.cctl(&["system", "check"]).code, 0);
}

fn blobs(registry: &Registry) -> Vec<std::path::PathBuf> {
    let directory = registry.storage().join("docker/registry/v2/blobs/sha256");
    let below =
        |path: &std::path::Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    below(&directory).iter().flat_map(|prefix| below(prefix)).map(|blob| blob.join("data")).collect()
}

#[test]
fn a_pull_goes_on_through_every_death_of_the_image_store() {
    let registry = Registry::start();
    let cctl = instance(&registry);
    // Some megabytes that do not compress, in three layers.
    let mut name = "base".to_owned();
    for layer in 0..3 {
        cctl.cctl(&[
            "run",
            "--name",
            "box",
            &name,
            "sh",
            "-c",
            &format!("dd if=/dev/urandom of=/big{layer} bs=1M count=12 2>/dev/null"),
        ])
        .ok();
        name = format!("big:{layer}");
        cctl.cctl(&["commit", "box", &name]).ok();
        cctl.cctl(&["rm", "box"]).ok();
    }
    let sums = cctl.cctl(&["run", "--rm", "big:2", "sh", "-c", "sha256sum /big*"]).ok();
    let push = cctl.spawn_with_input(&["push", "big:2"]);
    cctl.kill_service("image-store");
    let push: harness::Output = push.wait_with_output().unwrap().into();
    assert_eq!(push.code, 0, "{push:?}");
    cctl.cctl(&["rmi", "big:0", "big:1", "big:2"]).ok();
    for _ in 0..3 {
        let pull = cctl.spawn_with_input(&["pull", "big:2"]);
        cctl.kill_service("image-store");
        cctl.kill_service("image-store");
        let pull: harness::Output = pull.wait_with_output().unwrap().into();
        assert_eq!(pull.code, 0, "{pull:?}");
        assert_eq!(cctl.cctl(&["run", "--rm", "big:2", "sh", "-c", "sha256sum /big*"]).ok(), sums);
        let check = cctl.cctl(&["system", "check"]);
        assert_eq!(check.code, 0, "{check:?}");
        cctl.cctl(&["rmi", "big:2"]).ok();
    }
}

#[test]
fn a_client_that_is_interrupted_leaves_nothing_half_made() {
    let registry = Registry::start();
    let cctl = instance(&registry);
    cctl.cctl(&["run", "--name", "box", "base", "sh", "-c", "dd if=/dev/urandom of=/big bs=1M count=60 2>/dev/null"])
        .ok();
    cctl.cctl(&["commit", "box", "big"]).ok();
    cctl.cctl(&["rm", "box"]).ok();
    cctl.cctl(&["push", "-q", "big"]).ok();
    cctl.cctl(&["rmi", "big"]).ok();
    let mut pull = cctl.spawn_with_input(&["pull", "big"]);
    eventually("it has begun", || {
        let blobs = cctl.root().join("image-store");
        (size(&blobs) > 10 << 20).then_some(())
    });
    let pid = rustix::process::Pid::from_raw(i32::try_from(pull.id()).unwrap()).unwrap();
    // It may have been faster than we are.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    let code = pull.wait().unwrap();
    if code.code() != Some(0) {
        assert_eq!(code.code(), Some(130));
        assert_eq!(cctl.cctl(&["images", "-q", "big"]).ok(), "");
    }
    cctl.cctl(&["pull", "-q", "big"]).ok();
    assert_eq!(cctl.cctl(&["system", "check"]).code, 0);
}

fn size(path: &std::path::Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(
            |entry| {
                if entry.path().is_dir() {
                    size(&entry.path())
                } else {
                    entry.metadata().map_or(0, |facts| facts.len())
                }
            },
        )
        .sum()
}
