//! Domain types that several services share: `common.capnp`.

use crate::bindings::common_capnp::{
    self, about, check_report, exit_record, layer, limits, port_binding, problem, sandbox_ref, volume,
};
use crate::failure::Failure;
use crate::ids::{ContainerId, Digest};
use crate::wire::{Wire, ids, length, list, set_ids, set_list, set_texts, text, texts};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::num::NonZeroU32;

/// The version of the contract that this crate speaks.
pub const PROTOCOL: u32 = 1;

/// Who answers a `hello`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// What the service implements: `executor`.
    pub service: String,
    /// Version of the program.
    pub version: String,
    /// Version of the contract.
    pub protocol: u32,
    /// Differs for every start of the service.
    pub epoch: u64,
    /// Optional features that both sides know.
    pub features: u64,
}

/// Names the namespaces of a sandbox: `/proc/<pid>/ns/*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxRef {
    /// Process id of the sandbox's monitor in the host's PID namespace.
    pub pid: i32,
    /// Its start time in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
    pub start_time: u64,
}

/// One layer of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Of the blob as stored.
    pub digest: Digest,
    /// Of the uncompressed tar.
    pub diff_id: Digest,
    /// OCI or Docker media type.
    pub media_type: String,
    /// Of the blob, bytes.
    pub size: u64,
}

/// Resource limits; zero means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes.
    pub memory: u64,
    /// Bytes of memory and swap together; 0: twice `memory`; -1: no limit of swap.
    pub memory_swap: i64,
    /// Billionths of a CPU.
    pub nano_cpus: u64,
    /// Tasks.
    pub pids: u64,
    /// Relative weight where CPUs are contended: 2 to 262144.
    #[serde(default)]
    pub cpu_shares: u64,
}

/// Transport protocol of a published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortBinding {
    /// Address of the host; none: all.
    pub host_address: Option<IpAddr>,
    /// Port on the host; 0 in a request: choose one.
    pub host_port: u16,
    /// Port in the container.
    pub container_port: u16,
    /// Protocol.
    pub protocol: Protocol,
}

/// A directory or file of the host, mounted in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Absolute path on the host.
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// Whether the container may not write.
    pub read_only: bool,
    /// Whether files belong in the container to whom they belong on the host, though its ids are others there.
    #[serde(default)]
    pub idmap: bool,
}

/// Which ids of the host the users and groups of a container with a user namespace of its own are: 0 to 65535 are a
/// number and those that follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdRange(NonZeroU32);

impl IdRange {
    /// How many ids a container has.
    pub const SIZE: u32 = 1 << 16;

    /// From this number on; 0, and what leaves no room for all, is none.
    pub fn new(base: u32) -> Option<Self> {
        let fits = base.checked_add(Self::SIZE).is_some_and(|end| end <= u32::MAX - Self::SIZE);
        NonZeroU32::new(base).filter(|_| fits).map(Self)
    }

    /// The number on the wire: 0 is none.
    pub(crate) fn read(base: u32) -> Result<Option<Self>, Failure> {
        match (base, Self::new(base)) {
            (0, _) => Ok(None),
            (_, Some(range)) => Ok(Some(range)),
            _ => Err(Failure::invalid(format_args!("{} ids from {base} on are no range of user ids", Self::SIZE))),
        }
    }

    /// What root of the container is on the host.
    pub fn base(self) -> u32 {
        self.0.get()
    }

    /// What an id of the container is on the host; none if it has no such id.
    pub fn outside(self, id: u32) -> Option<u32> {
        self.base().checked_add(id).filter(|_| id < Self::SIZE)
    }

    /// What an id of the host is in the container; none if it has none for that.
    pub fn inside(self, id: u32) -> Option<u32> {
        id.checked_sub(self.base()).filter(|id| *id < Self::SIZE)
    }

    /// Whether two have an id in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.base().abs_diff(other.base()) < Self::SIZE
    }
}

/// A range as a number, for the wire: 0 if there is none.
pub(crate) fn base(range: Option<IdRange>) -> u32 {
    range.map_or(0, IdRange::base)
}

