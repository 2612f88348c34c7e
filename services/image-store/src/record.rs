//! What is recorded of an image.

use oci::config::Config;
use oci::manifest::Manifest;
use oci::reference::Target;
use schema::common::Layer;
use schema::image_store::ImageConfig;
use schema::{ContainerId, Digest, Failure};
use serde::{Deserialize, Serialize};

/// A blob and its length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    /// The configuration; its digest is the image's id.
    pub(crate) config: Stored,
    pub(crate) manifest: Stored,
    /// Nanoseconds since the Unix epoch.
    pub(crate) created_at: i64,
    /// Base first.
    pub(crate) layers: Vec<Layer>,
    /// What the configuration says of the process to run.
    pub(crate) runtime: ImageConfig,
    /// Of the manifest.
    #[serde(default = "oci::manifest_type")]
    pub(crate) manifest_type: String,
    /// Other manifests of the same configuration: the same content, packed otherwise. Kept as long as the image
    /// is, because a container may be about to be made of their blobs.
    #[serde(default)]
    pub(crate) others: Vec<Packing>,
    /// `repository@digest` under which registries know it, sorted.
    #[serde(default)]
    pub(crate) repository_digests: Vec<String>,
    /// The image that it was committed on.
    #[serde(default)]
    pub(crate) parent: Option<Digest>,
    /// The container that it was committed from.
    #[serde(default)]
    pub(crate) container: Option<ContainerId>,
    /// Who made it; may be empty.
    #[serde(default)]
    pub(crate) author: String,
    /// It lost its names by force while these had leases on it: it goes with the last of them.
    #[serde(default)]
    pub(crate) outlives: Vec<String>,
}

/// A manifest and its layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Packing {
    pub(crate) manifest: Stored,
    pub(crate) manifest_type: String,
    /// Base first.
    pub(crate) layers: Vec<Layer>,
}

impl ImageRecord {
    /// Of a manifest and the configuration that it names.
    /// Fails: invalidArgument if they contradict each other.
    pub(crate) fn new(stored: Stored, manifest: &Manifest, config: Config) -> Result<Self, Failure> {
        let Config { runtime, created_at, author, diff_ids, history: _ } = config;
        if diff_ids.len() != manifest.layers.len() {
            return Err(Failure::invalid(format_args!(
                "manifest {} has {} layers, but its configuration {}",
                stored.digest,
                manifest.layers.len(),
                diff_ids.len()
            )));
        }
        let layer = |(blob, diff_id): (&oci::manifest::Descriptor, Digest)| Layer {
            digest: blob.digest.clone(),
            diff_id,
            media_type: blob.media_type.clone(),
            size: blob.size,
        };
        Ok(Self {
            config: Stored { digest: manifest.config.digest.clone(), size: manifest.config.size },
            manifest: stored,
            created_at,
            layers: manifest.layers.iter().zip(diff_ids).map(layer).collect(),
            runtime,
            manifest_type: manifest.media_type.clone(),
            others: Vec::new(),
            repository_digests: Vec::new(),
            parent: None,
            container: None,
            author,
            outlives: Vec::new(),
        })
    }

    pub(crate) fn id(&self) -> &Digest {
        &self.config.digest
    }

