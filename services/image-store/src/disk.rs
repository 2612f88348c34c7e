//! What the store has on the disk, and the order in which an import writes it.

use crate::audit::{Audit, Missed};
use crate::blobs::Blobs;
use crate::holds::Holds;
use crate::index::Index;
use crate::partial::Partials;
use crate::plan::{Load, LoadedImage, Made, Plan, Progress, UploadRecord};
use crate::record::ImageRecord;
use crate::removals::{Remembered, RemovalRecord};
use crate::repair::Mended;
use crate::uploads::{UploadName, Uploads};
use kit::store::{Durability, Store};
use oci::digest;
use oci::reference::Reference;
use schema::common::Problem;
use schema::{Digest, Failure};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::Path;

const VERSION: u32 = 1;

/// Which image a name means. The record's name is the hash of the tag, which may be longer than a file name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagRecord {
    pub(crate) reference: String,
    pub(crate) image: Digest,
}

/// All directories of the store.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) blobs: Blobs,
    pub(crate) partials: Partials,
    pub(crate) uploads: Uploads,
    pub(crate) images: Store<ImageRecord>,
    pub(crate) tags: Store<TagRecord>,
    pub(crate) imports: Store<UploadRecord>,
    pub(crate) removals: Store<RemovalRecord>,
    pub(crate) leases: Store<LeaseRecord>,
}

/// Who keeps which image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeaseRecord {
    image: Digest,
}

