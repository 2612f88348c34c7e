//! Rules for the sources and their dependencies that no compiler checks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Licences under which a dependency may be used in an Apache-2.0 project.
const LICENCES: [&str; 10] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
    "bzip2-1.0.6",
];

/// Crates that are compiled in two versions, because two of our dependencies disagree.
const DUPLICATES: [&str; 2] = ["getrandom", "syn"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The packages that are compiled into our programs, on Linux.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let used: BTreeSet<&str> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap()).collect();
    let all = metadata["packages"].as_array().unwrap();
    all.iter().filter(|package| used.contains(package["id"].as_str().unwrap())).cloned().collect()
}

/// Whether an SPDX expression of ANDs of ORs can be satisfied. `/` is an old way to write OR.
fn permitted(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim())))
}

#[test]
fn licences_are_compatible() {
    let bad: Vec<String> = packages()
        .iter()
        .filter(|package| !permitted(package["license"].as_str().unwrap_or("none")))
        .map(|package| format!("{}: {}", package["name"], package["license"]))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn no_dependency_is_compiled_twice() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        let text = |key: &str| package[key].as_str().unwrap().to_owned();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    let twice: Vec<_> =
        versions.iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| name.as_str()).collect();
    assert_eq!(twice, DUPLICATES, "unify the versions, or state here that it cannot be done");
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

#[test]
fn unsafe_code_lives_in_sys_only() {
    let mut files = Vec::new();
    sources(&root(), &mut files);
    // The module `sys` of a crate may have files of its own.
    let is_sys =
        |path: &Path| path.components().any(|part| ["sys", "sys.rs"].iter().any(|name| part.as_os_str() == *name));
    // Generated bindings come with allowances of their own.
    let exempt = |path: &Path| path.ends_with("schema/src/bindings.rs") || path.ends_with("tests/policy/main.rs");
    let offenders: Vec<_> = files
        .iter()
        .filter(|path| !is_sys(path) && !exempt(path))
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.contains("allow(unsafe_code)") || text.lines().any(|line| line.contains("unsafe {"))
        })
        .collect();
    assert!(offenders.is_empty(), "{offenders:#?}");
}

/// `docs/parity.md` shows each row by tests: those that it names exist.
#[test]
fn the_parity_table_names_tests_that_exist() {
    let table = fs::read_to_string(root().join("docs/parity.md")).unwrap();
    let named = table.split('`').filter_map(|text| text.split_once(".rs::"));
    let missing: Vec<String> = named
        .filter(|(file, test)| {
            let text = fs::read_to_string(root().join(format!("{file}.rs"))).unwrap_or_default();
            !text.contains(&format!("fn {test}("))
        })
        .map(|(file, test)| format!("{file}.rs::{test}"))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

fn run_in_root(program: &str, arguments: &[&str]) -> String {
    // What a `make` above us has set is not for the ones that we start.
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .output()
        .unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// One command runs it, one tests it, one cleans up; and `make help` names every target that is meant for people.
#[test]
fn one_command_runs_it_and_one_tests_it() {
    for target in ["run", "test"] {
        let steps = run_in_root("make", &["--dry-run", target]);
        assert!(steps.contains("deploy/setup") && steps.contains("cargo build --release"), "{steps}");
    }
    assert!(run_in_root("make", &["--dry-run", "clean"]).contains("cargo clean"));
    let help = run_in_root("make", &["help"]);
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let targets = makefile.split(".PHONY:").nth(1).unwrap().lines().next().unwrap();
    let inner = ["setup-run", "setup-deb", "setup-test", "setup-kernels", "images", "plugins", "help"];
    for target in targets.split_whitespace().filter(|target| !inner.contains(target)) {
        assert!(help.split_whitespace().any(|word| word == target), "make help says nothing of {target}");
    }
    assert_eq!(fs::read_to_string(root().join(".ci/run")).unwrap().lines().last(), Some("make test"));
}

/// A machine to develop on is set up by a command that may be repeated: here it has been, so that it installs nothing.
#[test]
fn a_machine_is_set_up_once() {
    assert_eq!(run_in_root("deploy/setup", &["build", "run", "test"]), "");
}

/// Where code is for one architecture, there is as much for the other.
#[test]
fn no_code_is_for_one_architecture_alone() {
    let mut files = Vec::new();
    sources(&root(), &mut files);
    for path in files.iter().filter(|path| !path.ends_with("tests/policy/main.rs")) {
        let text = fs::read_to_string(path).unwrap();
        let count = |name: &str| text.matches(&format!("target_arch = \"{name}\"")).count();
        let chosen_by_if = text.contains("if cfg!(target_arch = \"aarch64\")");
        assert!(count("x86_64") == count("aarch64") || chosen_by_if, "{}", path.display());
    }
}