    /// Everything that it needs, each with its length; some may come twice.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (&Digest, u64)> {
        let of_packing = |manifest, layers| {
            let layers = <[Layer]>::iter(layers).map(|layer: &Layer| (&layer.digest, layer.size));
            std::iter::once(manifest).map(|stored: &Stored| (&stored.digest, stored.size)).chain(layers)
        };
        std::iter::once((&self.config.digest, self.config.size))
            .chain(of_packing(&self.manifest, &self.layers))
            .chain(self.others.iter().flat_map(move |packing| of_packing(&packing.manifest, &packing.layers)))
    }

    /// Each of its manifests with all that this needs, the configuration included, and each blob's length.
    pub(crate) fn packings(&self) -> impl Iterator<Item = (&Digest, Vec<(&Digest, u64)>)> {
        let of = |manifest, layers| {
            let layers = <[Layer]>::iter(layers).map(|layer: &Layer| (&layer.digest, layer.size));
            let stored = [manifest, &self.config].into_iter().map(|stored: &Stored| (&stored.digest, stored.size));
            (&manifest.digest, stored.chain(layers).collect())
        };
        std::iter::once(of(&self.manifest, &self.layers))
            .chain(self.others.iter().map(move |packing| of(&packing.manifest, &packing.layers)))
    }

    /// Where registries may have one of its manifests: `repository@digest`.
    pub(crate) fn sources(&self, manifest: &Digest) -> Vec<String> {
        let mut repositories: Vec<&str> =
            self.repository_digests.iter().filter_map(|known| known.split('@').next()).collect();
        repositories.dedup();
        let source =
            |repository| Some(format!("{repository}@{manifest}")).filter(|text| text.parse::<Target>().is_ok());
        repositories.into_iter().filter_map(source).collect()
    }

    /// What came now, together with what was known of the same image before.
    #[must_use]
    pub(crate) fn joined(mut self, before: &Self) -> Self {
        let was = Packing {
            manifest: before.manifest.clone(),
            manifest_type: before.manifest_type.clone(),
            layers: before.layers.clone(),
        };
        self.others = { before.others.iter().cloned() }.chain([was]).collect();
        self.others.retain(|other| other.manifest != self.manifest);
        self.repository_digests.extend(before.repository_digests.iter().cloned());
        self.repository_digests.sort();
        self.repository_digests.dedup();
        self.parent = self.parent.or_else(|| before.parent.clone());
        self.container = self.container.or_else(|| before.container.clone());
        self
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record whose id begins and ends with these bytes.
    pub(crate) fn record(first: u8, last: u8) -> ImageRecord {
        let mut hash = [0; 32];
        (hash[0], hash[31]) = (first, last);
        ImageRecord {
            manifest: Stored { digest: Digest::from_sha256(&[1; 32]), size: 20 },
            config: Stored { digest: Digest::from_sha256(&hash), size: 10 },
            created_at: last.into(),
            layers: vec![],
            runtime: ImageConfig::default(),
            manifest_type: oci::manifest_type(),
            others: vec![],
            repository_digests: vec![],
            parent: None,
            container: None,
            author: String::new(),
            outlives: vec![],
        }
    }

    #[test]
    fn a_record_of_the_first_version_is_read() {
        let text = format!(
            r#"{{"config":{{"digest":"{0}","size":1}},"manifest":{{"digest":"{0}","size":2}},"created_at":7,"layers":[],
            "runtime":{{"environment":[],"entrypoint":[],"command":[],"working_directory":"","user":"","stop_signal":"",
            "architecture":"amd64","os":"linux","comment":"Imported from -"}}}}"#,
            oci::digest(b"")
        );
        let old: ImageRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(old.manifest_type, oci::manifest::OCI_MANIFEST);
        assert!(old.parent.is_none() && old.others.is_empty());
    }

    #[test]
    fn another_packing_of_an_image_joins_the_first() {
        let mut one = record(1, 1);
        one.parent = Some(oci::digest(b"p"));
        one.repository_digests = vec!["a@x".to_owned()];
        let mut two = record(1, 1);
        two.manifest.digest = oci::digest(b"2");
        two.repository_digests = vec!["a@x".to_owned(), "Z@x".to_owned()];
        let both = two.clone().joined(&one);
        assert_eq!(both.manifest, two.manifest);
        assert_eq!(both.others.len(), 1);
        assert_eq!(both.others[0].manifest, one.manifest);
        assert_eq!(both.repository_digests, ["Z@x", "a@x"]);
        assert_eq!(both.parent, one.parent);
        let again = one.clone().joined(&both);
        assert_eq!((&again.manifest, again.others.len()), (&one.manifest, 1));
        assert!(again.blobs().any(|(digest, _)| *digest == two.manifest.digest));
        assert_eq!(again.clone().joined(&again), again);
    }
}
