//! Which images there are, and how they are found. Pure: no files.

use crate::oci;
use crate::reference::Reference;
use schema::common::Layer;
use schema::image_store::{Image, ImageConfig};
use schema::{ContainerId, Digest, Failure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

const ALGORITHM: &str = "sha256:";
/// Candidates that the message about an ambiguous prefix names.
const SHOWN: usize = 5;

/// A blob and its length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// What is recorded of an image.
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
}

impl ImageRecord {
    pub(crate) fn id(&self) -> &Digest {
        &self.config.digest
    }

    fn blobs(&self) -> impl Iterator<Item = (&Digest, u64)> {
        let layers = self.layers.iter().map(|layer| (&layer.digest, layer.size));
        [&self.config, &self.manifest].into_iter().map(|stored| (&stored.digest, stored.size)).chain(layers)
    }
}

/// All images and tags.
#[derive(Debug, Default)]
pub(crate) struct Index {
    images: BTreeMap<Digest, ImageRecord>,
    tags: BTreeMap<String, Digest>,
}

impl Index {
    pub(crate) fn add_image(&mut self, record: ImageRecord) {
        self.images.insert(record.id().clone(), record);
    }

    /// Makes a name mean an image. False if there is no such image.
    pub(crate) fn tag(&mut self, reference: String, image: &Digest) -> bool {
        let known = self.images.contains_key(image);
        if known {
            self.tags.insert(reference, image.clone());
        }
        known
    }

    /// All images, newest first.
    pub(crate) fn list(&self) -> Vec<Image> {
        let mut references: HashMap<&Digest, Vec<String>> = HashMap::new();
        for (reference, image) in &self.tags {
            references.entry(image).or_default().push(reference.clone());
        }
        let with_names = |record| shown(record, references.remove(record.id()).unwrap_or_default());
        let mut images: Vec<Image> = self.images.values().map(with_names).collect();
        images.sort_by(|one, other| other.created_at.cmp(&one.created_at).then_with(|| one.id.cmp(&other.id)));
        images
    }

    /// The image of this id.
    pub(crate) fn get(&self, id: &Digest) -> Result<Image, Failure> {
        let record = self.images.get(id).ok_or_else(|| unknown(id.as_str()))?;
        let names = self.tags.iter().filter(|(_, image)| *image == id).map(|(name, _)| name.clone());
        Ok(shown(record, names.collect()))
    }

    /// The image that a user means: by its exact tag, else by its id or the beginning of it.
    pub(crate) fn resolve(&self, text: &str) -> Result<Image, Failure> {
        let reference = text.parse::<Reference>();
        if let Ok(reference) = &reference
            && let Some(image) = self.tags.get(&reference.to_string())
        {
            return self.get(image);
        }
        let digits = text.strip_prefix(ALGORITHM).unwrap_or(text);
        if !is_beginning_of_id(digits) {
            return Err(reference.map_or_else(|failure| failure, |_| unknown(text)));
        }
        let beginning = format!("{ALGORITHM}{digits}");
        let candidates: Vec<&Digest> = self.images.keys().filter(|id| id.as_str().starts_with(&beginning)).collect();
        match candidates[..] {
            [] => Err(unknown(text)),
            [one] => self.get(one),
            _ => Err(ambiguous(text, &candidates)),
        }
    }

    /// The length of a blob, if an image has it.
    pub(crate) fn blob_size(&self, digest: &Digest) -> Option<u64> {
        let mut blobs = self.images.values().flat_map(ImageRecord::blobs);
        blobs.find(|(blob, _)| *blob == digest).map(|(_, size)| size)
    }
}

fn shown(record: &ImageRecord, references: Vec<String>) -> Image {
    Image {
        id: record.id().clone(),
        references,
        created_at: record.created_at,
        size: record.blobs().map(|(_, size)| size).sum(),
        layers: record.layers.clone(),
        config: record.runtime.clone(),
        manifest: record.manifest.digest.clone(),
        repository_digests: record.repository_digests.clone(),
        parent: record.parent.clone(),
        container: record.container.clone(),
        author: record.author.clone(),
        holders: Vec::new(),
    }
}

