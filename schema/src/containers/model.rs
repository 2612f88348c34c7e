//! Domain types of `containers.capnp`.

use crate::common::{ExitRecord, Limits, PortBinding, Volume};
use crate::failure::CodeNumber;
use crate::network::{Attachment, Mode, NetworkInfo};
use crate::{ContainerId, Digest};
use serde::{Deserialize, Serialize};

/// What a user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Reference, as the user wrote it.
    pub image: String,
    /// Empty in a request: one is made from the id.
    pub name: String,
    /// Empty: the image's.
    pub command: Vec<String>,
    /// None: the image's; empty: none at all.
    pub entrypoint: Option<Vec<String>>,
    /// `KEY=value`, after the image's.
    pub environment: Vec<String>,
    /// Empty: the image's.
    pub user: String,
    /// Empty: the first 12 digits of the id.
    pub hostname: String,
    /// Empty: the image's.
    pub working_directory: String,
    /// Whether stdio is a pseudo-terminal.
    pub terminal: bool,
    /// Whether stdin can be written.
    pub open_stdin: bool,
    /// Whether the end of the client's input ends the container's.
    pub stdin_once: bool,
    /// Of the container's cgroup.
    pub limits: Limits,
    /// How it is connected.
    pub network: Mode,
    /// Ports to publish.
    pub ports: Vec<PortBinding>,
    /// Directories and files of the host.
    pub volumes: Vec<Volume>,
    /// When it is removed by itself.
    pub auto_remove: AutoRemove,
    /// Bytes of a log segment; 0: the collector's default.
    pub log_max_size: u64,
    /// Log segments kept; 0: the collector's default.
    pub log_max_files: u32,
    /// Initial rows of the terminal; 0: unknown.
    pub rows: u16,
    /// Initial columns of the terminal; 0: unknown.
    pub columns: u16,
}

/// When a container is removed by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AutoRemove {
    /// Never.
    #[default]
    Never,
    /// When it has ended.
    OnExit,
    /// When it has ended and its client has said so, or holds no lease any more.
    AfterClient,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Recorded, never run.
    Created,
    /// On its way to run.
    Starting,
    /// PID 1 runs.
    Running,
    /// On its way to end.
    Stopping,
    /// Has run, or failed to start.
    Exited,
    /// On its way out.
    Removing,
}

/// A container: what was asked for, and what is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its id.
    pub id: ContainerId,
    /// What was asked for, with the name that it has.
    pub spec: ContainerSpec,
    /// The image that it was made from.
    pub image_id: Digest,
    /// What PID 1 executes.
    pub arguments: Vec<String>,
    /// Nanoseconds since the Unix epoch.
    pub created_at: i64,
    /// Where it is in its life.
    pub state: State,
    /// Of PID 1 in the host's PID namespace; 0: not running.
    pub pid: i32,
    /// Nanoseconds since the Unix epoch; 0: never.
    pub started_at: i64,
    /// How the last run ended.
    pub exit: Option<ExitRecord>,
    /// Why the last start failed.
    pub error: Option<StartError>,
    /// How it is connected, while it runs.
    pub attachment: Option<Attachment>,
    /// Log position at which the current or last run begins.
    pub run_position: u64,
    /// What the host could not do for it.
    pub warnings: Vec<String>,
}

/// Why a start failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartError {
    /// For programs.
    pub code: CodeNumber,
    /// For people.
    pub message: String,
}

/// Counts, and what the workers say of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// All containers.
    pub containers: u32,
    /// Those that run.
    pub running: u32,
    /// What this instance uses on the host.
    pub network: NetworkInfo,
}
