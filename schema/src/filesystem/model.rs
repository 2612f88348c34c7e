//! Domain types of `filesystem.capnp`.

use crate::ContainerId;
use crate::common::{IdRange, Layer, SandboxRef, Volume};
use serde::{Deserialize, Serialize};

/// What makes a root filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSpec {
    /// Base first, at least one.
    pub layers: Vec<Layer>,
    /// Mounted over it, with `tmpfs`: those higher up in the tree first.
    pub volumes: Vec<Volume>,
    /// Whether the files of /etc that belong to the engine cannot be written.
    pub read_only: bool,
    /// Filesystems in memory.
    pub tmpfs: Vec<Tmpfs>,
    /// Of the sandbox's user namespace; none: it has the host's.
    pub ids: Option<IdRange>,
}

/// An empty filesystem in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tmpfs {
    /// Absolute path in the container.
    pub target: String,
    /// Bytes, at most; 0: as the kernel has it.
    pub size: u64,
    /// Permission bits of its root.
    pub mode: u32,
    /// Owner of its root.
    pub uid: u32,
    /// Group of its root.
    pub gid: u32,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// Whether programs can be executed.
    pub exec: bool,
    /// Whether set-user-id bits count.
    pub suid: bool,
    /// Whether device nodes can be opened.
    pub dev: bool,
}

/// The contents of /etc/hostname and /etc/hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The container's own.
    pub hostname: String,
    /// Lines of /etc/hosts besides those of localhost.
    pub hosts: Vec<HostEntry>,
    /// Addresses; empty: those of the host, and its later changes are followed.
    pub nameservers: Vec<String>,
    /// Domains; empty: those of the host.
    pub search: Vec<String>,
}

/// A line of /etc/hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEntry {
    /// IP address.
    pub address: String,
    /// Name.
    pub hostname: String,
}

/// How a path differs from the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It, or something in the directory, is other.
    Modified,
    /// It is gone.
    Deleted,
}

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, FIFO or socket.
    Other,
}

/// A path that differs from the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Absolute; bytes, as the file system has them.
    pub path: Vec<u8>,
    /// How.
    pub kind: ChangeKind,
}

/// Some of the changes of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeList {
    /// In the byte order of their components.
    pub changes: Vec<Change>,
    /// There are further ones.
    pub more: bool,
}

/// What to put into an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRequest {
    /// `/` for an export; else what to copy.
    pub path: String,
    /// The whole root, without volumes.
    pub export: bool,
    /// The part may be put in a file of this host.
    pub by_path: bool,
}

/// A part of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveChunk {
    /// Bytes of the tar archive.
    pub data: Vec<u8>,
    /// Cursor of the next part.
    pub next: Vec<u8>,
    /// This is the last part.
    pub ended: bool,
    /// If not empty: the part is in this file instead.
    pub path: String,
    /// Bytes of the part in that file.
    pub length: u64,
}

/// What to unpack, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtractRequest {
    /// An existing directory of the container.
    pub path: String,
    /// An upload of the image store.
    pub upload: String,
    /// Keep the user and group ids of the archive; else the files become those of root.
    pub keep_owner: bool,
}

/// What a writable layer takes on disk.
#[derive(Clone, Debug, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// As allocated on disk.
    pub bytes: u64,
    /// Files, directories and links.
    pub inodes: u64,
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStat {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since the Unix epoch.
    pub modified_at: i64,
    /// Of a symbolic link.
    pub link_target: Vec<u8>,
}

/// The root filesystem of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The container.
    pub id: ContainerId,
    /// Of its image, base first.
    pub layers: Vec<Layer>,
    /// Where it is mounted; none: it does not run.
    pub sandbox: Option<SandboxRef>,
    /// Of the sandbox's user namespace; none: it has the host's.
    pub ids: Option<IdRange>,
}
