//! From a checked upload to an image: what is to be written, as a plan that can be carried out again.

use crate::check::Checked;
use crate::oci::{self, Document};
use crate::record::{ImageRecord, Stored};
use crate::reference::Reference;
use crate::uploads::UploadName;
use schema::image_store::ImportRequest;
use schema::{Digest, Failure};
use serde::{Deserialize, Serialize};

const LONGEST_SOURCE: usize = 1000;

/// What the caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    reference: Option<Reference>,
    source: String,
}

impl Request {
    pub(crate) fn parse(request: &ImportRequest) -> Result<Self, Failure> {
        let ImportRequest { reference, source, message: _, changes: _, platform: _ } = request;
        if source.len() > LONGEST_SOURCE {
            return Err(Failure::invalid(format_args!("the source has more than {LONGEST_SOURCE} bytes")));
        }
        let reference = if reference.is_empty() { None } else { Some(reference.parse()?) };
        Ok(Self { reference, source: source.clone() })
    }
}

/// Everything that an import writes besides its layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) image: ImageRecord,
    pub(crate) reference: Option<String>,
    pub(crate) config: Document,
    pub(crate) manifest: Document,
    /// Whether the layer is the recompressed file.
    pub(crate) packed: bool,
}

impl Plan {
    /// The image of one layer that was asked for, created now.
    pub(crate) fn new(request: &Request, checked: Checked, created_at: i64) -> Result<Self, Failure> {
        let Checked { layer, packed } = checked;
        let runtime = oci::imported_config(&request.source);
        let config = oci::config(&runtime, &layer, created_at)?;
        let manifest = oci::manifest(&config, &layer)?;
        let stored = |document: &Document| Stored { digest: document.digest.clone(), size: document.size() };
        let image = ImageRecord {
            config: stored(&config),
            manifest: stored(&manifest),
            created_at,
            layers: vec![layer],
            runtime,
            manifest_type: oci::manifest_type(),
            others: Vec::new(),
            repository_digests: Vec::new(),
            parent: None,
            container: None,
            author: String::new(),
            outlives: Vec::new(),
        };
        Ok(Self { image, reference: request.reference.as_ref().map(ToString::to_string), config, manifest, packed })
    }
}

/// What is recorded of an upload once it was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub(crate) upload: UploadName,
    /// When: nanoseconds since the Unix epoch.
    pub(crate) at: i64,
    pub(crate) progress: Progress,
}

/// How far an import is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    /// To be carried out, also by the next process.
    Planned(Box<Plan>),
    /// The upload has become this image.
    Done(Digest),
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::oci::digest;
    use schema::common::Layer;

    pub(crate) fn request(reference: &str, source: &str) -> ImportRequest {
        ImportRequest {
            reference: reference.to_owned(),
            source: source.to_owned(),
            message: String::new(),
            changes: vec![],
            platform: String::new(),
        }
    }

    #[test]
    fn the_documents_are_those_of_oci() {
        let request = Request::parse(&request("base", "x.tar")).unwrap();
        let layer = Layer { digest: digest(b"l"), diff_id: digest(b"d"), media_type: "m".to_owned(), size: 3 };
        let plan = Plan::new(&request, Checked { layer: layer.clone(), packed: false }, 0).unwrap();
        assert_eq!(plan.reference.as_deref(), Some("base:latest"));
        assert_eq!(plan.image.id(), &digest(plan.config.text.as_bytes()));
        let config: serde_json::Value = serde_json::from_str(&plan.config.text).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], layer.diff_id.as_str());
        assert_eq!(config["os"], "linux");
        assert_eq!(config["history"][0]["comment"], "Imported from x.tar");
        assert_eq!(config["created"], "1970-01-01T00:00:00.000000000Z");
        let manifest: serde_json::Value = serde_json::from_str(&plan.manifest.text).unwrap();
        assert_eq!(manifest["config"]["digest"], plan.image.id().as_str());
        assert_eq!(manifest["config"]["size"], plan.config.text.len());
        assert_eq!(manifest["layers"][0]["digest"], layer.digest.as_str());
    }

    #[test]
    fn bad_references_are_refused_before_anything_is_read() {
        assert!(Request::parse(&request("A", "")).is_err());
        assert!(Request::parse(&request("", &"s".repeat(1001))).is_err());
    }
}
