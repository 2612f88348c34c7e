//! An instance of cctl whose services are made up: they speak the real contract on real sockets, and their
//! containers are a few lines of code each.

mod containers;
mod images;
mod logs;
mod program;
mod serve;
mod world;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the services were asked for, in order.
pub type Journal = Arc<Mutex<Vec<String>>>;

/// A running instance. Dropping it ends its services.
pub struct Fake {
    directory: tempfile::TempDir,
    journal: Journal,
    restarts: tokio::sync::mpsc::UnboundedSender<()>,
}

impl Fake {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::default();
        let (restarts, ask) = tokio::sync::mpsc::unbounded_channel();
        let (run, written) = (directory.path().to_owned(), journal.clone());
        let (up, ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || serve::serve(&run, written, ask, &up));
        ready.recv().unwrap();
        Self { directory, journal, restarts }
    }

    /// Breaks every connection, as a restart of every service does.
    pub fn restart_services(&self) {
        self.restarts.send(()).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).env("CCTL_RUN", self.directory.path()).env("CCTL_ROOT", self.directory.path());
        command.env("CCTL_CONFIG", self.directory.path().join("config"));
        command.env("CCTL_AUTH_FILE", self.directory.path().join("auth/auth.json"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn cctl(&self, arguments: &[&str]) -> Answer {
        self.command(arguments).output().unwrap().into()
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What was asked for so far, of one kind.
    pub fn asked(&self, beginning: &str) -> Vec<String> {
        self.journal.lock().unwrap().iter().filter(|line| line.starts_with(beginning)).cloned().collect()
    }
}

pub fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_cctl").into()
}

/// What a finished command leaves.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Waits for something that comes soon.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}
