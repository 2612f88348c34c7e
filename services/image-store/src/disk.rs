//! What the store has on the disk, and the order in which an import writes it.

use crate::blobs::Blobs;
use crate::import::{Plan, Progress, UploadRecord};
use crate::index::Index;
use crate::oci::digest;
use crate::partial::Partials;
use crate::record::ImageRecord;
use crate::reference::Reference;
use crate::uploads::{UploadName, Uploads};
use kit::store::{Durability, Store};
use schema::{Digest, Failure};
use serde::{Deserialize, Serialize};
use std::path::Path;

const VERSION: u32 = 1;

/// Which image a name means. The record's name is the hash of the tag, which may be longer than a file name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TagRecord {
    reference: String,
    image: Digest,
}

/// All directories of the store.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) blobs: Blobs,
    pub(crate) partials: Partials,
    pub(crate) uploads: Uploads,
    images: Store<ImageRecord>,
    tags: Store<TagRecord>,
    imports: Store<UploadRecord>,
}

/// What was there when the service started.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) index: Index,
    /// Uploads that have become images, and when (nanoseconds since the Unix epoch).
    pub(crate) imported: Vec<(UploadName, Digest, i64)>,
}

impl Disk {
    pub(crate) fn open(state: &Path) -> Result<Self, Failure> {
        Ok(Self {
            blobs: Blobs::open(state)?,
            partials: Partials::open(state)?,
            uploads: Uploads::open(state)?,
            images: Store::open(state.join("images"), "image", VERSION)?,
            tags: Store::open(state.join("tags"), "tag", VERSION)?,
            imports: Store::open(state.join("imports"), "import", VERSION)?,
        })
    }

    /// Finishes imports that were planned, and reads the index. Damaged records are left out: each was
    /// moved aside and reported by the record store.
    pub(crate) fn recover(&self) -> Result<Found, Failure> {
        let mut imported = Vec::new();
        for (_, record) in self.imports.load()?.0 {
            let UploadRecord { upload, at, progress } = record;
            match progress {
                Progress::Done(image) => imported.push((upload, image, at)),
                Progress::Planned(plan) => match self.carry_out(&upload, &plan, at) {
                    Ok(()) => imported.push((upload, plan.image.id().clone(), at)),
                    Err(failure) => {
                        tracing::error!(upload = upload.as_str(), %failure, "an interrupted import is given up");
                        self.imports.delete(upload.as_str())?;
                    }
                },
            }
        }
        Ok(Found { index: self.index()?, imported })
    }

    fn index(&self) -> Result<Index, Failure> {
        let mut index = Index::default();
        for (_, image) in self.images.load()?.0 {
            index.add_image(image);
        }
        for (_, TagRecord { reference, image }) in self.tags.load()?.0 {
            // A name of old may have been recorded in a longer form than is kept now.
            let reference = reference.parse::<Reference>().map_or(reference, |name| name.to_string());
            if !index.tag(reference.clone(), &image) {
                tracing::warn!(reference, %image, "a tag names an image that is not there: it is left out");
            }
        }
        Ok(index)
    }

    /// Makes an image of a checked upload: first the plan is written, then what it says. A process that is
    /// killed in between leaves the rest to the next one.
    pub(crate) fn commit(&self, upload: &UploadName, plan: &Plan, at: i64) -> Result<(), Failure> {
        self.note(upload, at, Progress::Planned(Box::new(plan.clone())))?;
        self.carry_out(upload, plan, at)
    }

    /// May be repeated after any part of it.
    fn carry_out(&self, upload: &UploadName, plan: &Plan, at: i64) -> Result<(), Failure> {
        let Plan { image, reference, config, manifest, packed } = plan;
        let file = if *packed { self.uploads.packed_path(upload) } else { self.uploads.path(upload) };
        for layer in &image.layers {
            self.blobs.adopt(&file, &layer.digest)?;
        }
        for document in [config, manifest] {
            self.blobs.put(&document.digest, document.text.as_bytes())?;
        }
        self.put_image(image)?;
        if let Some(reference) = reference {
            self.put_tag(reference, image.id())?;
        }
        self.note(upload, at, Progress::Done(image.id().clone()))?;
        self.uploads.remove(upload)
    }

    /// Records an image, whose blobs are there.
    pub(crate) fn put_image(&self, record: &ImageRecord) -> Result<(), Failure> {
        self.images.put(record.id().hex(), record, Durability::Disk)
    }

    /// Records that a name means an image.
    pub(crate) fn put_tag(&self, reference: &str, image: &Digest) -> Result<(), Failure> {
        let record = TagRecord { reference: reference.to_owned(), image: image.clone() };
        self.tags.put(digest(reference.as_bytes()).hex(), &record, Durability::Disk)
    }

    fn note(&self, upload: &UploadName, at: i64, progress: Progress) -> Result<(), Failure> {
        let record = UploadRecord { upload: upload.clone(), at, progress };
        self.imports.put(upload.as_str(), &record, Durability::Disk)
    }

    /// Forgets what an upload has become.
    pub(crate) fn forget(&self, upload: &UploadName) -> Result<(), Failure> {
        self.imports.delete(upload.as_str())
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
