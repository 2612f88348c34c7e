//! Manifests and indexes: OCI's, and Docker's of schema 2.

use layer_archive::Compression;
use schema::{Digest, Failure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes that a manifest, an index or a configuration may have.
pub const LONGEST_DOCUMENT: u64 = 4 << 20;
/// Layers that an image may have: overlayfs takes 500.
pub const MOST_LAYERS: usize = 500;

/// Media type of OCI's manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of OCI's index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of OCI's configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of Docker's manifest (schema 2).
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Media type of Docker's manifest list.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Media type of Docker's configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Media type of Docker's layers.
pub const DOCKER_GZIP_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// What a manifest or an index says of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is; may be empty.
    #[serde(default)]
    pub media_type: String,
    /// Of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// In an index: for which machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Keys and values of whoever made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// For which machines an image is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// As Go calls it: `linux`.
    #[serde(default)]
    pub os: String,
    /// As Go calls it: `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// `v8`, for example; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// The manifest of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its own.
    pub media_type: String,
    /// Of the image.
    pub config: Descriptor,
    /// Base first; each of a media type that can be unpacked.
    pub layers: Vec<Descriptor>,
}

/// What a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// One image for one platform.
    Manifest(Manifest),
    /// One image for several platforms.
    Index(Vec<Descriptor>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

/// Reads a document that was announced with this media type; empty: with none.
pub fn parse(content: &[u8], announced: &str) -> Result<Document, Failure> {
    let refuse = |why: &dyn std::fmt::Display| Failure::invalid(format_args!("the manifest cannot be used: {why}"));
    if content.len() as u64 > LONGEST_DOCUMENT {
        return Err(refuse(&format_args!("it has {} bytes, more than {LONGEST_DOCUMENT}", content.len())));
    }
    let raw: Raw = serde_json::from_slice(content).map_err(|error| refuse(&error))?;
    if raw.schema_version != 2 {
        return Err(refuse(&format_args!("its schema version is {}, not 2", raw.schema_version)));
    }
    let known = [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_INDEX];
    let announced = Some(announced).filter(|announced| known.contains(announced)).unwrap_or_default();
    if !announced.is_empty() && !raw.media_type.is_empty() && announced != raw.media_type {
        return Err(refuse(&format_args!("it says that it is a {:?}, but came as {announced:?}", raw.media_type)));
    }
    let media_type = if raw.media_type.is_empty() { announced } else { &raw.media_type };
    match (media_type, raw.config, raw.layers, raw.manifests) {
        ("" | OCI_INDEX | DOCKER_INDEX, None, None, Some(manifests)) => Ok(Document::Index(manifests)),
        ("" | OCI_MANIFEST | DOCKER_MANIFEST, Some(config), Some(layers), None) => {
            let media_type = if media_type.is_empty() { OCI_MANIFEST } else { media_type }.to_owned();
            let manifest = Manifest { media_type, config, layers };
            manifest.check().map_err(|why| refuse(&why))?;
            Ok(Document::Manifest(manifest))
        }
        (other, ..) => Err(refuse(&format_args!("it is neither an image nor an index ({other:?})"))),
    }
}

impl Manifest {
    fn check(&self) -> Result<(), String> {
        let Self { media_type: _, config, layers } = self;
        if ![OCI_CONFIG, DOCKER_CONFIG].contains(&config.media_type.as_str()) {
            return Err(format!("it is not of an image: its configuration is a {:?}", config.media_type));
        }
        if config.size > LONGEST_DOCUMENT {
            return Err(format!("its configuration has {} bytes, more than {LONGEST_DOCUMENT}", config.size));
        }
        if layers.len() > MOST_LAYERS {
            return Err(format!("it has {} layers, more than {MOST_LAYERS}", layers.len()));
        }
        match layers.iter().find(|layer| Compression::of_media_type(&layer.media_type).is_none()) {
            Some(odd) => Err(format!("layer {} is a {:?}, which cannot be unpacked", odd.digest, odd.media_type)),
            None => Ok(()),
        }
    }

    /// Everything that it names.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::once(&self.config).chain(&self.layers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn descriptor(media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": digest(media_type.as_bytes()), "size": 3 })
    }

    fn manifest() -> Value {
        let layer = descriptor("application/vnd.oci.image.layer.v1.tar+zstd");
        json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG), "layers": [layer] })
    }

    fn parsed(value: &Value, announced: &str) -> Result<Document, String> {
        parse(value.to_string().as_bytes(), announced).map_err(|failure| failure.message)
    }

    #[test]
    fn manifests_and_indexes_of_both_families_are_read() {
        let Ok(Document::Manifest(found)) = parsed(&manifest(), "") else { panic!() };
        assert_eq!(found.blobs().count(), 2);
        assert!(parsed(&manifest(), OCI_MANIFEST).is_ok() && parsed(&manifest(), "text/plain").is_ok());
        let mut docker = manifest();
        docker["mediaType"] = DOCKER_MANIFEST.into();
        docker["config"] = descriptor(DOCKER_CONFIG);
        docker["layers"][0] = descriptor(DOCKER_GZIP_LAYER);
        assert!(matches!(parsed(&docker, DOCKER_MANIFEST), Ok(Document::Manifest(_))));
        let index = json!({ "schemaVersion": 2, "manifests": [descriptor(OCI_MANIFEST)] });
        assert!(matches!(parsed(&index, OCI_INDEX), Ok(Document::Index(found)) if found.len() == 1));
    }

    #[test]
    fn what_is_no_image_is_refused_with_the_reason() {
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut value = manifest();
            change(&mut value);
            value
        };
        for (value, announced, reason) in [
            (changed(&|value| value["schemaVersion"] = 1.into()), "", "schema version is 1"),
            (changed(&|value| value["config"]["mediaType"] = "application/vnd.helm".into()), "", "not of an image"),
            (changed(&|value| value["config"]["size"] = (1_u64 << 40).into()), "", "1099511627776 bytes"),
            (changed(&|value| value["config"]["size"] = (-1).into()), "", "invalid value"),
            (changed(&|value| value["layers"][0]["mediaType"] = "x".into()), "", "cannot be unpacked"),
            (changed(&|value| value["layers"][0]["digest"] = "sha256:../../x".into()), "", "not a digest"),
            (changed(&|value| value["layers"] = vec![value["layers"][0].clone(); 501].into()), "", "501 layers"),
            (manifest(), DOCKER_MANIFEST, "but came as"),
            (json!({ "schemaVersion": 2 }), "", "neither"),
        ] {
            let message = parsed(&value, announced).unwrap_err();
            assert!(message.contains(reason), "{message} lacks {reason}");
        }
        let vast = vec![b' '; usize::try_from(LONGEST_DOCUMENT).unwrap() + 1];
        assert!(parse(&vast, "").unwrap_err().message.contains("more than"));
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(content in proptest::collection::vec(any::<u8>(), 0..200), nested in 0_usize..2000) {
            let _any = parse(&content, "");
            prop_assert!(parse("[".repeat(nested).as_bytes(), OCI_INDEX).is_err());
        }
    }
}
