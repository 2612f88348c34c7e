//! An instance of cctl for one test.

use crate::{Output, Terminal, audit, eventually};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::{env, fs, thread};
use tempfile::TempDir;
use test_registry::Registry;

/// One test at a time: the audit looks at the whole host.
static TURN: Mutex<()> = Mutex::new(());

/// An instance of cctl, with the image `base`. Dropping it stops it and audits the host.
pub struct Instance {
    directory: TempDir,
    before: BTreeSet<String>,
    is_finished: bool,
    /// File systems of a size that the test has chosen.
    small: Vec<PathBuf>,
    _turn: MutexGuard<'static, ()>,
}

impl Instance {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_prepared(Self::prepare())
    }

    /// Starts one in which no sandbox stands ready: for tests that count them.
    pub fn start_without_spares() -> Self {
        let instance = Self::prepare();
        instance.configure_containers("spares = 0\n");
        Self::start_prepared(instance)
    }

    fn start_prepared(instance: Self) -> Self {
        instance.cctl(&["system", "start"]).ok();
        instance.cctl_with_input(&["import", "-", "base"], base_image()).ok();
        instance
    }

    /// Starts one whose unqualified names mean a registry, which has `base`; the instance itself has no image.
    pub fn start_with_registry(registry: &Registry) -> Self {
        let instance = Self::prepare();
        instance.configure(&format!("default = \"{}\"\n", registry.name()));
        instance.cctl(&["system", "start"]).ok();
        instance.cctl_with_input(&["import", "-", "base"], base_image()).ok();
        instance.cctl(&["push", "-q", "base"]).ok();
        instance.cctl(&["rmi", "base"]).ok();
        instance
    }

    /// Writes `registries.toml`.
    pub fn configure(&self, registries: &str) {
        fs::create_dir_all(self.config()).expect("configuration directory");
        fs::write(self.config().join("registries.toml"), registries).expect("registries.toml");
    }

    /// Writes `containers.toml`.
    pub fn configure_containers(&self, containers: &str) {
        fs::create_dir_all(self.config()).expect("configuration directory");
        fs::write(self.config().join("containers.toml"), containers).expect("containers.toml");
    }

    /// Makes the directories, and starts nothing.
    pub fn prepare() -> Self {
        Self::prepare_with(&[])
    }

    /// Starts one whose state, `CCTL_ROOT`, has so many bytes of space.
    pub fn start_with_small_state(bytes: u64) -> Self {
        Self::start_prepared(Self::prepare_with(&[("root", bytes)]))
    }

    /// Starts one whose sockets and sandboxes, `CCTL_RUN`, have so many bytes of space.
    pub fn start_with_small_runtime(bytes: u64) -> Self {
        Self::start_prepared(Self::prepare_with(&[("run", bytes)]))
    }

    /// Makes the directories, some of them with so many bytes of space.
    fn prepare_with(small: &[(&str, u64)]) -> Self {
        assert!(rustix::process::geteuid().is_root(), "end-to-end tests run as root");
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempfile::Builder::new().prefix("cctl-test-").tempdir().expect("temporary directory");
        let small = small
            .iter()
            .map(|(name, bytes)| {
                let path = directory.path().join(name);
                fs::create_dir(&path).expect("a directory");
                let size = CString::new(format!("size={bytes},mode=0711")).expect("options");
                mount("small", &path, "tmpfs", MountFlags::empty(), Some(size.as_c_str()))
                    .expect("a small file system");
                path
            })
            .collect();
        Self { directory, before: audit::host(), is_finished: false, small, _turn: turn }
    }

    /// `CCTL_ROOT`.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// `CCTL_RUN`.
    pub fn runtime(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    /// `CCTL_CONFIG`; not there unless the test makes it.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    /// A directory for the test's own files.
    pub fn scratch(&self) -> &Path {
        self.directory.path()
    }

    /// A command of `cctl` on this instance, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(&program(), arguments)
    }

    /// A command of another `cctl` on this instance, not started yet.
    pub fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("CCTL_ROOT", self.root())
            .env("CCTL_RUN", self.runtime())
            .env("CCTL_CONFIG", self.config())
            .env("CCTL_AUTH_FILE", self.directory.path().join("auth/auth.json"))
            .stdin(Stdio::null());
        command
    }

    /// `PATH` with the programs under test before everything else.
    pub fn path(&self) -> String {
        let programs = program().parent().and_then(|path| path.canonicalize().ok()).expect("a directory");
        format!("{}:{}", programs.display(), env::var("PATH").unwrap_or_default())
    }

    /// Runs `cctl` to its end.
    pub fn cctl(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("cctl").into()
    }

    /// Runs `cctl` to its end, with input that ends.
    pub fn cctl_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = self.spawn_with_input(arguments);
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_vec();
        // A program that does not read all of its input is no error.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("cctl").into();
        writer.join().expect("writer");
        output
    }

    /// Starts `cctl` with all three streams piped.
    pub fn spawn_with_input(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cctl")
    }

    /// Starts `cctl` on a terminal of its own.
    pub fn terminal(&self, arguments: &[&str]) -> Terminal {
        Terminal::start(self.command(arguments))
    }

    /// Process id of a service, or of `supervisor`.
    pub fn pid(&self, service: &str) -> i32 {
        self.status().into_iter().find(|row| row["name"] == service).expect("a service of that name")["pid"]
            .as_i64()
            .and_then(|pid| i32::try_from(pid).ok())
            .expect("a process id")
    }

    /// The rows of `cctl system status`.
    pub fn status(&self) -> Vec<serde_json::Value> {
        let text = self.cctl(&["system", "status", "--format", "json"]).ok();
        serde_json::from_str(&text).expect("JSON")
    }

    /// Kills a service with SIGKILL and waits for its successor.
    pub fn kill_service(&self, service: &str) {
        let pid = self.pid(service);
        let target = rustix::process::Pid::from_raw(pid).expect("a service that runs");
        rustix::process::kill_process(target, rustix::process::Signal::KILL).expect("kill");
        eventually("a successor is ready", || {
            let rows = self.cctl(&["system", "status", "--format", "json"]);
            let rows: Vec<serde_json::Value> = serde_json::from_str(&rows.stdout).ok()?;
            let row = rows.iter().find(|row| row["name"] == service)?;
            let ready = rows.iter().all(|row| row["state"] == "ready");
            (row["pid"].as_i64()? != i64::from(pid) && ready).then_some(())
        });
    }

    /// Removes all containers, stops the instance, and compares the host with what it was.
    fn end(&self) {
        let containers = self.cctl(&["ps", "-aq"]);
        if containers.code == 0 {
            let ids: Vec<&str> = containers.stdout.split_whitespace().collect();
            if !ids.is_empty() {
                self.cctl(&[&["rm", "-f"], &ids[..]].concat()).ok();
            }
            self.cctl(&["system", "stop", "--containers"]).ok();
        }
    }

    /// Ends the instance; what is left of it on the host, a line each. Otherwise that is looked for when it is
    /// dropped, and fails the test.
    pub fn finish(mut self) -> Vec<String> {
        self.is_finished = true;
        self.end();
        self.leaks()
    }

    fn leaks(&self) -> Vec<String> {
        let mut remains = Vec::new();
        // The kernel frees namespaces and what is in them a moment after their last process.
        crate::within(std::time::Duration::from_secs(10), || {
            let now = audit::host();
            remains = now.difference(&self.before).map(|line| format!("new: {line}")).collect();
            remains
                .extend(self.before.difference(&now).filter(|line| !foreign(line)).map(|line| format!("gone: {line}")));
            remains.extend(audit::remains(&self.root()));
            remains.extend(audit::remains(&self.runtime()));
            remains.is_empty().then_some(())
        });
        remains
    }

    /// What the services wrote, for a failed test.
    pub fn logs(&self) -> String {
        let Ok(entries) = fs::read_dir(self.root().join("logs")) else { return String::new() };
        entries
            .flatten()
            .map(|entry| {
                let text = fs::read_to_string(entry.path()).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let tail = &lines[lines.len().saturating_sub(15)..];
                format!("--- {}\n{}\n", entry.file_name().to_string_lossy(), tail.join("\n"))
            })
            .collect()
    }
}

/// What may go without our doing: processes and namespaces of others.
fn foreign(line: &str) -> bool {
    line.starts_with("process") || line.starts_with("namespace") || line.starts_with("cgroup")
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let leaks = if thread::panicking() {
            eprintln!("{}", self.logs());
            // The first failure is the one to report.
            drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.end())));
            Vec::new()
        } else {
            self.end();
            self.leaks()
        };
        let logs = if leaks.is_empty() { String::new() } else { self.logs() };
        for path in &self.small {
            let _ = unmount(path, UnmountFlags::DETACH);
        }
        assert!(leaks.is_empty(), "the host is not as it was: {leaks:#?}\n{logs}");
    }
}

/// The directory of the programs under test: `CCTL_BIN`, or the optimised build.
fn program() -> PathBuf {
    let directory = env::var_os("CCTL_BIN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release"), PathBuf::from);
    let program = directory.join("cctl");
    assert!(program.exists(), "{} is missing: run `make build`", program.display());
    program
}

/// The archive of the image `base`, made once.
pub fn base_image() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/base-image");
        let output = Command::new(recipe).output().expect("deploy/base-image");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    })
}
