//! Domain types of `image-store.capnp`.

use crate::Digest;
use crate::common::Layer;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// An image: its configuration, layers and names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Digest of the image configuration.
    pub id: Digest,
    /// `repository:tag`, sorted.
    pub references: Vec<String>,
    /// Nanoseconds since the Unix epoch.
    pub created_at: i64,
    /// Bytes of all blobs.
    pub size: u64,
    /// Base first.
    pub layers: Vec<Layer>,
    /// What it says of the process to run.
    pub config: ImageConfig,
}

/// What an image says of the process to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `KEY=value`.
    pub environment: Vec<String>,
    /// What always begins the command.
    pub entrypoint: Vec<String>,
    /// What follows the entrypoint unless the user says otherwise.
    pub command: Vec<String>,
    /// Absolute; empty: `/`.
    pub working_directory: String,
    /// Name or uid, `[:group]`; empty: root.
    pub user: String,
    /// Name or number; empty: SIGTERM.
    pub stop_signal: String,
    /// As OCI names it: `amd64`.
    pub architecture: String,
    /// As OCI names it: `linux`.
    pub os: String,
    /// Free text.
    pub comment: String,
}

/// What to make of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRequest {
    /// `repository[:tag]`; empty: untagged.
    pub reference: String,
    /// Where it came from.
    pub source: String,
}

/// A blob of this host's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// A file that does not change as long as it exists.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
}
