//! A keeper with a supervisor and fake services, in directories of its own.

use crate::fake;
use kit::process::{is_alive, start_time};
use rustix::process::{Pid, Signal, kill_process};
use schema::supervisor::{Client, ServiceStatus, State};
use schema::{Call, Failure};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// A keeper. Dropping it kills what is left of it.
pub(crate) struct Instance {
    directory: TempDir,
    keeper: Option<Child>,
}

impl Instance {
    /// Starts one with these services, and waits until each is ready or, if its name says so, is not.
    pub(crate) fn start(services: &[&str]) -> Self {
        let mut instance = Self::prepare(services);
        instance.keeper = Some(instance.command().spawn().unwrap());
        let hopeless = |name: &str| ["crashing", "shy"].contains(&name);
        eventually("the services are ready", || {
            let rows = instance.status().ok()?;
            rows.iter().all(|row| row.state == State::Ready || hopeless(&row.service)).then_some(())
        });
        instance
    }

    /// Makes the directories, and starts nothing.
    pub(crate) fn prepare(services: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("cctl-supervisor-").tempdir().unwrap();
        let libexec = directory.path().join("libexec");
        fs::create_dir(&libexec).unwrap();
        let mut manifest = String::new();
        for name in services {
            fake::install(&libexec, name);
            manifest.push_str(&format!(
                r#"
                [[service]]
                name = "{name}"
                interface = "executor"
                executable = "{name}"
                needs = []
                watchdog = "1s"
                start-timeout = "{}"
                shelf = {}
                restart = {{ intensity = 3, period = "1m", backoff = {{ first = "10ms", longest = "100ms" }} }}
                {}
                "#,
                match *name {
                    "shy" => "500ms",
                    "brisk" => "3s",
                    _ => "20s",
                },
                *name == "shelving",
                if *name == "engine" { "capabilities = \"all\"\nseccomp = \"none\"" } else { "" },
            ));
        }
        fs::write(directory.path().join("services.toml"), manifest).unwrap();
        Self { directory, keeper: None }
    }

    /// The command that starts a keeper.
    pub(crate) fn command(&self) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_cctl-supervisor")))
    }

    /// The same of a copy of the program.
    pub(crate) fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .args(["keeper", "--manifest"])
            .arg(self.path("services.toml"))
            .env("CCTL_ROOT", self.path("root"))
            .env("CCTL_RUN", self.path("run"))
            .env("CCTL_CONFIG", self.path("config"))
            .env("https_proxy", "http://127.0.0.1:9")
            .env("CCTL_LIBEXEC", self.path("libexec"))
            .env("SECRET", "not for services")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.path("run")
    }

    /// Asks the supervisor something.
    pub(crate) fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&Client, &Call) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let instance = schema::Instance::new(self.path("root"), self.run());
        tokio::task::LocalSet::new()
            .block_on(&runtime, async { question(&Client::new(&instance), &Call::within(PATIENCE)).await })
    }

    pub(crate) fn status(&self) -> Result<Vec<ServiceStatus>, Failure> {
        self.ask(async |supervisor, call| supervisor.status(call).await)
    }

    pub(crate) fn row(&self, service: &str) -> ServiceStatus {
        self.status().unwrap().into_iter().find(|row| row.service == service).unwrap()
    }

    /// Waits until a service is ready in another process than this one.
    pub(crate) fn successor(&self, service: &str, of: i32) -> ServiceStatus {
        eventually("a successor is ready", || {
            self.status()
                .ok()?
                .into_iter()
                .find(|row| row.service == service && row.pid != of && row.state == State::Ready)
        })
    }

    /// What a fake service says of itself: process id, open descriptors, names of its environment variables.
    pub(crate) fn talk(&self, service: &str) -> (i32, String, String) {
        let mut text = String::new();
        self.connect(service).read_to_string(&mut text).unwrap();
        let mut lines = text.lines().map(str::to_owned);
        (lines.next().unwrap().parse().unwrap(), lines.next().unwrap(), lines.next().unwrap())
    }

    /// How many descriptors a fake service has found on its shelf.
    pub(crate) fn shelved(&self, service: &str) -> usize {
        let mut text = String::new();
        self.connect(service).read_to_string(&mut text).unwrap();
        text.lines().nth(3).unwrap().parse().unwrap()
    }

    pub(crate) fn connect(&self, service: &str) -> UnixStream {
        let stream = UnixStream::connect(self.run().join(format!("{service}.sock"))).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn inode(&self, service: &str) -> u64 {
        fs::metadata(self.run().join(format!("{service}.sock"))).unwrap().ino()
    }

    pub(crate) fn keeper(&self) -> i32 {
        self.signed().unwrap()
    }

    /// Who last signed as keeper; nobody while somebody is about to.
    pub(crate) fn signed(&self) -> Option<i32> {
        fs::read_to_string(self.run().join("keeper.lock")).ok()?.trim().parse().ok()
    }

    /// The process that was started here as a keeper.
    pub(crate) fn keeper_started_here(&self) -> i32 {
        self.keeper.as_ref().unwrap().id().try_into().unwrap()
    }

    /// Takes charge of a keeper that was started by [`command`](Self::command).
    pub(crate) fn adopt(&mut self, keeper: Child) {
        self.keeper = Some(keeper);
    }

    /// Reaps the keeper that was started here, and says whether it ended well.
    pub(crate) fn wait_for_keeper(&mut self) -> bool {
        self.keeper.take().unwrap().wait().unwrap().success()
    }

    /// The processes that belong to this instance.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let marks = ["run", "root"].map(|name| self.path(name).display().to_string());
        let ours = |pid: i32| {
            let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let text = String::from_utf8_lossy(&[read("environ"), read("cmdline")].concat()).into_owned();
            marks.iter().any(|mark| text.contains(mark))
        };
        let own = i32::try_from(std::process::id()).unwrap();
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| *pid != own && ours(*pid))
            .collect()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if thread::panicking() {
            for log in fs::read_dir(self.path("root/logs")).into_iter().flatten().flatten() {
                eprintln!("--- {}\n{}", log.path().display(), fs::read_to_string(log.path()).unwrap_or_default());
            }
        }
        // The keeper first, or it starts the others again; then the supervisor, or it becomes keeper.
        for _ in 0..100 {
            let left = self.processes();
            if left.is_empty() {
                break;
            }
            for pid in left {
                let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
            }
            thread::sleep(Duration::from_millis(20));
        }
        if let Some(mut keeper) = self.keeper.take() {
            let _ = keeper.wait();
        }
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Stops a process, and waits until each of its threads has stopped.
pub(crate) fn stop(pid: i32) {
    signal(pid, Signal::STOP);
    eventually("all threads have stopped", || {
        let stopped = |stat: String| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" T"));
        let mut tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        tasks.all(|task| fs::read_to_string(task.path().join("stat")).is_ok_and(stopped)).then_some(())
    });
}

/// A process, to be asked later whether it lives.
pub(crate) struct Process(i32, u64);

impl Process {
    pub(crate) fn of(pid: i32) -> Self {
        Self(pid, start_time(pid).unwrap())
    }

    pub(crate) fn is_alive(&self) -> bool {
        is_alive(self.0, self.1)
    }

    /// Not even a zombie is left.
    pub(crate) fn is_gone(&self) -> bool {
        start_time(self.0).ok() != Some(self.1)
    }
}

/// Tries until there is something.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "it does not come about: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The names in a directory.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
