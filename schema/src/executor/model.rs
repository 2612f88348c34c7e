//! Domain types of `executor.capnp`.

use crate::ContainerId;
use crate::common::{ExitRecord, Limits, SandboxRef};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a sandbox is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// Of its UTS namespace.
    pub hostname: String,
    /// Whether it shares the host's network namespace.
    pub host_network: bool,
    /// Whether its stdio is a pseudo-terminal.
    pub terminal: bool,
    /// Whether its stdin can be written; else it is /dev/null.
    pub open_stdin: bool,
    /// Of its cgroup.
    pub limits: Limits,
}

/// A sandbox that is ready to be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Names its namespaces.
    pub sandbox: SandboxRef,
    /// Holds its FIFOs.
    pub directory: PathBuf,
    /// Limits that this host cannot enforce.
    pub warnings: Vec<String>,
}

/// The first process of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// At least one.
    pub arguments: Vec<String>,
    /// `KEY=value`; the last of a key wins.
    pub environment: Vec<String>,
    /// Absolute; made if it is missing.
    pub working_directory: String,
    /// Name or uid, `[:group or gid]`; empty: root.
    pub user: String,
    /// Rows of the terminal; 0: unknown.
    pub rows: u16,
    /// Columns of the terminal; 0: unknown.
    pub columns: u16,
}

/// A process that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// In the host's PID namespace.
    pub pid: i32,
    /// Nanoseconds since the Unix epoch.
    pub started_at: i64,
}

/// A sandbox, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxState {
    /// Of the container that it belongs to.
    pub id: ContainerId,
    /// How far it is.
    pub phase: Phase,
}

/// How far a sandbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Prepared, not started.
    Parked,
    /// PID 1 runs.
    Running(Started),
    /// PID 1 has ended.
    Exited(ExitRecord),
}