fn is_beginning_of_id(digits: &str) -> bool {
    (1..=64).contains(&digits.len()) && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn unknown(text: &str) -> Failure {
    Failure::not_found(format_args!("no such image: {text}"))
        .hint("`cctl images` lists the images; `cctl import` adds one")
}

fn ambiguous(text: &str, candidates: &[&Digest]) -> Failure {
    let mut names: Vec<&str> = candidates.iter().take(SHOWN).map(|id| id.short()).collect();
    if candidates.len() > SHOWN {
        names.push("…");
    }
    Failure::conflict(format_args!("{text} may be any of {} images: {}", candidates.len(), names.join(", ")))
        .hint("give more digits of the id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schema::Code;

    fn record(first: u8, last: u8) -> ImageRecord {
        let mut hash = [0; 32];
        (hash[0], hash[31]) = (first, last);
        let stored = Stored { digest: Digest::from_sha256(&hash), size: 10 };
        ImageRecord {
            manifest: Stored { digest: Digest::from_sha256(&[1; 32]), size: 20 },
            config: stored,
            created_at: last.into(),
            layers: vec![],
            runtime: ImageConfig::default(),
            manifest_type: oci::manifest_type(),
            repository_digests: vec![],
            parent: None,
            container: None,
            author: String::new(),
        }
    }

    fn index(images: &[(u8, u8)]) -> Index {
        let mut index = Index::default();
        images.iter().for_each(|(first, last)| index.add_image(record(*first, *last)));
        index
    }

    fn id(first: u8, last: u8) -> Digest {
        record(first, last).id().clone()
    }

    #[test]
    fn tags_win_over_ids_and_ids_are_found_by_their_beginning() {
        let mut index = index(&[(0xba, 1), (0xbb, 2), (0x10, 3)]);
        assert!(index.tag("bb:latest".to_owned(), &id(0x10, 3)));
        assert!(!index.tag("lost:latest".to_owned(), &id(0x77, 0)));
        let found = |text: &str| index.resolve(text).unwrap().id;
        assert_eq!(found("bb"), id(0x10, 3));
        assert_eq!(found("bb0"), id(0xbb, 2));
        assert_eq!(found("ba"), id(0xba, 1));
        assert_eq!(found("sha256:1"), id(0x10, 3));
        assert_eq!(found(id(0xbb, 2).as_str()), id(0xbb, 2));
        assert_eq!(found(id(0xbb, 2).hex()), id(0xbb, 2));
    }

    #[test]
    fn what_is_not_found_is_named() {
        let index = index(&[(0xba, 1), (0xbb, 2)]);
        let failure = |text: &str| index.resolve(text).unwrap_err();
        assert_eq!(failure("nothing").message, "no such image: nothing");
        assert_eq!(failure("c").code, Code::NotFound);
        assert_eq!(failure("Not An Image").code, Code::InvalidArgument);
        assert_eq!(failure("").code, Code::InvalidArgument);
        let ambiguous = failure("b");
        assert_eq!(ambiguous.code, Code::Conflict);
        assert!(ambiguous.message.contains("ba0000000000") && ambiguous.message.contains("bb0000000000"));
    }

    #[test]
    fn the_list_is_newest_first_with_sorted_names() {
        let mut index = index(&[(1, 1), (2, 9), (3, 5)]);
        index.tag("b:1".to_owned(), &id(1, 1));
        index.tag("a:1".to_owned(), &id(1, 1));
        index.tag("a:1".to_owned(), &id(2, 9));
        index.tag("c:1".to_owned(), &id(1, 1));
        let list = index.list();
        assert_eq!(list.iter().map(|image| image.created_at).collect::<Vec<_>>(), [9, 5, 1]);
        assert_eq!(list[2].references, ["b:1", "c:1"]);
        assert_eq!(list[0].size, 30);
        assert_eq!(index.blob_size(&id(1, 1)), Some(10));
        assert_eq!(index.blob_size(&id(9, 9)), None);
    }

    proptest! {
        #[test]
        fn a_beginning_finds_its_only_image_or_none(
            images in proptest::collection::btree_set(any::<u8>(), 0..20), wanted in any::<u8>(), length in 1_usize..=64,
        ) {
            let index = index(&images.iter().map(|first| (*first, 0)).collect::<Vec<_>>());
            let wanted = id(wanted, 0);
            let beginning = &wanted.hex()[..length];
            let matching = images.iter().filter(|first| id(**first, 0).hex().starts_with(beginning)).count();
            match (matching, index.resolve(beginning)) {
                (0, Err(failure)) => prop_assert_eq!(failure.code, Code::NotFound),
                (1, Ok(image)) => prop_assert!(image.id.hex().starts_with(beginning)),
                (2.., Err(failure)) => prop_assert_eq!(failure.code, Code::Conflict),
                (count, result) => prop_assert!(false, "{} candidates: {:?}", count, result),
            }
        }
    }
}
