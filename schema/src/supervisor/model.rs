//! Domain types of `supervisor.capnp`.

use crate::calls::Count;
use serde::{Deserialize, Serialize};

/// How one of our processes is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Name.
    pub service: String,
    /// 0: not running.
    pub pid: i32,
    /// How far it is.
    pub state: State,
    /// Since the supervisor started.
    pub restarts: u32,
    /// Of the current process, milliseconds.
    pub uptime_ms: u64,
    /// Proportional set size, bytes.
    pub memory: u64,
    /// Why it was restarted last; may be empty.
    pub last_error: String,
    /// The program that replaces the installed one; empty: none does.
    pub executable: String,
    /// What the current process uses.
    pub usage: Usage,
}

/// What the current process of a service uses; all zero of one that does not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time so far, nanoseconds.
    pub cpu_ns: u64,
    /// Bytes that disks read for it.
    pub io_read: u64,
    /// Bytes that they wrote for it.
    pub io_written: u64,
    /// Open descriptors.
    pub descriptors: u32,
    /// Threads.
    pub threads: u32,
}

/// What the current process of a service was called for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCalls {
    /// Name.
    pub service: String,
    /// Connections that it serves.
    pub connections: u32,
    /// By method, in the order of their names.
    pub methods: Vec<MethodCalls>,
}

/// Calls of one method.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodCalls {
    /// `containers.start`.
    pub method: String,
    /// How often, how it ended, how long it took.
    pub count: Count,
}

/// What a process of ours holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Name of the service; `supervisor`, `keeper`, or `monitor` and the container's id.
    pub process: String,
    /// Process id.
    pub pid: i32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Capabilities of any of its threads, permitted, or to be had by executing something; without `CAP_`.
    pub capabilities: Vec<String>,
    /// Whatever it executes, it gains no privilege.
    pub no_new_privileges: bool,
    /// Its system calls are filtered.
    pub seccomp: bool,
    /// Kinds of namespaces that are not the supervisor's.
    pub namespaces: Vec<String>,
    /// Sockets on which it listens.
    pub listens: Vec<String>,
    /// What it has that the manifest does not leave to it.
    pub excess: Vec<String>,
    /// Version of landlock(7) by whose rules it lives; 0: none. By the supervisor's word: /proc does not tell.
    pub landlock: u32,
    /// What the manifest holds it by and this kernel cannot.
    pub lacks: Vec<String>,
}

/// How far a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Started, has not said READY yet.
    Starting,
    /// Serves.
    Ready,
    /// Is being ended.
    Draining,
    /// Waits to be started again.
    Backoff,
    /// Was started too often: given up until `restart`.
    Failed,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
        })
    }
}
