//! A machine with a minimal Debian: a root of its own, with processes of its own, on the network of the test.

use harness::{Output, eventually};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Makes a directory the root, and is its first process until its input ends.
const BOOT: &str = "set -e; mount --make-rprivate /; mount --bind \"$1\" \"$1\"; cd \"$1\"; \
    mount -t proc proc proc; mount --rbind /sys sys; mount --rbind /dev dev; mount -t tmpfs -o mode=755 tmpfs run; \
    pivot_root . mnt; exec chroot . bash -c 'umount -l /mnt; echo ready; read -r _'";

/// Where dpkg and others note what they did.
const NOTES: [&str; 4] = ["var/lib/dpkg", "var/log", "var/cache", "tmp"];

/// A machine that runs. Dropping it ends its processes.
pub(crate) struct Machine {
    root: PathBuf,
    first: Child,
    pid: String,
}

impl Machine {
    /// Unpacks and starts one, in a directory that is made.
    pub(crate) fn start(root: &Path) -> Self {
        fs::create_dir(root).unwrap();
        let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/make");
        let unpack = "\"$1\" debian | tar --extract --directory \"$2\"";
        let unpacked = Command::new("sh").args(["-c", unpack, "sh"]).arg(recipe).arg(root).status().unwrap();
        assert!(unpacked.success());
        let mut first = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", BOOT, "sh"])
            .arg(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(first.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let children = format!("/proc/{0}/task/{0}/children", first.id());
        let pid = fs::read_to_string(children).unwrap().trim().to_owned();
        Self { root: root.to_owned(), first, pid }
    }

    /// A command in the machine, not started yet.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.pid, "--mount", "--pid", "--root", "--", "env", "-i", "-C", "/"])
            .args([
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "DEBIAN_FRONTEND=noninteractive",
            ])
            .args(words)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap().into()
    }

    /// A file or directory of the machine, as the host sees it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Every file, but for what notes what was done.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut open = vec![self.root.clone()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).unwrap().flatten() {
                let path = entry.path().strip_prefix(&self.root).unwrap().to_owned();
                if NOTES.iter().any(|notes| path == Path::new(notes)) {
                    continue;
                }
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                }
                found.insert(path);
            }
        }
        found
    }

    /// The programs that processes of the machine run, monitors too.
    pub(crate) fn programs(&self) -> Vec<String> {
        let list = "for pid in /proc/[0-9]*; do readlink $pid/exe || :; done";
        let programs = self.run(&["sh", "-c", list]).stdout;
        programs.lines().filter(|program| program.contains("/cctl")).map(str::to_owned).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.first.stdin.take());
        let _ = self.first.wait();
        // The last of its processes, and with them its mounts.
        let gone = || (!Path::new(&format!("/proc/{}", self.pid)).exists()).then_some(());
        if !std::thread::panicking() {
            eventually("the machine is off", gone);
        }
    }
}
