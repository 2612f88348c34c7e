//! The JSON documents of an image, as the OCI image specification has them.

pub(crate) mod config;
pub(crate) mod manifest;
mod timestamp;

use manifest::{OCI_CONFIG, OCI_MANIFEST};
use schema::common::Layer;
use schema::image_store::ImageConfig;
use schema::{Digest, Failure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Digest as _;

/// A document and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) digest: Digest,
    pub(crate) text: String,
}

impl Document {
    fn of(value: &serde_json::Value) -> Result<Self, Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::internal(format_args!("writing a document of an image: {error}")))?;
        Ok(Self { digest: digest(text.as_bytes()), text })
    }

    pub(crate) fn size(&self) -> u64 {
        self.text.len() as u64
    }
}

/// What the configuration of an imported image says to a container: nothing but its platform.
pub(crate) fn imported_config(source: &str) -> ImageConfig {
    ImageConfig {
        architecture: architecture().to_owned(),
        os: "linux".to_owned(),
        comment: format!("Imported from {source}"),
        ..ImageConfig::default()
    }
}

/// The configuration of an image of one layer.
pub(crate) fn config(config: &ImageConfig, layer: &Layer, created_at: i64) -> Result<Document, Failure> {
    let created = timestamp::rfc3339(created_at);
    Document::of(&json!({
        "created": created,
        "architecture": config.architecture,
        "os": config.os,
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [layer.diff_id] },
        "history": [{ "created": created, "created_by": "cctl import", "comment": config.comment }],
    }))
}

/// The manifest of an image of one layer.
pub(crate) fn manifest(config: &Document, layer: &Layer) -> Result<Document, Failure> {
    Document::of(&json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": { "mediaType": OCI_CONFIG, "digest": config.digest, "size": config.size() },
        "layers": [{ "mediaType": layer.media_type, "digest": layer.digest, "size": layer.size }],
    }))
}

/// The media type of the manifests that are made here.
pub(crate) fn manifest_type() -> String {
    OCI_MANIFEST.to_owned()
}

/// The digest of what is in memory.
pub(crate) fn digest(content: &[u8]) -> Digest {
    Digest::from_sha256(&sha2::Sha256::digest(content).into())
}

/// This machine's, by the name that OCI took from Go.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "loongarch64" => "loong64",
        same => same,
    }
}