/// What was there when the service started.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) index: Index,
    /// Uploads that have become these images, and when (nanoseconds since the Unix epoch).
    pub(crate) imported: Vec<(UploadName, Vec<Digest>, i64)>,
    /// Removals that were carried out, by the name of their record.
    pub(crate) removed: Vec<(String, Remembered)>,
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
            removals: Store::open(state.join("removals"), "removal", VERSION)?,
            leases: Store::open_volatile(state.join("leases"), "lease", VERSION)?,
        })
    }

    /// Finishes imports that were planned, and reads the index. Damaged records were moved aside and reported by the
    /// record store; an image is made again of its blobs if these are there, and else left out.
    pub(crate) fn recover(&self) -> Result<Found, Failure> {
        let mut imported = Vec::new();
        for (_, record) in self.imports.load()?.0 {
            let UploadRecord { upload, at, progress } = record;
            let finished = match progress {
                // Its file goes after the note that it is done: the process may have been killed in between.
                Progress::Done(image) => self.uploads.remove(&upload).map(|()| vec![image]),
                Progress::Loaded(images) => self.uploads.remove(&upload).map(|()| images),
                Progress::Planned(plan) => self.carry_out(&upload, &Made::Layer(plan), at),
                Progress::Loading(load) => self.carry_out(&upload, &Made::Archive(load), at),
            };
            match finished {
                Ok(images) => imported.push((upload, images, at)),
                Err(failure) => {
                    tracing::error!(upload = upload.as_str(), %failure, "an interrupted import is given up");
                    self.imports.delete(upload.as_str())?;
                }
            }
        }
        let removals = self.removals.load()?.0;
        for (_, record) in removals.iter().filter(|(_, record)| record.freed.is_none()) {
            self.forget_image(&record.removal)?;
        }
        let index = self.index()?;
        let removed = self.finish_removals(removals, &index.needed())?;
        Ok(Found { index, imported, removed })
    }

    fn finish_removals(
        &self,
        removals: Vec<(String, RemovalRecord)>,
        needed: &HashSet<Digest>,
    ) -> Result<Vec<(String, Remembered)>, Failure> {
        let finish = |(name, record): (String, RemovalRecord)| {
            let remembered = match record.freed {
                Some(freed) => Remembered { at: record.at, answer: record.removal.answer(freed) },
                None => self.free(&name, record, needed, &Holds::default())?,
            };
            Ok((name, remembered))
        };
        removals.into_iter().map(finish).collect()
    }

    fn index(&self) -> Result<Index, Failure> {
        let mut index = Index::default();
        for (_, image) in self.images.load()?.0 {
            index.add_image(image);
        }
        let mut dangling = Vec::new();
        for (record, TagRecord { reference, image }) in self.tags.load()?.0 {
            let reference = self.shortened(&record, reference, &image)?;
            if !index.tag(reference.clone(), &image) {
                dangling.push((reference, image));
            }
        }
        let mut mended = Mended::default();
        self.restore(&index.records().map(ImageRecord::id).collect(), index.tags(), &mut mended)?;
        for Problem { object, message, .. } in mended.tell(&mut index) {
            tracing::warn!(object, "mended: {message}");
        }
        for (reference, image) in dangling {
            if index.tagged(&reference).is_none() {
                tracing::warn!(reference, %image, "a tag names an image that is not there: it is left out");
            }
        }
        for (holder, LeaseRecord { image }) in self.leases.load()?.0 {
            if index.record(&image).is_some() {
                index.lease(holder, image);
            }
        }
        // Leases are not on the disk after a power cut; those that an image without a name depends on are.
        let durable = |record: &ImageRecord| {
            let id = record.id().clone();
            { record.outlives.clone() }.into_iter().map(move |holder| (holder, id.clone()))
        };
        for (holder, image) in index.records().flat_map(durable).collect::<Vec<_>>() {
            if !index.leases().contains_key(&holder) {
                index.lease(holder, image);
            }
        }
        Ok(index)
    }

    /// A name of old may have been recorded in a longer form than is kept now: it is recorded anew, so that it can be
    /// taken away by the form that it has.
    fn shortened(&self, record: &str, reference: String, image: &Digest) -> Result<String, Failure> {
        match reference.parse::<Reference>() {
            Ok(name) if name.to_string() != reference => {
                let name = name.to_string();
                self.put_tag(&name, image)?;
                self.tags.delete(record)?;
                Ok(name)
            }
            _ => Ok(reference),
        }
    }

    /// Makes images of an upload that was read: first the plan is written, then what it says. A process that is
    /// killed in between leaves the rest to the next one.
    pub(crate) fn commit(&self, upload: &UploadName, made: &Made, at: i64) -> Result<(), Failure> {
        let progress = match made {
            Made::Layer(plan) => Progress::Planned(plan.clone()),
            Made::Archive(load) => Progress::Loading(load.clone()),
        };
        self.note(upload, at, progress)?;
        self.carry_out(upload, made, at).map(drop)
    }

    /// May be repeated after any part of it. Gives the ids of the images.
    fn carry_out(&self, upload: &UploadName, made: &Made, at: i64) -> Result<Vec<Digest>, Failure> {
        match made {
            Made::Layer(plan) => self.adopt_layer(upload, plan)?,
            Made::Archive(load) => self.adopt_staged(upload, load)?,
        }
        let mut images = Vec::new();
        for LoadedImage { record, names } in made.clone().images() {
            self.put_image(&record)?;
            for name in names {
                self.put_tag(&name, record.id())?;
            }
            images.push(record.id().clone());
        }
        let progress = match made {
            Made::Layer(plan) => Progress::Done(plan.image.id().clone()),
            Made::Archive(_) => Progress::Loaded(images.clone()),
        };
        self.note(upload, at, progress)?;
        self.uploads.remove(upload)?;
        Ok(images)
    }

    fn adopt_layer(&self, upload: &UploadName, plan: &Plan) -> Result<(), Failure> {
        let Plan { image, reference: _, config, manifest, packed } = plan;
        let file = if *packed { self.uploads.packed_path(upload) } else { self.uploads.path(upload) };
        if let Some(layer) = image.layers.last() {
            self.blobs.adopt(&file, &layer.digest)?;
        }
        for document in [config, manifest] {
            self.blobs.put(&document.digest, document.text.as_bytes())?;
        }
        Ok(())
    }

    fn adopt_staged(&self, upload: &UploadName, load: &Load) -> Result<(), Failure> {
        for digest in &load.staged {
            self.blobs.adopt(&self.uploads.staged_path(upload, digest), digest)?;
        }
        Ok(())
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

    /// Forgets a name; done also if it is not known.
    pub(crate) fn drop_tag(&self, reference: &str) -> Result<(), Failure> {
        let name = digest(reference.as_bytes());
        self.tags.forget_quarantined(name.hex())?;
        self.tags.delete(name.hex())
    }

    /// Forgets an image; done also if it is not known. With it goes a damaged record of it: it is not missed any more.
    pub(crate) fn drop_image(&self, image: &Digest) -> Result<(), Failure> {
        self.images.forget_quarantined(image.hex())?;
        self.images.delete(image.hex())
    }

    /// Records that a holder, whose name is safe as a file name, keeps an image. Not for after a power cut.
    pub(crate) fn put_lease(&self, holder: &str, image: &Digest) -> Result<(), Failure> {
        self.leases.put(holder, &LeaseRecord { image: image.clone() }, Durability::Process)
    }

    /// Forgets a lease; done also if it is not known.
    pub(crate) fn drop_lease(&self, holder: &str) -> Result<(), Failure> {
        self.leases.drop_record(holder)
    }

    /// Reads every record, for an audit.
    pub(crate) fn verify_records(&self, audit: &mut Audit) -> Result<(), Failure> {
        // Names first: an image whose name is known has been recorded before.
        let names = audit.records("tag", &self.tags, |_, is_there| match is_there {
            true => Missed::No,
            false => Missed::Yes {
                hint: "give an image its name again with `cctl tag`, and remove that file",
                sources: vec![],
            },
        })?;
        let images = audit.records("image", &self.images, |name, is_there| match self.sources_of_lost(name) {
            _ if is_there => Missed::No,
            sources if sources.is_empty() => {
                Missed::Yes { hint: "bring the image again, or remove that file to give the image up", sources }
            }
            sources => Missed::Yes { hint: "`cctl system check --repair` pulls the image again", sources },
        })?;
        let images: HashSet<&Digest> = images.iter().map(ImageRecord::id).collect();
        for TagRecord { reference, image } in &names {
            if !images.contains(image) {
                audit.dangling(reference, image);
            }
        }
        audit.records("import", &self.imports, |_, _| Missed::No)?;
        audit.records("removal", &self.removals, |_, _| Missed::No)?;
        audit.records("lease", &self.leases, |_, _| Missed::No)?;
        Ok(())
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
pub(crate) mod tests;
