//! What is to be written for new images, as plans that can be carried out again.

use crate::record::{ImageRecord, Stored};
use crate::uploads::UploadName;
use oci::Document;
use oci::build::Story;
use oci::reference::Reference;
use schema::Digest;
use schema::common::Layer;
use serde::{Deserialize, Serialize};

/// Everything that an import or a commit writes besides its layer, which is the last of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) image: ImageRecord,
    pub(crate) reference: Option<String>,
    pub(crate) config: Document,
    pub(crate) manifest: Document,
    /// Whether the layer is the recompressed file.
    pub(crate) packed: bool,
}

/// Where an image comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The image that lies below.
    pub(crate) parent: Option<Digest>,
    /// Of the manifest; none: that of images which begin here.
    pub(crate) manifest_type: Option<String>,
}

impl Plan {
    pub(crate) fn new(
        (config, manifest): (Document, Document),
        layers: Vec<Layer>,
        story: &Story<'_>,
        origin: Origin,
        reference: Option<&Reference>,
        packed: bool,
    ) -> Self {
        let stored = |document: &Document| Stored { digest: document.digest.clone(), size: document.size() };
        let image = ImageRecord {
            config: stored(&config),
            manifest: stored(&manifest),
            created_at: story.created_at,
            layers,
            runtime: story.runtime.clone(),
            manifest_type: origin.manifest_type.unwrap_or_else(oci::manifest_type),
            others: Vec::new(),
            repository_digests: Vec::new(),
            parent: origin.parent,
            container: story.container.cloned(),
            author: story.author.to_owned(),
            outlives: Vec::new(),
        };
        Self { image, reference: reference.map(ToString::to_string), config, manifest, packed }
    }
}

/// Everything that the loading of an archive writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) images: Vec<LoadedImage>,
    /// Blobs that lie beside the upload, under their digests.
    pub(crate) staged: Vec<Digest>,
}

/// An image of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoadedImage {
    pub(crate) record: ImageRecord,
    pub(crate) names: Vec<String>,
}

/// What an upload is to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Layer(Box<Plan>),
    Archive(Box<Load>),
}

impl Made {
    /// Its images, each with the names that it gets.
    pub(crate) fn images(self) -> Vec<LoadedImage> {
        match self {
            Self::Layer(plan) => vec![LoadedImage { record: plan.image, names: plan.reference.into_iter().collect() }],
            Self::Archive(load) => load.images,
        }
    }

    /// Takes over what is known of the same images already.
    pub(crate) fn join<'a>(&mut self, known: impl Fn(&Digest) -> Option<&'a ImageRecord>) {
        let join = |record: &mut ImageRecord| {
            if let Some(before) = known(record.id()) {
                *record = record.clone().joined(before);
            }
        };
        match self {
            Self::Layer(plan) => join(&mut plan.image),
            Self::Archive(load) => load.images.iter_mut().for_each(|image| join(&mut image.record)),
        }
    }
}

/// What is recorded of an upload once it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub(crate) upload: UploadName,
    /// When: nanoseconds since the Unix epoch.
    pub(crate) at: i64,
    pub(crate) progress: Progress,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    /// To be carried out, also by the next process.
    Planned(Box<Plan>),
    /// The upload has become this image.
    Done(Digest),
    /// To be carried out, also by the next process.
    Loading(Box<Load>),
    /// The upload has become these images.
    Loaded(Vec<Digest>),
}
