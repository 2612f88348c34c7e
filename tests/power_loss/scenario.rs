//! What a user does until the power goes, and what must be there afterwards.

use harness::{Instance, Registry};
use std::collections::BTreeMap;

/// What a user knows to be there.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// Names of images, with their ids.
    pub(crate) images: BTreeMap<String, String>,
    pub(crate) containers: BTreeMap<String, Known>,
}

/// A container that a user knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: String,
    /// The states, with their exit codes, that it may have after a restart of the host.
    pub(crate) later: &'static [&'static str],
}

/// It was made, and not started.
const CREATED: &[&str] = &["created 0"];
/// It ran when the host went down, as far as the disk knows.
pub(crate) const RAN: &[&str] = &["exited -1"];
/// It runs again, or is about to.
const RUNS_AGAIN: &[&str] = &["running 0", "restarting -1", "running -1"];

/// One command, or few that are one for a user.
pub(crate) type Step = (&'static str, Act);
/// Does it, and notes what is to be there.
pub(crate) type Act = Box<dyn Fn(&Instance, &mut World)>;

/// Commands that touch every kind of record.
pub(crate) fn steps(registry: &Registry, archive: Vec<u8>) -> Vec<Step> {
    let remote = format!("{}/one", registry.name());
    let mut steps: Vec<Step> = Vec::new();
    let mut step = |name: &'static str, act: Act| steps.push((name, act));
    step(
        "import",
        Box::new(move |cctl, world| {
            let id = cctl.cctl_with_input(&["import", "-", "one"], &archive).ok();
            world.images.insert("one:latest".into(), id);
        }),
    );
    step(
        "tag",
        Box::new(|cctl, world| {
            cctl.cctl(&["tag", "one", "two:v2"]).ok();
            world.images.insert("two:v2".into(), world.images["one:latest"].clone());
        }),
    );
    step(
        "create",
        Box::new(|cctl, world| made(cctl, world, "made", CREATED, &["create", "--name", "made", "one", "true"])),
    );
    step(
        "run",
        Box::new(|cctl, world| {
            let write = "echo new > /written; mkdir /d; echo x > /d/x; rm -r /data; exit 3";
            let output = cctl.cctl(&["run", "--name", "ran", "one", "sh", "-c", write]);
            assert_eq!(output.code, 3, "{output:?}");
            know(cctl, world, "ran", &["exited 3"]);
        }),
    );
    step(
        "commit",
        Box::new(|cctl, world| {
            let id = cctl.cctl(&["commit", "ran", "three"]).ok();
            world.images.insert("three:latest".into(), id);
        }),
    );
    step(
        "run -d",
        Box::new(|cctl, world| {
            made(cctl, world, "runs", RAN, &["run", "-d", "--name", "runs", "-p", "80", "one", "sleep", "600"])
        }),
    );
    step(
        "run --restart",
        Box::new(|cctl, world| {
            let command = ["run", "-d", "--restart", "always", "--name", "always", "three", "sleep", "600"];
            made(cctl, world, "always", RUNS_AGAIN, &command);
        }),
    );
    step(
        "rename",
        Box::new(|cctl, world| {
            cctl.cctl(&["rename", "made", "renamed"]).ok();
            let known = world.containers.remove("made").unwrap();
            world.containers.insert("renamed".into(), known);
        }),
    );
    step(
        "push",
        Box::new(move |cctl, world| {
            cctl.cctl(&["tag", "three", &remote]).ok();
            cctl.cctl(&["push", "-q", &remote]).ok();
            world.images.insert(format!("{remote}:latest"), world.images["three:latest"].clone());
        }),
    );
    let remote = format!("{}/one", registry.name());
    step(
        "start",
        Box::new(|cctl, world| {
            cctl.cctl(&["start", "-a", "renamed"]).ok();
            know(cctl, world, "renamed", &["exited 0"]);
        }),
    );
    step(
        "stop",
        Box::new(|cctl, world| {
            cctl.cctl(&["stop", "-t", "0", "runs"]).ok();
            know(cctl, world, "runs", &["exited 137"]);
        }),
    );
    step(
        "run --rm",
        Box::new(|cctl, _| {
            cctl.cctl(&["run", "--rm", "--name", "gone", "two:v2", "true"]).ok();
        }),
    );
    step(
        "rm",
        Box::new(|cctl, world| {
            cctl.cctl(&["rm", "ran"]).ok();
            world.containers.remove("ran");
        }),
    );
    step(
        "rm -f",
        Box::new(|cctl, world| {
            cctl.cctl(&["rm", "-f", "always"]).ok();
            world.containers.remove("always");
        }),
    );
    step(
        "rmi",
        Box::new(move |cctl, world| {
            cctl.cctl(&["rmi", &remote, "three"]).ok();
            world.images.retain(|name, _| name != "three:latest" && !name.contains('/'));
        }),
    );
    let remote = format!("{}/one", registry.name());
    step(
        "pull",
        Box::new(move |cctl, world| {
            cctl.cctl(&["pull", "-q", &remote]).ok();
            let id = cctl.cctl(&["images", "--no-trunc", "-q", &remote]).ok();
            world.images.insert(format!("{remote}:latest"), id);
        }),
    );
    step(
        "save and load",
        Box::new(|cctl, world| {
            let saved = cctl.command(&["save", "one"]).output().unwrap();
            assert!(saved.status.success(), "{saved:?}");
            cctl.cctl(&["rmi", "two:v2"]).ok();
            world.images.remove("two:v2");
            cctl.cctl_with_input(&["load"], &saved.stdout).ok();
        }),
    );
    step(
        "run from it",
        Box::new(|cctl, world| made(cctl, world, "last", RAN, &["run", "-d", "--name", "last", "one", "sleep", "600"])),
    );
    steps
}

fn made(cctl: &Instance, world: &mut World, name: &str, later: &'static [&'static str], command: &[&str]) {
    let id = cctl.cctl(command).ok();
    world.containers.insert(name.to_owned(), Known { id, later });
}

fn know(cctl: &Instance, world: &mut World, name: &str, later: &'static [&'static str]) {
    let id = cctl.cctl(&["inspect", "--format", "{{.Id}}", name]).ok();
    world.containers.insert(name.to_owned(), Known { id, later });
}
