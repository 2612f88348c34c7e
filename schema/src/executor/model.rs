//! Domain types of `executor.capnp`.

use crate::ContainerId;
use crate::common::{ExitRecord, IdRange, Limits, SandboxRef};
use crate::security::Security;
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
    /// What its processes may do.
    #[serde(default)]
    pub security: Box<Security>,
    /// Of its user namespace; none: it has the host's.
    #[serde(default)]
    pub ids: Option<IdRange>,
}

/// A sandbox that is ready to be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Names its namespaces.
    pub sandbox: SandboxRef,
    /// Holds its FIFOs.
    pub directory: PathBuf,
    /// What this host cannot do of it.
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
    /// The sandbox that it is an exec of; none: it is a sandbox itself.
    pub exec_of: Option<ContainerId>,
    /// Whether its processes are stopped by `freeze`.
    pub frozen: bool,
    /// Of its user namespace; none: it has the host's, or is an exec.
    pub ids: Option<IdRange>,
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

/// What a further process of a sandbox is made of.
#[derive(Clone, Debug, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExecSpec {
    /// Whether its stdio is a pseudo-terminal.
    pub terminal: bool,
    /// Whether its stdin can be written; else it is /dev/null.
    pub open_stdin: bool,
    /// Whether it has every capability, and no AppArmor profile.
    #[serde(default)]
    pub privileged: bool,
}

/// What a sandbox has used and uses.
#[derive(Clone, Debug, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// When it was read, nanoseconds since the Unix epoch.
    pub at: i64,
    /// CPU time used so far, nanoseconds.
    pub cpu_ns: u64,
    /// Bytes in use, without page cache that can be dropped at once.
    pub memory: u64,
    /// Bytes; the memory of the host if there is no limit.
    pub memory_limit: u64,
    /// Tasks.
    pub pids: u64,
    /// Bytes.
    pub block_read: u64,
    /// Bytes.
    pub block_written: u64,
    /// Bytes, over all interfaces but loopback.
    pub received: u64,
    /// Bytes.
    pub sent: u64,
    /// CPUs that it may run on.
    pub cpus: u32,
    /// Processes of this run that were killed for want of memory.
    pub oom_kills: u64,
}

/// A process of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// In the PID namespace of the host.
    pub pid: i32,
    /// Its parent, in the same.
    pub parent: i32,
    /// User id on the host.
    pub uid: u32,
    /// Name of that user on the host; the number if it has none.
    pub user: String,
    /// CPU time used so far, nanoseconds.
    pub cpu_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub started_at: i64,
    /// `pts/0`; `?` if it has none.
    pub terminal: String,
    /// Its arguments, separated by spaces.
    pub command: String,
    /// As `ps` shows it: R, S, D, T, Z.
    pub state: String,
    /// Resident set, bytes.
    pub memory: u64,
    /// CPU time over its lifetime, thousandths of a CPU.
    pub cpu_permille: u32,
}