/// How a container's first process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The exit status, or 128 + the signal; -1: unknown.
    pub code: i32,
    /// The signal that ended it; 0: none.
    pub signal: i32,
    /// Whether the kernel's OOM killer was at work in its cgroup.
    pub oom_killed: bool,
    /// Nanoseconds since the Unix epoch.
    pub finished_at: i64,
    /// Why the code is unknown; else empty.
    pub note: String,
}

/// What a service found when it compared what it stores with what it should store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Objects that were read and verified.
    pub examined: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Empty: all is whole.
    pub problems: Vec<Problem>,
    /// What was mended.
    pub repaired: Vec<Problem>,
    /// Damaged files that were set aside, and that nothing depends on.
    pub kept: Vec<Problem>,
    /// Containers and execs that have something at this service.
    pub owners: Vec<ContainerId>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What, as a user can name it.
    pub object: String,
    /// What is wrong with it.
    pub message: String,
    /// What mends it; may be empty.
    pub hint: String,
    /// Images, `repository@digest`, of which pulling any one brings what is missing.
    pub sources: Vec<String>,
}

impl Problem {
    /// One that no pull mends.
    pub fn new(object: impl Into<String>, message: impl ToString, hint: impl Into<String>) -> Self {
        Self { object: object.into(), message: message.to_string(), hint: hint.into(), sources: Vec::new() }
    }
}

impl Wire for About {
    type Owned = about::Owned;

    fn read(reader: about::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            service: text(reader.get_service())?,
            version: text(reader.get_version())?,
            protocol: reader.get_protocol(),
            epoch: reader.get_epoch(),
            features: reader.get_features(),
        })
    }

    fn write(&self, mut builder: about::Builder<'_>) {
        let Self { service, version, protocol, epoch, features } = self;
        builder.set_service(service);
        builder.set_version(version);
        builder.set_protocol(*protocol);
        builder.set_epoch(*epoch);
        builder.set_features(*features);
    }
}

impl Wire for SandboxRef {
    type Owned = sandbox_ref::Owned;

    fn read(reader: sandbox_ref::Reader<'_>) -> Result<Self, Failure> {
        let pid = reader.get_pid();
        if pid < 2 {
            return Err(Failure::invalid(format_args!("{pid} is not the process id of a sandbox")));
        }
        Ok(Self { pid, start_time: reader.get_start_time() })
    }

    fn write(&self, mut builder: sandbox_ref::Builder<'_>) {
        let Self { pid, start_time } = *self;
        builder.set_pid(pid);
        builder.set_start_time(start_time);
    }
}

impl Wire for Layer {
    type Owned = layer::Owned;

    fn read(reader: layer::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            digest: text(reader.get_digest())?.parse()?,
            diff_id: text(reader.get_diff_id())?.parse()?,
            media_type: text(reader.get_media_type())?,
            size: reader.get_size(),
        })
    }

    fn write(&self, mut builder: layer::Builder<'_>) {
        let Self { digest, diff_id, media_type, size } = self;
        builder.set_digest(digest.as_str());
        builder.set_diff_id(diff_id.as_str());
        builder.set_media_type(media_type);
        builder.set_size(*size);
    }
}

impl Wire for Limits {
    type Owned = limits::Owned;

    fn read(reader: limits::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            memory: reader.get_memory(),
            memory_swap: reader.get_memory_swap(),
            nano_cpus: reader.get_nano_cpus(),
            pids: reader.get_pids(),
            cpu_shares: reader.get_cpu_shares(),
        })
    }

    fn write(&self, mut builder: limits::Builder<'_>) {
        let Self { memory, memory_swap, nano_cpus, pids, cpu_shares } = *self;
        builder.set_memory(memory);
        builder.set_memory_swap(memory_swap);
        builder.set_nano_cpus(nano_cpus);
        builder.set_pids(pids);
        builder.set_cpu_shares(cpu_shares);
    }
}

impl Wire for PortBinding {
    type Owned = port_binding::Owned;

