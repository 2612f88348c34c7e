//! Whether an instance that comes up after a power cut is as it must be.

use crate::scenario::{RAN, World};
use harness::{Instance, eventually, within};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Starts the instance on what the power cut left, looks at everything, removes everything, and stops it. Gives
/// what is wrong. `before` is what had been acknowledged, `after` what the command makes that was under way.
pub(crate) fn after_power_cut(cctl: &Instance, before: &World, after: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let started = cctl.cctl(&["system", "start"]);
    if started.code != 0 {
        return vec![format!("it does not start: {started:?}")];
    }
    containers(cctl, before, after, &mut wrong);
    images(cctl, before, after, &mut wrong);
    let check = cctl.cctl(&["system", "check"]);
    if check.code != 0 {
        wrong.push(format!("system check: {}{}", check.stdout, check.stderr));
    }
    contents(cctl, &mut wrong);
    quarantined(&cctl.root(), &mut wrong);
    removal(cctl, before.images == after.images, &mut wrong);
    let stopped = cctl.cctl(&["system", "stop", "--containers"]);
    if stopped.code != 0 {
        wrong.push(format!("it does not stop: {stopped:?}"));
    }
    wrong
}

fn containers(cctl: &Instance, before: &World, after: &World, wrong: &mut Vec<String>) {
    let mut found = BTreeMap::new();
    // What a restart policy starts is on its way.
    let settled = within(Duration::from_secs(20), || {
        found = listed(cctl);
        let fits = |(name, (id, state)): (&String, &(String, String))| {
            let known = [before, after].into_iter().filter_map(|world| world.containers.get(name)).collect::<Vec<_>>();
            // Under way, or so short ago that the disk need not know.
            let began = ["created 0", "exited -1"].contains(&state.as_str());
            let begun = began && (before.containers.get(name) != after.containers.get(name) || known[0].later == RAN);
            known.iter().any(|known| known.id == *id && (begun || known.later.contains(&state.as_str())))
        };
        let complete = before.containers.iter().all(|(name, known)| {
            let is_to_go = after.containers.get(name) != Some(known);
            is_to_go || found.contains_key(name)
        });
        (complete && found.iter().all(fits)).then_some(())
    });
    if settled.is_none() {
        wrong.push(format!("containers: {found:?} instead of {:?} or {:?}", before.containers, after.containers));
    }
}

/// Names with ids and states, and their exit codes.
fn listed(cctl: &Instance) -> BTreeMap<String, (String, String)> {
    let ids = cctl.cctl(&["ps", "-aq", "--no-trunc"]).stdout;
    let mut found = BTreeMap::new();
    for id in ids.split_whitespace() {
        let format = "{{.Name}} {{.Id}} {{.State.Status}} {{.State.ExitCode}}";
        let line = cctl.cctl(&["inspect", "--format", format, id]).stdout;
        if let [name, id, status, code] = line.split_whitespace().collect::<Vec<_>>()[..] {
            found.insert(name.trim_start_matches('/').to_owned(), (id.to_owned(), format!("{status} {code}")));
        } else {
            found.insert(id.to_owned(), (id.to_owned(), format!("not inspected: {line}")));
        }
    }
    found
}

fn images(cctl: &Instance, before: &World, after: &World, wrong: &mut Vec<String>) {
    let listed = cctl.cctl(&["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]).stdout;
    let found: BTreeMap<&str, &str> = listed.lines().filter_map(|line| line.split_once(' ')).collect();
    for name in before.images.keys().map(String::as_str).chain(found.keys().copied()).collect::<BTreeSet<_>>() {
        let (was, becomes) = (before.images.get(name), after.images.get(name));
        let is = found.get(name).map(|id| (*id).to_owned());
        if name.ends_with(":<none>") && before.images != after.images {
            // A pull has recorded the image, and not yet its name: it is whole, and the next pull names it.
            continue;
        }
        if is.as_ref() != was && is.as_ref() != becomes {
            wrong.push(format!("image {name} is {is:?}, and was {was:?}, or was to be {becomes:?}"));
        }
        // Its files are named by their content.
        if is.is_some() {
            let command = "cd /data 2>/dev/null || exit 0; for f in *; do echo \"$f  $f\"; done | sha256sum -c -s";
            let ran = cctl.cctl(&["run", "--rm", name, "sh", "-c", command]);
            if ran.code != 0 {
                wrong.push(format!("image {name} is not whole: {ran:?}"));
            }
        }
    }
}

/// The files of every unpacked layer that are named by their content.
fn contents(cctl: &Instance, wrong: &mut Vec<String>) {
    let script = "cd \"$1\"/filesystem/layers && for d in */data; do [ -d \"$d\" ] || continue; cd \"$d\"; \
        for f in *; do [ -c \"$f\" ] || echo \"$f  $f\"; done | sha256sum --status -c || echo \"$d\"; cd ../..; done";
    let output = Command::new("sh").args(["-c", script, "sh"]).arg(cctl.root()).output().expect("sh");
    if !output.stdout.is_empty() {
        wrong.push(format!("layers with wrong files: {}", String::from_utf8_lossy(&output.stdout)));
    }
}

/// A power cut is no damage: nothing was set aside.
fn quarantined(directory: &Path, wrong: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.ends_with("damaged") {
            let kept: Vec<_> =
                fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
            wrong.push(format!("set aside as damaged: {}: {kept:?}", path.display()));
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !path.ends_with("filesystem/layers") {
            quarantined(&path, wrong);
        }
    }
}

/// All goes, and leaves nothing. What a transfer had brought when the power went is kept for a day: it may go on.
fn removal(cctl: &Instance, was_quiet: bool, wrong: &mut Vec<String>) {
    let lines = |output: harness::Output| output.stdout.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for (list, remove) in [(["ps", "-aq"], &["rm", "-f"][..]), (["images", "-q"], &["rmi", "-f"][..])] {
        let ids: BTreeSet<String> = lines(cctl.cctl(&list)).into_iter().collect();
        if !ids.is_empty() {
            let arguments: Vec<&str> = remove.iter().copied().chain(ids.iter().map(String::as_str)).collect();
            let removed = cctl.cctl(&arguments);
            if removed.code != 0 {
                wrong.push(format!("it cannot be removed: {removed:?}"));
            }
        }
    }
    let places = [
        if was_quiet { "image-store/blobs/sha256" } else { "image-store/tags" },
        "image-store/images",
        "image-store/tags",
        "image-store/leases",
        "filesystem/layers",
        "filesystem/records",
        "filesystem/containers",
        "filesystem/chains",
        "filesystem/trash",
        "containers/kept",
        "network/leases",
    ];
    let left = || {
        let names = |place: &&str| {
            let entries = fs::read_dir(cctl.root().join(place)).into_iter().flatten().flatten();
            let left = entries.map(|entry| entry.path()).filter(|path| !path.ends_with("boot"));
            left.map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        places.iter().flat_map(names).collect::<Vec<_>>()
    };
    if within(Duration::from_secs(20), || left().is_empty().then_some(())).is_none() {
        wrong.push(format!("left behind: {:?}", left()));
    }
    // The addresses of all runs are free again.
    eventually("no container is left", || cctl.cctl(&["ps", "-aq"]).stdout.is_empty().then_some(()));
}
