//! Every file of an instance's state is damaged, in several ways, while a container runs: the service that reads it
//! starts all the same, names the damage, and neither that container nor anything else is harmed.
//!
//! The files are those that a live instance has; the list is not written down here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use harness::{Instance, eventually};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

const SERVICES: [&str; 5] = ["containers", "filesystem", "image-store", "log-collector", "network"];

/// How a file is damaged.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Empty,
    Half,
    Zeros,
    Flip,
}

impl Damage {
    const ALL: [Self; 4] = [Self::Empty, Self::Half, Self::Zeros, Self::Flip];

    fn apply(self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Empty => Vec::new(),
            Self::Half => content[..content.len() / 2].to_vec(),
            Self::Zeros => vec![0; content.len()],
            Self::Flip => {
                let mut flipped = content.to_vec();
                flipped[content.len() / 2] ^= 4;
                flipped
            }
        }
    }
}

/// Files of a service's state that it trusts. Not those whose content is a user's, which nothing but the user knows,
/// and not notes of which boot it is, which are written anew.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let foreign = ["layers", "upper", "work", "etc", "damaged"];
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !foreign.contains(&name.as_str()) {
            files(&path, found);
        } else if kind.is_file() && name != "boot" && entry.metadata().unwrap().len() > 0 {
            found.push(path);
        }
    }
}

/// What a report must say to name a file: its own name, or that of the object that it is of.
fn names(path: &Path) -> Vec<String> {
    let parts = path.iter().rev().take(2).map(|part| part.to_string_lossy().into_owned());
    let stems = parts.map(|part| part.split('.').next().unwrap_or_default().to_owned());
    let ids = stems.filter(|stem| stem.len() >= 32).map(|id| id[..12].to_owned());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    ids.chain([path.display().to_string()]).chain(name.contains('.').then_some(name)).collect()
}

/// Damage of which there is nothing to tell: which sandbox had a writable layer, after its run; how a container's
/// resolv.conf came about, which is read when the host's changes; an event log that might be new; bytes of output,
/// of which only the container knows what they should be.
fn is_silent(path: &Path, damage: Damage) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    match damage {
        _ if ["holder", "resolver.json"].contains(&&*name) => true,
        Damage::Empty => name.ends_with(".jsonl"),
        Damage::Zeros | Damage::Flip => name.ends_with(".stdout") || name.ends_with(".stderr"),
        Damage::Half => false,
    }
}

fn log(cctl: &Instance, service: &str) -> String {
    let text = fs::read(cctl.root().join("logs").join(format!("{service}.log"))).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

fn state(cctl: &Instance, name: &str) -> String {
    cctl.cctl(&["inspect", "--format", "{{.State.Status}} {{.State.Pid}}", name]).stdout
}

/// A file, and those of the same object: what is set aside with it must come back with it. Others may go meanwhile.
fn beside(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let object = |path: &Path| path.file_name().unwrap().to_string_lossy().split('.').next().map(str::to_owned);
    let entries = fs::read_dir(path.parent().unwrap()).unwrap().flatten().map(|entry| entry.path());
    entries
        .filter(|other| object(other) == object(path))
        .filter_map(|other| Some((other.clone(), fs::read(other).ok()?)))
        .collect()
}

/// Puts everything back as it was.
fn restore(cctl: &Instance, service: &str, path: &Path, files: &[(PathBuf, Vec<u8>)]) {
    for (file, content) in files.iter().filter(|(file, _)| file == path || !file.exists()) {
        fs::write(file, content).unwrap();
        // As from a backup: with the owner that it had.
        let above = file.parent().unwrap().metadata().unwrap();
        chown(file, Some(above.uid()), Some(above.gid())).unwrap();
    }
    for aside in [path.parent().unwrap().join("damaged"), path.with_extension("damaged")] {
        let _ = if aside.is_dir() { fs::remove_dir_all(aside) } else { fs::remove_file(aside) };
    }
    cctl.kill_service(service);
}

#[test]
fn whatever_file_is_damaged_all_else_goes_on() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "other", "base", "sleep", "600"]).ok();
    cctl.cctl(&["run", "--name", "victim", "base", "sh", "-c", "seq 1000; echo x > /y"]).ok();
    cctl.cctl(&["commit", "victim", "made"]).ok();
    let other = state(&cctl, "other");
    let victim_id = cctl.cctl(&["inspect", "--format", "{{.Id}}", "victim"]).ok();
    let other_id = cctl.cctl(&["inspect", "--format", "{{.Id}}", "other"]).ok();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for service in SERVICES {
        let mut found = Vec::new();
        files(&cctl.root().join(service), &mut found);
        found.sort();
        // The other container's own files are not damaged: it is the one that must not notice.
        found.retain(|path| !path.display().to_string().contains(&other_id));
        // Logs of what `exec` starts come and go.
        found.retain(|path| {
            service != "log-collector" || path.ends_with("format") || path.display().to_string().contains(&victim_id)
        });
        for path in found {
            let Ok(content) = fs::read(&path) else { continue };
            for damage in Damage::ALL {
                cases += 1;
                let files = beside(&path);
                let before = log(&cctl, service).len();
                fs::write(&path, damage.apply(&content)).unwrap();
                cctl.kill_service(service);
                let short = path.strip_prefix(cctl.root()).unwrap().display().to_string();
                let mut fail = |what: String| {
                    println!("FAILED {damage:?} {short}: {what}");
                    wrong.push(format!("{damage:?} {short}: {what}"));
                };
                let now = state(&cctl, "other");
                if now != other {
                    fail(format!("the other container is {now:?}, and was {other:?}"));
                }
                let ran = cctl.cctl(&["exec", "other", "echo", "on"]);
                if ran.stdout != "on\n" {
                    fail(format!("the other container cannot be used: {ran:?}"));
                }
                let mut told = log(&cctl, service)[before..].to_owned();
                let is_named = |told: &str| names(&path).iter().any(|name| told.contains(name));
                if !is_silent(&path, damage) && !is_named(&told) {
                    let checked = cctl.cctl(&["system", "check"]);
                    told += &format!("{}{}", checked.stdout, checked.stderr);
                    if !is_named(&told) {
                        fail(format!("it is not named:\n{told}"));
                    }
                }
                restore(&cctl, service, &path, &files);
            }
        }
    }
    println!("{cases} cases");
    assert!(cases >= 50 && wrong.is_empty(), "{} of {cases} cases: {wrong:#?}", wrong.len());
    eventually("all is whole again", || (cctl.cctl(&["system", "check"]).code == 0).then_some(()));
}
