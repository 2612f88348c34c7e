//! The leak audit: what cctl could leave on a host, before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Everything that is compared, one line each, so that a difference reads well.
pub(crate) fn host() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    found.extend(mounts());
    found.extend(links());
    found.extend(firewall());
    found.extend(cgroups());
    found.extend(processes());
    found.extend(namespaces());
    found
}

fn mounts() -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    text.lines().map(|line| format!("mount {line}")).collect()
}

fn links() -> Vec<String> {
    // Of the namespace that the test is in; /sys has those of whoever mounted it.
    let text = fs::read_to_string("/proc/self/net/dev").expect("network interfaces");
    text.lines().filter_map(|line| Some(format!("link {}", line.split_once(':')?.0.trim()))).collect()
}

fn firewall() -> Vec<String> {
    let output = Command::new("nft").args(["list", "ruleset"]).output().expect("nft: install the package nftables");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(|line| format!("nft {line}")).collect()
}

fn cgroups() -> Vec<String> {
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), &mut found);
    found
}

fn walk(directory: &Path, found: &mut Vec<String>) {
    // A cgroup of somebody else may go while we look.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(format!("cgroup {}", entry.path().display()));
            walk(&entry.path(), found);
        }
    }
}

/// Processes of cctl and of its containers: those that run one of our programs, and those in a PID namespace
/// that is not ours. Others of the host come and go as they like.
fn processes() -> Vec<String> {
    let host = fs::read_link("/proc/self/ns/pid").expect("own PID namespace");
    let ours = |pid: &str| {
        let of_container = fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|namespace| namespace != host);
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let text = String::from_utf8_lossy(&environment);
        // Monitors have no environment.
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let monitor = command.split(|byte| *byte == 0).next().is_some_and(|name| name.ends_with(b"/cctl-shim"));
        // The test runner has the variable too, perhaps: only what was started for an instance counts.
        of_container || monitor || (text.contains("CCTL_RUN=") && !program.starts_with("/usr"))
    };
    numbers("/proc")
        .filter(|pid| ours(pid))
        .map(|pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            format!("process {pid} {}", String::from_utf8_lossy(&command).replace('\0', " "))
        })
        .collect()
}

/// Network and mount namespaces that some process is in.
fn namespaces() -> Vec<String> {
    let kinds = ["net", "mnt"];
    let of = |pid: String| {
        kinds.map(|kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")).map(|name| name.display().to_string()).ok())
    };
    numbers("/proc").flat_map(of).flatten().map(|name| format!("namespace {name}")).collect()
}

fn numbers(directory: &str) -> impl Iterator<Item = String> {
    fs::read_dir(directory)
        .expect("proc")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Files below a directory that are named after a container, or that are half-written.
pub(crate) fn remains(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return found };
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        if name.len() >= 64 && name.bytes().take(64).all(|byte| byte.is_ascii_hexdigit()) && !of_image(&path)
            || name.ends_with(".tmp")
        {
            found.push(format!("file {}", path.display()));
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !of_image(&path) {
            found.extend(remains(&path));
        }
    }
    found
}

/// Blobs, image records and layers stay, and are named by digests too.
fn of_image(path: &Path) -> bool {
    let inside = |part: &str| path.components().any(|component| component.as_os_str() == part);
    inside("image-store")
        || inside("layers")
        || ["filesystem/records", "filesystem/unsynced"]
            .into_iter()
            .any(|directory| path.parent().is_some_and(|parent| parent.ends_with(directory)))
}
