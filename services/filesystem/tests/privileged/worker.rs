//! The process that unpacks: what it holds, and what happens when it is killed.

use crate::archive::{Archive, layer, unpacker};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The process that fills this directory.
fn worker(target: &Path) -> Option<i32> {
    let own = std::process::id().to_string();
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.to_owned();
        (parent == own && fs::read_link(entry.path().join("root")).ok()? == target).then_some(pid)
    })
}

fn eventually<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < until, "it does not come");
        thread::sleep(Duration::from_millis(1));
    }
}

fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let outer = tempfile::tempdir().unwrap();
    let base = outer.path().canonicalize().unwrap();
    let (target, blob) = (base.join("layer"), base.join("blob"));
    fs::create_dir(&target).unwrap();
    (outer, target, blob)
}

#[test]
fn it_holds_what_an_archive_needs_and_nothing_else() {
    let (_outer, target, blob) = place();
    rustix::fs::mknodat(rustix::fs::CWD, &blob, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let content = "x".repeat(100_000);
    let bytes = Archive::new().file("file", &content).bytes();
    thread::scope(|scope| {
        let unpacked = scope.spawn(|| unpacker().unpack(&layer(&bytes), &blob, &target));
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let mut archive = File::from(rustix::fs::open(&blob, flags, Mode::empty()).unwrap());
        let (first, rest) = bytes.split_at(50_000);
        archive.write_all(first).unwrap();
        let pid = eventually(|| worker(&target));
        // It has made the file: whatever it gives up, it has given up.
        eventually(|| target.join("file").exists().then_some(()));
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
            line.unwrap().trim().to_owned()
        };
        // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, MKNOD, SETFCAP.
        let kept = "000000008800001b";
        for (name, expected) in [
            ("CapPrm", kept),
            ("CapEff", kept),
            ("CapInh", "0000000000000000"),
            ("CapAmb", "0000000000000000"),
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
            ("Threads", "1"),
        ] {
            assert_eq!(field(name), expected, "{name}");
        }
        // The socket to the service, the archive, what is being filled, and a mount of the list of all these; and what
        // whoever started this test has left open for all its children.
        let open = |pid: &str| -> Vec<PathBuf> {
            let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
            entries.filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
        };
        let inherited = open("self");
        let known = |path: &PathBuf| {
            let is_socket = path.to_string_lossy().starts_with("socket:");
            is_socket
                || path.starts_with(&target)
                || [blob.as_path(), Path::new("/dev/null"), Path::new("/")].contains(&path.as_path())
        };
        let held = open(&pid.to_string());
        let strange: Vec<_> = held.iter().filter(|path| !known(path) && !inherited.contains(path)).collect();
        assert!(strange.is_empty(), "{strange:?} of {held:?}");
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        assert!(limits.lines().any(|line| line.starts_with("Max address space") && line.contains("1073741824")));
        archive.write_all(rest).unwrap();
        drop(archive);
        unpacked.join().unwrap().unwrap();
    });
    assert_eq!(fs::read_to_string(target.join("file")).unwrap(), content);
}

#[test]
fn one_that_is_stopped_or_killed_is_replaced() {
    let (_outer, target, blob) = place();
    let names: Vec<String> = (0..5000).map(|number| format!("{number:04}")).collect();
    let archive = names.iter().fold(Archive::new(), |archive, name| archive.file(name, name));
    let bytes = archive.bytes();
    fs::write(&blob, &bytes).unwrap();
    thread::scope(|scope| {
        let unpacked = scope.spawn(|| unpacker().unpack(&layer(&bytes), &blob, &target));
        let mut known = 0;
        for signal in [Signal::KILL, Signal::STOP, Signal::KILL] {
            let pid = eventually(|| worker(&target).filter(|pid| *pid != known));
            kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
            known = pid;
        }
        unpacked.join().unwrap().unwrap();
    });
    let mut found: Vec<String> =
        fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, names);
}

#[test]
fn without_a_service_it_does_nothing() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_filesystem"))
        .arg("--unpack")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
}
