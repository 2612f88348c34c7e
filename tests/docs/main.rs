//! The examples of the guide, typed from its pages: what a page shows is what a user sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod page;
mod shell;

use harness::{Instance, Registry};
use shell::Shell;
use std::fs;
use std::path::{Path, PathBuf};

fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide")
}

fn pages(directory: &Path) -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    pages
}

/// Types a page's commands into one shell, on an instance and a registry of its own.
fn follow(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let steps = page::steps(&text);
    if steps.is_empty() {
        return Vec::new();
    }
    let registry = Registry::start();
    let cctl = Instance::start_with_registry(&registry);
    // A page that begins with a pull shows what somebody sees who has no image yet.
    if !steps[0].command.starts_with("cctl pull") {
        cctl.cctl(&["pull", "-q", "base"]).ok();
    }
    let mut shell = Shell::with_environment(
        &cctl.command(&[]),
        &[
            ("PATH", cctl.path()),
            ("REGISTRY", registry.name()),
            ("TESTS", env!("CARGO_MANIFEST_DIR").into()),
            ("HOME", cctl.scratch().display().to_string()),
        ],
    );
    shell.run(&format!("cd {}", cctl.scratch().display()));
    let mut wrong = Vec::new();
    for page::Step { line, command, output } in steps {
        let (printed, code) = shell.run(&command);
        let told = output.iter().any(|line| line.starts_with("cctl: "));
        if !page::matches(&output, &printed) || (code != 0) != told {
            wrong.push(format!(
                "{}:{line}: {command}\n--- shown\n{}\n--- printed, exit code {code}\n{printed}",
                path.display(),
                output.join("\n")
            ));
        }
    }
    wrong
}

fn follow_all(directory: &Path) {
    let wrong: Vec<String> = pages(directory).iter().flat_map(|path| follow(path)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_guide_shows_what_happens() {
    follow_all(&guide());
}

#[test]
fn the_pages_of_the_commands_show_what_happens() {
    follow_all(&guide().join("commands"));
}

const USAGE: (&str, &str) = ("<!-- usage -->\n", "<!-- end of usage -->\n");

/// A page with what the program says of its usage. `RENEW=1` writes it.
#[test]
fn the_pages_of_the_commands_have_their_usage() {
    let cctl = Instance::prepare();
    let mut stale = Vec::new();
    for path in pages(&guide().join("commands")) {
        let command = path.file_stem().unwrap().to_string_lossy().into_owned();
        if command == "README" {
            continue;
        }
        let page = fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(USAGE.0).unwrap_or_else(|| panic!("{}: no usage", path.display()));
        let (_, after) = rest.split_once(USAGE.1).unwrap_or_else(|| panic!("{}: no end of usage", path.display()));
        let help = cctl.cctl(&[&command, "--help"]).ok();
        let usage = &help[help.find("Usage:").unwrap()..];
        let wanted = format!("{before}{}```text\n{}\n```\n{}{after}", USAGE.0, usage.trim_end(), USAGE.1);
        if wanted != page {
            if std::env::var_os("RENEW").is_some() {
                fs::write(&path, wanted).unwrap();
            } else {
                stale.push(path);
            }
        }
    }
    assert!(stale.is_empty(), "renew these with RENEW=1: {stale:#?}");
}

/// Every command that the program has is a page, and the other way round.
#[test]
fn every_command_has_a_page() {
    let cctl = Instance::prepare();
    let help = cctl.cctl(&["--help"]).ok();
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut named: Vec<String> = commands
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    named.sort();
    let mut written: Vec<String> = pages(&guide().join("commands"))
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "README")
        .collect();
    written.sort();
    assert_eq!(named, written);
}
