//! Domain types of `image-store.capnp`.

use crate::common::Layer;
use crate::{ContainerId, Digest, Failure};
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
    /// Digest of its manifest.
    pub manifest: Digest,
    /// `repository@sha256:<hex>` under which registries know it, sorted.
    pub repository_digests: Vec<String>,
    /// The image that it was committed on.
    pub parent: Option<Digest>,
    /// The container that it was committed from.
    pub container: Option<ContainerId>,
    /// Who made it; may be empty.
    pub author: String,
    /// Who has a lease on it.
    pub holders: Vec<String>,
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
    /// `key=value`.
    #[serde(default)]
    pub labels: Vec<String>,
    /// `80/tcp`.
    #[serde(default)]
    pub exposed_ports: Vec<String>,
    /// Paths.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Of the architecture: `v8`.
    #[serde(default)]
    pub variant: String,
}

/// What to make of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRequest {
    /// `repository[:tag]`; empty: untagged.
    pub reference: String,
    /// Where it came from.
    pub source: String,
    /// The comment in its place; may be empty.
    pub message: String,
    /// Instructions as of a Dockerfile.
    pub changes: Vec<String>,
    /// `os/architecture[/variant]`; empty: of this host.
    pub platform: String,
}

/// A blob of this host's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// A file that does not change as long as it exists.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
}

/// How far a part of a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferStatus {
    /// Its turn has not come.
    Waiting,
    /// Its bytes are on the way.
    Transferring,
    /// It has arrived and is being verified.
    Verifying,
    /// It was cut off, and will be tried again.
    Retrying,
    /// It was there already.
    Exists,
    /// The registry had it in another repository.
    Mounted,
    /// It is there.
    Done,
}

/// Who somebody is to a registry; all empty: nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Name.
    pub user: String,
    /// Password.
    pub password: String,
    /// In place of a password: an OAuth 2 refresh token.
    pub identity_token: String,
}

/// What to bring from a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Chosen by the caller: 1 to 64 of `[a-z0-9]`.
    pub transfer: String,
    /// `[registry/]repository[:tag][@digest]`.
    pub reference: String,
    /// `os/architecture[/variant]`; empty: of this host.
    pub platform: String,
    /// Every tag of the repository.
    pub all_tags: bool,
    /// Of the caller.
    pub credentials: Credentials,
}

/// What to send to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRequest {
    /// Chosen by the caller: 1 to 64 of `[a-z0-9]`.
    pub transfer: String,
    /// Of an image that is here.
    pub reference: String,
    /// Every tag of that repository.
    pub all_tags: bool,
    /// Of the caller.
    pub credentials: Credentials,
}

/// What to bring from a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// Chosen by the caller: 1 to 64 of `[a-z0-9]`.
    pub transfer: String,
    /// `http://` is assumed if it has no scheme.
    pub url: String,
    /// Where its bytes go.
    pub upload: String,
}

/// A part of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferItem {
    /// First 12 digits of a digest, or a tag.
    pub title: String,
    /// How far it is.
    pub status: TransferStatus,
    /// Bytes.
    pub current: u64,
    /// Bytes; 0: unknown.
    pub total: u64,
    /// Why it is tried again; may be empty.
    pub note: String,
}

/// What came of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferResult {
    /// That were pulled or pushed.
    pub images: Vec<Image>,
    /// Of the last manifest; may be empty.
    pub digest: String,
    /// Bytes of that manifest, or of a fetched file.
    pub size: u64,
    /// Nothing was new.
    pub up_to_date: bool,
    /// `tag digest size` of each tag that was pushed.
    pub pushed: Vec<String>,
    /// Tags that could not be sent or brought, each with the reason.
    pub skipped: Vec<String>,
}

/// What a removal did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names that are gone.
    pub untagged: Vec<String>,
    /// Ids of the images that are gone.
    pub deleted: Vec<String>,
    /// Bytes of blobs that are gone.
    pub freed: u64,
}

/// A step in the making of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryStep {
    /// Id of the image that it made, if it is here; else empty.
    pub image: String,
    /// Nanoseconds since the Unix epoch; 0: unknown.
    pub created_at: i64,
    /// The command.
    pub created_by: String,
    /// Bytes of its layer; 0 if it has none.
    pub size: u64,
    /// Free text.
    pub comment: String,
    /// Names of that image.
    pub references: Vec<String>,
}

/// Configuration and manifest of an image, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// JSON.
    pub configuration: Vec<u8>,
    /// JSON.
    pub manifest: Vec<u8>,
    /// Of the manifest.
    pub media_type: String,
}

/// What to make of another image and a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRequest {
    /// Id of the image that lies below.
    pub base: Digest,
    /// `repository[:tag]`; empty: untagged.
    pub reference: String,
    /// Comment.
    pub message: String,
    /// Who made it.
    pub author: String,
    /// That it was made of.
    pub container: ContainerId,
    /// What that container ran, for the history.
    pub command: Vec<String>,
    /// Of the new image.
    pub config: ImageConfig,
    /// Instructions as of a Dockerfile, applied to `config`.
    pub changes: Vec<String>,
}

/// A part of an archive of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedPart {
    /// Bytes.
    pub data: Vec<u8>,
    /// Bytes of the whole archive.
    pub total: u64,
}

/// A hold on the content of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Id of a container.
    pub holder: String,
    /// Id.
    pub image: Digest,
}

impl std::fmt::Debug for Credentials {
    /// Without the secrets: requests end up in traces.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A transfer, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Grows with every change.
    pub version: u64,
    /// Its parts.
    pub items: Vec<TransferItem>,
    /// How far it is.
    pub progress: TransferProgress,
}

/// How far a transfer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferProgress {
    /// On its way.
    Running,
    /// At its end.
    Done(Box<TransferResult>),
    /// Given up.
    Failed(Failure),
}
