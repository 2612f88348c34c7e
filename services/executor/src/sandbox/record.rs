//! What is remembered of a sandbox in its own directory, for the executor's next start.

use schema::ContainerId;
use schema::common::{IdRange, SandboxRef};
use schema::executor::{ExecSpec, SandboxSpec};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

/// Written when the sandbox is whole, removed first when it is destroyed: a directory without it is a sandbox
/// that was half made or half destroyed.
const FILE: &str = "sandbox.json";

/// What somebody wants to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Spec {
    /// A sandbox.
    Sandbox(SandboxSpec),
    /// A further process in one.
    Exec {
        /// The sandbox.
        of: ContainerId,
        /// Its streams.
        exec: ExecSpec,
    },
}

impl Spec {
    /// Whether stdio is a pseudo-terminal.
    pub(crate) fn terminal(&self) -> bool {
        match self {
            Self::Sandbox(spec) => spec.terminal,
            Self::Exec { exec, .. } => exec.terminal,
        }
    }

    /// Whether stdin can be written.
    pub(crate) fn open_stdin(&self) -> bool {
        match self {
            Self::Sandbox(spec) => spec.open_stdin,
            Self::Exec { exec, .. } => exec.open_stdin,
        }
    }

    /// The ids that its user namespace is to have of the host; none: it has no such, or joins that of its sandbox.
    pub(crate) fn ids(&self) -> Option<IdRange> {
        match self {
            Self::Sandbox(spec) => spec.ids,
            Self::Exec { .. } => None,
        }
    }

    /// The sandbox that this is an exec of.
    pub(crate) fn exec_of(&self) -> Option<&ContainerId> {
        match self {
            Self::Sandbox(_) => None,
            Self::Exec { of, .. } => Some(of),
        }
    }
}

/// A sandbox, or an exec, that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Boot of the kernel in which it was made.
    pub(crate) boot: String,
    /// What it was made by.
    pub(crate) spec: Spec,
    /// Its monitor.
    pub(crate) monitor: SandboxRef,
    /// Limits that are not enforced.
    pub(crate) warnings: Vec<String>,
    /// PID 1, or the process of an exec, since it runs: if the monitor is killed, nothing else tells which it is.
    #[serde(default)]
    pub(crate) first: Option<SandboxRef>,
    /// When it was started: nanoseconds since the Unix epoch.
    #[serde(default)]
    pub(crate) started_at: i64,
}

impl Record {
    /// Writes it, whole or not at all. It need not survive a power cut: no sandbox does.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        kit::file::write_atomically(&directory.join(FILE), &serde_json::to_vec(self)?)
    }

    /// Reads it.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(directory.join(FILE))?)?)
    }

    /// Removes it: from now on there is no such sandbox.
    pub(crate) fn remove(directory: &Path) -> io::Result<()> {
        match fs::remove_file(directory.join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
