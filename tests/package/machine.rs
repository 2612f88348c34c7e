//! A machine with a minimal Debian: a root of its own, with processes of its own, on the network of the test.

use harness::{Output, eventually, within};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The same with systemd, a /dev and cgroups of its own.
const BOOT_SYSTEMD: &str = "set -e; mkdir \"$2\"; echo $$ > \"$2/cgroup.procs\"; \
    exec unshare --mount --pid --cgroup --fork --kill-child sh -c \"$3\" sh \"$1\"";
const SYSTEMD: &str = "set -e; mount --make-rprivate /; mount --bind \"$1\" \"$1\"; cd \"$1\"; \
    mount -t proc proc proc; mount -t sysfs sysfs sys; mount -t cgroup2 cgroup2 sys/fs/cgroup; \
    for place in run dev; do mount -t tmpfs -o mode=755 tmpfs $place; done; \
    for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done; \
    mkdir dev/pts dev/shm; mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts; ln -s pts/ptmx dev/ptmx; \
    pivot_root . mnt; exec chroot . env -i container=test sh -c \
    'umount -l /mnt; echo ready; exec /lib/systemd/systemd --log-target=null --show-status=no > /dev/null 2>&1'";
/// Units that would change the host, or wait for what is not there.
const MASKED: [&str; 8] = [
    "systemd-sysctl.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "systemd-modules-load.service",
    "systemd-remount-fs.service",
    "systemd-binfmt.service",
    "systemd-logind.service",
    "console-getty.service",
];

/// Makes a directory the root, and is its first process until its input ends.
const BOOT: &str = "set -e; mount --make-rprivate /; mount --bind \"$1\" \"$1\"; cd \"$1\"; \
    mount -t proc proc proc; mount --rbind /sys sys; mount --rbind /dev dev; mount -t tmpfs -o mode=755 tmpfs run; \
    pivot_root . mnt; exec chroot . bash -c 'umount -l /mnt; echo ready; read -r _'";

/// Where dpkg and others note what they did.
const NOTES: [&str; 4] = ["var/lib/dpkg", "var/log", "var/cache", "tmp"];

/// Unpacks an image into a directory that is made.
fn unpack(image: &str, root: &Path) {
    fs::create_dir(root).unwrap();
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/make");
    let unpack = "\"$1\" \"$2\" | tar --extract --directory \"$3\"";
    let unpacked = Command::new("sh").args(["-c", unpack, "sh"]).arg(recipe).arg(image).arg(root).status().unwrap();
    assert!(unpacked.success());
}

/// A machine that runs. Dropping it ends its processes.
pub(crate) struct Machine {
    root: PathBuf,
    first: Child,
    pid: String,
    /// Of all its processes.
    cgroup: Option<PathBuf>,
}

impl Machine {
    /// Unpacks and starts one, in a directory that is made.
    pub(crate) fn start(root: &Path) -> Self {
        unpack("debian", root);
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", BOOT, "sh"]).arg(root);
        Self::boot(root, command, None)
    }

    /// The same with systemd, which has started what is enabled.
    pub(crate) fn start_with_systemd(root: &Path) -> Self {
        unpack("systemd", root);
        for unit in MASKED {
            symlink("/dev/null", root.join("etc/systemd/system").join(unit)).unwrap();
        }
        let unified = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let cgroup = unified.into_iter().find(|path| path.join("cgroup.procs").exists()).unwrap().join("machine");
        let mut command = Command::new("sh");
        command.args(["-c", BOOT_SYSTEMD, "sh"]).args([root, &cgroup]).arg(SYSTEMD);
        let machine = Self::boot(root, command, Some(cgroup));
        // What else it would do waits for a console.
        let ready = ["systemctl", "is-active", "basic.target"];
        let started = within(Duration::from_secs(60), || (machine.run(&ready).stdout == "active\n").then_some(()));
        assert!(started.is_some(), "{}", machine.run(&["systemctl", "list-jobs"]).stdout);
        machine
    }

    fn boot(root: &Path, mut command: Command, cgroup: Option<PathBuf>) -> Self {
        let mut first = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(first.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let children = format!("/proc/{0}/task/{0}/children", first.id());
        let pid = fs::read_to_string(children).unwrap().trim().to_owned();
        Self { root: root.to_owned(), first, pid, cgroup }
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
        // Its child, the first process of the machine, is killed with it, and with that one all others.
        let _ = self.first.kill();
        let _ = self.first.wait();
        // The last of its processes, and with them its mounts.
        let gone = || (!Path::new(&format!("/proc/{}", self.pid)).exists()).then_some(());
        if !std::thread::panicking() {
            eventually("the machine is off", gone);
            if let Some(cgroup) = &self.cgroup {
                eventually("its cgroups are empty", || remove(cgroup).ok());
            }
        }
    }
}

/// Removes a cgroup, and those below.
fn remove(cgroup: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(cgroup)?.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove(&entry.path())?;
    }
    fs::remove_dir(cgroup)
}
