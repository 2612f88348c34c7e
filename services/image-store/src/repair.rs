//! Mending records: what is known is written anew, what is not is set aside, and what was set aside is made again of
//! what is there. Every step is whole by itself: whoever is killed in between has it gone on with by the next repair.

use crate::disk::{Disk, TagRecord};
use crate::index::Index;
use crate::record::{ImageRecord, Stored};
use oci::config;
use oci::digest;
use oci::manifest::{Document, LONGEST_DOCUMENT, Manifest, parse};
use schema::common::Problem;
use schema::{Digest, Failure};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What the index knows.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) images: HashMap<Digest, ImageRecord>,
    pub(crate) tags: BTreeMap<String, Digest>,
    pub(crate) leases: BTreeMap<String, Digest>,
}

/// What is new for the index, and what was done.
#[derive(Debug, Default)]
pub(crate) struct Mended {
    pub(crate) images: Vec<ImageRecord>,
    pub(crate) tags: Vec<(String, Digest)>,
    pub(crate) repaired: Vec<Problem>,
}

impl Mended {
    fn note(&mut self, object: String, message: &str) {
        self.repaired.push(Problem::new(object, message, ""));
    }

    /// Tells the index.
    pub(crate) fn tell(self, index: &mut Index) -> Vec<Problem> {
        for image in self.images {
            index.add_image(image);
        }
        for (reference, image) in self.tags {
            index.tag(reference, &image);
        }
        self.repaired
    }
}

impl Disk {
    /// Mends all records. Nobody changes the index meanwhile.
    pub(crate) fn mend(&self, known: &Known) -> Result<Mended, Failure> {
        let mut mended = Mended::default();
        self.write_anew(known, &mut mended)?;
        for (kind, aside) in [
            ("image", self.images.set_aside(|_| true)?),
            ("tag", self.tags.set_aside(|_| true)?),
            ("import", self.imports.set_aside(|_| true)?),
            ("removal", self.removals.set_aside(|_| true)?),
            ("lease", self.leases.set_aside(|_| true)?),
        ] {
            for damaged in aside {
                mended.note(format!("record {kind} {}", damaged.name), &format!("set aside: {}", damaged.reason));
            }
        }
        self.restore(&known.images.keys().collect(), &known.tags, &mut mended)?;
        Ok(mended)
    }

    /// Records of what the index knows that are damaged, or gone.
    fn write_anew(&self, known: &Known, mended: &mut Mended) -> Result<(), Failure> {
        let message = "its record was damaged, and is written anew";
        let images = intact(self.images.verify()?);
        for image in known.images.values().filter(|image| !images.contains(image.id().hex())) {
            self.put_image(image)?;
            mended.note(format!("image {}", image.id()), message);
        }
        let tags = intact(self.tags.verify()?);
        for (reference, image) in known.tags.iter().filter(|(name, _)| !tags.contains(digest(name.as_bytes()).hex())) {
            self.put_tag(reference, image)?;
            mended.note(format!("name {reference}"), message);
        }
        let leases = intact(self.leases.verify()?);
        for (holder, image) in known.leases.iter().filter(|(holder, _)| !leases.contains(*holder)) {
            self.put_lease(holder, image)?;
        }
        Ok(())
    }

