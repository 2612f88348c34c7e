//! Domain types of `containers.capnp`.

use crate::common::{ExitRecord, IdRange, Limits, PortBinding, Volume};
use crate::failure::CodeNumber;
use crate::filesystem::{HostEntry, Tmpfs};
use crate::log_collector::LogMode;
use crate::network::{Attachment, Mode, NetworkInfo};
use crate::security::Security;
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
    /// What becomes of output that is faster than the log.
    #[serde(default)]
    pub log_mode: LogMode,
    /// `key=value`.
    #[serde(default)]
    pub labels: Vec<String>,
    /// When it is started again by itself.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// Name or number; empty: the image's.
    #[serde(default)]
    pub stop_signal: String,
    /// How long a stop waits if its caller does not say, milliseconds; 0: 10 s.
    #[serde(default)]
    pub stop_timeout_ms: u32,
    /// Lines of /etc/hosts.
    #[serde(default)]
    pub extra_hosts: Vec<HostEntry>,
    /// Addresses of name servers; empty: the host's.
    #[serde(default)]
    pub nameservers: Vec<String>,
    /// Domains that names are looked up in; empty: the host's.
    #[serde(default)]
    pub search_domains: Vec<String>,
    /// What its processes may do.
    #[serde(default)]
    pub security: Security,
    /// Filesystems in memory.
    #[serde(default)]
    pub tmpfs: Vec<Tmpfs>,
    /// Whose users its users are.
    #[serde(default)]
    pub users: UserMode,
}

/// Whose users the users of a container are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserMode {
    /// As the instance is configured.
    #[default]
    Default,
    /// Its own, of a user namespace.
    Private,
    /// The host's.
    Host,
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
    /// Its processes are stopped where they are.
    Paused,
    /// Has ended, and will be started again by its restart policy.
    Restarting,
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
    /// How often its restart policy started it again.
    #[serde(default)]
    pub restart_count: u32,
    /// The further processes that run in it.
    #[serde(default)]
    pub execs: Vec<ContainerId>,
    /// Its ids on the host; none: it has the host's own.
    #[serde(default)]
    pub ids: Option<IdRange>,
}

/// What a list shows of a container. There may be thousands, and most of each is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: ContainerId,
    /// The name that it has.
    pub name: String,
    /// The image, as its user wrote it.
    pub image: String,
    /// The image that it was made from.
    pub image_id: Digest,
    /// What PID 1 executes.
    pub arguments: Vec<String>,
    /// `key=value`.
    pub labels: Vec<String>,
    /// How it is or will be connected.
    pub network: Mode,
    /// What of the host it sees.
    pub volumes: Vec<Volume>,
    /// The ports that are to be published.
    pub ports: Vec<PortBinding>,
    /// The ports that are, while it runs with a network.
    pub published: Option<Vec<PortBinding>>,
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
    /// The last start failed.
    pub has_failed: bool,
    /// How often its restart policy started it again.
    pub restart_count: u32,
}

impl From<Container> for Summary {
    fn from(container: Container) -> Self {
        let Container {
            id, spec, image_id, arguments, created_at, state, pid, started_at, exit, restart_count, ..
        } = container;
        Self {
            id,
            name: spec.name,
            image: spec.image,
            image_id,
            arguments,
            labels: spec.labels,
            network: spec.network,
            volumes: spec.volumes,
            ports: spec.ports,
            published: container.attachment.map(|attachment| attachment.ports),
            created_at,
            state,
            pid,
            started_at,
            exit,
            has_failed: container.error.is_some(),
            restart_count,
        }
    }
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

/// When a container is started again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// When.
    pub kind: RestartKind,
    /// Of `OnFailure`: how often at most; 0: without bound.
    pub maximum: u32,
}

/// When a container is started again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartKind {
    /// Never.
    #[default]
    No,
    /// When its exit code is not 0.
    OnFailure,
    /// Always, also after the host was restarted.
    Always,
    /// Always, but not after the host was restarted if a user had stopped it.
    UnlessStopped,
}

/// A further process to run in a container.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExecSpec {
    /// At least one.
    pub arguments: Vec<String>,
    /// `KEY=value`, after the environment of the container.
    pub environment: Vec<String>,
    /// Empty: that of the container.
    pub user: String,
    /// Empty: that of the container.
    pub working_directory: String,
    /// Whether its stdio is a pseudo-terminal.
    pub terminal: bool,
    /// Whether its stdin can be written.
    pub open_stdin: bool,
    /// Initial rows of the terminal; 0: unknown.
    pub rows: u16,
    /// Initial columns of the terminal; 0: unknown.
    pub columns: u16,
    /// Whether it has every capability, and no AppArmor profile.
    #[serde(default)]
    pub privileged: bool,
}

/// A further process of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// Its id.
    pub id: ContainerId,
    /// Where it runs.
    pub container: ContainerId,
    /// In the PID namespace of the host.
    pub pid: i32,
    /// Log position at which its output begins.
    pub position: u64,
}

/// What to make of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitSpec {
    /// `repository[:tag]`; empty: untagged.
    pub reference: String,
    /// Comment.
    pub message: String,
    /// Who made it.
    pub author: String,
    /// Instructions as of a Dockerfile.
    pub changes: Vec<String>,
    /// Whether to pause it meanwhile if it runs.
    pub pause: bool,
}

/// What happened to a container.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Event {
    /// Counts up, never reused.
    pub sequence: u64,
    /// Nanoseconds since the Unix epoch.
    pub at: i64,
    /// As the contract lists them: `start`, `die`.
    pub action: String,
    /// Whom it happened to.
    pub container: ContainerId,
    /// `key=value`.
    pub attributes: Vec<String>,
}

/// Some events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventList {
    /// Oldest first.
    pub events: Vec<Event>,
    /// To go on from.
    pub next: u64,
}
