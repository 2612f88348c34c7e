//! A program to execute: with exactly this environment, and exactly these descriptors.

use crate::confine::Confinement;
use crate::sys;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};
use schema::Instance;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The search path of every process that we start.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What services have from the environment of whoever started us: how much they log, by which proxies they reach
/// registries, and whom they trust there.
const INHERITED: [&str; 11] = [
    "CCTL_LOG",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What to execute. Sockets are passed by the protocol of sd_listen_fds(3).
#[derive(Debug)]
pub(crate) struct Program<'a> {
    executable: PathBuf,
    name: &'a str,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    passed: Vec<(&'a str, BorrowedFd<'a>)>,
    confinement: Option<Confinement>,
}

/// What becomes of the child when its parent dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bond {
    /// It lives on.
    None,
    /// It is killed. The kernel means the thread that forked: only the main thread may.
    DiesWithParent,
}

/// A process that we have started.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: Pid,
    /// Readable when the process has ended.
    pub(crate) pidfd: OwnedFd,
}

impl<'a> Program<'a> {
    /// This program, called by this name, without arguments, its environment nothing but the search path.
    pub(crate) fn new(executable: impl Into<PathBuf>, name: &'a str) -> Self {
        let environment = vec![("PATH", SEARCH_PATH.into())];
        let (executable, arguments, passed) = (executable.into(), Vec::new(), Vec::new());
        Self { executable, name, arguments, environment, passed, confinement: None }
    }

    /// Adds an argument.
    pub(crate) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds an environment variable.
    pub(crate) fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Adds the instance, and what our own environment has of [`INHERITED`].
    pub(crate) fn of(self, instance: &Instance) -> Self {
        let program = self
            .variable("CCTL_ROOT", instance.root())
            .variable("CCTL_RUN", instance.run())
            .variable("CCTL_CONFIG", instance.config());
        INHERITED.into_iter().fold(program, |program, name| match std::env::var_os(name) {
            Some(value) => program.variable(name, value),
            None => program,
        })
    }

    /// Passes a descriptor: the first will be number 3.
    pub(crate) fn pass(mut self, name: &'a str, descriptor: BorrowedFd<'a>) -> Self {
        self.passed.push((name, descriptor));
        self
    }

    /// Takes from it, before it runs, what it is not to have.
    pub(crate) fn confined(self, confinement: Confinement) -> Self {
        Self { confinement: Some(confinement), ..self }
    }

    /// Starts it, with no input, and with its output appended to the file `log`.
    pub(crate) fn spawn(mut self, log: &Path, bond: Bond) -> io::Result<Child> {
        let output = appended(log)?;
        let image = self.image(bond)?;
        let mut command = Command::new(&self.executable);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = sys::spawn(command, image)?;
        let pid = Pid::from_child(&child);
        // It cannot be another process: nobody but us reaps it.
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| abandon(pid))?;
        Ok(Child { pid, pidfd })
    }

    /// Becomes it. Returns only if that failed, in a process that can but end.
    pub(crate) fn become_it(mut self) -> io::Error {
        match self.image(Bond::None) {
            Ok(image) => sys::become_image(image),
            Err(error) => error,
        }
    }

    fn image(&mut self, bond: Bond) -> io::Result<sys::Image> {
        let mut arguments = vec![c_string(self.name.as_ref())?];
        for argument in &self.arguments {
            arguments.push(c_string(argument)?);
        }
        let names: Vec<&str> = self.passed.iter().map(|(name, _)| *name).collect();
        let count = names.len().to_string();
        let own = [("LISTEN_FDS", OsString::from(count)), ("LISTEN_FDNAMES", names.join(":").into())];
        let mut environment = Vec::new();
        for (name, value) in self.environment.iter().chain(&own) {
            let mut entry = OsString::from(name);
            entry.push("=");
            entry.push(value);
            environment.push(c_string(&entry)?);
        }
        let descriptors: Vec<BorrowedFd<'_>> = self.passed.iter().map(|(_, descriptor)| *descriptor).collect();
        sys::Image::new(
            c_string(self.executable.as_os_str())?,
            arguments,
            environment,
            &descriptors,
            bond,
            self.confinement.take(),
        )
    }
}

/// A file that output is appended to.
fn appended(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(io::Error::from)
}

/// Ends a child that cannot be watched, so that it does not run unseen.
pub(crate) fn abandon(child: Pid) {
    // It is ours and not reaped: neither can fail.
    let _ = kill_process(child, Signal::KILL);
    let _ = waitpid(Some(child), WaitOptions::empty());
}

/// How a process ended, for people: by its exit status, or by a signal.
pub(crate) fn describe(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(number)) => match nix::sys::signal::Signal::try_from(number) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {number}"),
        },
        (None, None) => "ended".to_owned(),
    }
}