    fn read(reader: port_binding::Reader<'_>) -> Result<Self, Failure> {
        let address = text(reader.get_host_address())?;
        let host_address = match address.as_str() {
            "" => None,
            given => Some(given.parse().map_err(|_| Failure::invalid(format_args!("{given:?} is not an IP address")))?),
        };
        let container_port = reader.get_container_port();
        if container_port == 0 {
            return Err(Failure::invalid("0 is not a port of a container"));
        }
        Ok(Self {
            host_address,
            host_port: reader.get_host_port(),
            container_port,
            protocol: match reader.get_protocol()? {
                common_capnp::Protocol::Tcp => Protocol::Tcp,
                common_capnp::Protocol::Udp => Protocol::Udp,
            },
        })
    }

    fn write(&self, mut builder: port_binding::Builder<'_>) {
        let Self { host_address, host_port, container_port, protocol } = self;
        if let Some(address) = host_address {
            builder.set_host_address(address.to_string());
        }
        builder.set_host_port(*host_port);
        builder.set_container_port(*container_port);
        builder.set_protocol(match protocol {
            Protocol::Tcp => common_capnp::Protocol::Tcp,
            Protocol::Udp => common_capnp::Protocol::Udp,
        });
    }
}

impl Wire for Volume {
    type Owned = volume::Owned;

    fn read(reader: volume::Reader<'_>) -> Result<Self, Failure> {
        let (source, target) = (text(reader.get_source())?, text(reader.get_target())?);
        for path in [&source, &target] {
            if !path.starts_with('/') || path.contains('\0') {
                return Err(Failure::invalid(format_args!("volume path {path:?} is not absolute"))
                    .hint("write -v /host/path:/container/path[:ro][,idmap]"));
            }
        }
        Ok(Self { source, target, read_only: reader.get_read_only(), idmap: reader.get_idmap() })
    }

    fn write(&self, mut builder: volume::Builder<'_>) {
        let Self { source, target, read_only, idmap } = self;
        builder.set_source(source);
        builder.set_target(target);
        builder.set_read_only(*read_only);
        builder.set_idmap(*idmap);
    }
}

impl Wire for ExitRecord {
    type Owned = exit_record::Owned;

    fn read(reader: exit_record::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            code: reader.get_code(),
            signal: reader.get_signal(),
            oom_killed: reader.get_oom_killed(),
            finished_at: reader.get_finished_at(),
            note: text(reader.get_note())?,
        })
    }

    fn write(&self, mut builder: exit_record::Builder<'_>) {
        let Self { code, signal, oom_killed, finished_at, note } = self;
        builder.set_code(*code);
        builder.set_signal(*signal);
        builder.set_oom_killed(*oom_killed);
        builder.set_finished_at(*finished_at);
        builder.set_note(note);
    }
}

impl Wire for CheckReport {
    type Owned = check_report::Owned;

    fn read(reader: check_report::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            examined: reader.get_examined(),
            bytes: reader.get_bytes(),
            problems: list(reader.get_problems())?,
            repaired: list(reader.get_repaired())?,
            kept: list(reader.get_kept())?,
            owners: ids(reader.get_owners())?,
        })
    }

    fn write(&self, mut builder: check_report::Builder<'_>) {
        let Self { examined, bytes, problems, repaired, kept, owners } = self;
        builder.set_examined(*examined);
        builder.set_bytes(*bytes);
        set_list(builder.reborrow().init_problems(length(problems)), problems);
        set_list(builder.reborrow().init_repaired(length(repaired)), repaired);
        set_list(builder.reborrow().init_kept(length(kept)), kept);
        set_ids(builder.init_owners(length(owners)), owners);
    }
}

impl Wire for Problem {
    type Owned = problem::Owned;

    fn read(reader: problem::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            object: text(reader.get_object())?,
            message: text(reader.get_message())?,
            hint: text(reader.get_hint())?,
            sources: texts(reader.get_sources())?,
        })
    }

    fn write(&self, mut builder: problem::Builder<'_>) {
        let Self { object, message, hint, sources } = self;
        set_texts(builder.reborrow().init_sources(length(sources)), sources);
        builder.set_object(object);
        builder.set_message(message);
        builder.set_hint(hint);
    }
}
