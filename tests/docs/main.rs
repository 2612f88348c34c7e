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