    /// Makes images whose records were set aside again of their blobs, and gives images names that they had. `images`
    /// and `tags` are those that are known.
    pub(crate) fn restore(
        &self,
        images: &HashSet<&Digest>,
        tags: &BTreeMap<String, Digest>,
        mended: &mut Mended,
    ) -> Result<(), Failure> {
        let lost = self.lost_images(|image| images.contains(image))?;
        for image in self.rebuilt(&lost)? {
            self.put_image(&image)?;
            mended.note(format!("image {}", image.id()), "its record was lost, and is made again of its blobs");
            mended.images.push(image);
        }
        let made: HashSet<Digest> = mended.images.iter().map(|image| image.id().clone()).collect();
        let is_there = |image: &Digest| images.contains(image) || made.contains(image);
        let mut names: BTreeMap<String, Digest> = BTreeMap::new();
        for (_, _, record) in self.tags.verify()? {
            names.extend(record.ok().map(|TagRecord { reference, image }| (reference, image)));
        }
        for (name, _) in self.tags.quarantined()? {
            // The file's name is a digest of what it says: if that agrees, and there is such an image, it is right.
            let Some(TagRecord { reference, image }) = self.tags.salvage(&name) else { continue };
            if digest(reference.as_bytes()).hex() == name && is_there(&image) && !names.contains_key(&reference) {
                self.put_tag(&reference, &image)?;
                names.insert(reference, image);
            }
        }
        for (reference, image) in names {
            if is_there(&image) && !tags.contains_key(&reference) {
                mended.note(format!("name {reference}"), "its image has it again");
                mended.tags.push((reference, image));
            }
        }
        Ok(())
    }

    /// Images of which there is only a damaged record, or only a name.
    pub(crate) fn lost_images(&self, is_known: impl Fn(&Digest) -> bool) -> Result<HashSet<Digest>, Failure> {
        let damaged =
            self.images.quarantined()?.into_iter().filter_map(|(name, _)| format!("sha256:{name}").parse().ok());
        let named = self.tags.verify()?.into_iter().filter_map(|(_, _, record)| Some(record.ok()?.image));
        Ok(damaged.chain(named).filter(|image| !is_known(image)).collect())
    }

    /// Where a lost image may be pulled from, if its damaged record says so. What is pulled is verified.
    pub(crate) fn sources_of_lost(&self, name: &str) -> Vec<String> {
        let said = self.images.salvage(name).filter(|record| record.id().hex() == name);
        said.map(|record| record.sources(&record.manifest.digest)).unwrap_or_default()
    }

    /// The records of lost images, as far as their manifests and configurations are there.
    fn rebuilt(&self, lost: &HashSet<Digest>) -> Result<Vec<ImageRecord>, Failure> {
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        let mut found: HashMap<Digest, ImageRecord> = HashMap::new();
        for (digest, _) in self.blobs.list()? {
            let Some(record) = self.image_of(&digest, lost) else { continue };
            let id = record.id().clone();
            let both = match found.remove(&id) {
                // The one that is whole comes first.
                Some(other) if self.is_complete(&other) => other.joined(&record),
                Some(other) => record.joined(&other),
                None => record,
            };
            found.insert(id, both);
        }
        let with_origin = |(id, mut record): (Digest, ImageRecord)| {
            let said = self.images.salvage(id.hex()).filter(|said| *said.id() == id);
            if let Some(said) = said {
                record.repository_digests = said.repository_digests;
                (record.parent, record.container, record.outlives) = (said.parent, said.container, said.outlives);
            }
            record
        };
        Ok(found.into_iter().map(with_origin).collect())
    }

    /// The image that a blob is the manifest of, if it is one of those and its configuration is there.
    fn image_of(&self, digest: &Digest, wanted: &HashSet<Digest>) -> Option<ImageRecord> {
        let size = self.blobs.find(digest, None).ok()?.size;
        if size > LONGEST_DOCUMENT {
            return None;
        }
        let content = self.blobs.document(digest).ok()?;
        let Ok(Document::Manifest(manifest)) = parse(&content, "") else { return None };
        let Manifest { config: described, .. } = &manifest;
        if !wanted.contains(&described.digest) {
            return None;
        }
        let config = config::parse(&self.blobs.document(&described.digest).ok()?).ok()?;
        ImageRecord::new(Stored { digest: digest.clone(), size }, &manifest, config).ok()
    }

    fn is_complete(&self, record: &ImageRecord) -> bool {
        record.layers.iter().all(|layer| self.blobs.find(&layer.digest, Some(layer.size)).is_ok())
    }
}

fn intact<T>(verified: kit::store::Verified<T>) -> HashSet<String> {
    verified.into_iter().filter(|(_, _, record)| record.is_ok()).map(|(name, _, _)| name).collect()
}

#[cfg(test)]
#[path = "repair_tests.rs"]
mod tests;
