//! The names of images, and their JSON documents as the OCI image specification has them. What is read is hostile.

pub mod build;
pub mod config;
pub mod manifest;
pub mod reference;
mod timestamp;

use manifest::OCI_MANIFEST;
use schema::image_store::ImageConfig;
use schema::{Digest, Failure};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A document and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Of its text.
    pub digest: Digest,
    /// JSON.
    pub text: String,
}

impl Document {
    fn of(value: &serde_json::Value) -> Result<Self, Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::internal(format_args!("writing a document of an image: {error}")))?;
        Ok(Self { digest: digest(text.as_bytes()), text })
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.text.len() as u64
    }
}

/// What an image says when nobody has said anything: its platform is this host's.
pub fn plain_config() -> ImageConfig {
    ImageConfig { architecture: architecture().to_owned(), os: "linux".to_owned(), ..ImageConfig::default() }
}

/// The media type of the manifests that are made here.
pub fn manifest_type() -> String {
    OCI_MANIFEST.to_owned()
}

/// The digest of what is in memory.
pub fn digest(content: &[u8]) -> Digest {
    Digest::from_sha256(&sha2::Sha256::digest(content).into())
}

/// This machine's, by the name that OCI took from Go.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "loongarch64" => "loong64",
        same => same,
    }
}
