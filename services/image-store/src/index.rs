//! Which images there are, and how they are found. Pure: no files.

use crate::record::ImageRecord;
use crate::repair::Known;
use oci::reference::{Repository, Target};
use schema::image_store::Image;
use schema::{Digest, Failure};
use std::collections::{BTreeMap, HashMap, HashSet};

const ALGORITHM: &str = "sha256:";
const ID_LENGTH: usize = 64;
/// Candidates that the message about an ambiguous prefix names.
const SHOWN: usize = 5;

/// All images, tags and leases.
#[derive(Debug, Default)]
pub(crate) struct Index {
    images: BTreeMap<Digest, ImageRecord>,
    tags: BTreeMap<String, Digest>,
    /// Which image a holder keeps.
    leases: BTreeMap<String, Digest>,
}

impl Index {
    pub(crate) fn add_image(&mut self, record: ImageRecord) {
        self.images.insert(record.id().clone(), record);
    }

    /// Forgets an image, which has no name and no holder any more.
    pub(crate) fn drop_image(&mut self, id: &Digest) {
        self.images.remove(id);
        self.tags.retain(|_, image| image != id);
    }

    /// Makes a name mean an image. False if there is no such image.
    pub(crate) fn tag(&mut self, reference: String, image: &Digest) -> bool {
        let known = self.images.contains_key(image);
        if known {
            self.tags.insert(reference, image.clone());
        }
        known
    }

    /// Takes a name away.
    pub(crate) fn untag(&mut self, reference: &str) {
        self.tags.remove(reference);
    }

    /// Which image has exactly this name, `repository:tag`.
    pub(crate) fn tagged(&self, reference: &str) -> Option<&Digest> {
        self.tags.get(reference)
    }

    /// The names of an image, sorted.
    pub(crate) fn names(&self, id: &Digest) -> Vec<String> {
        self.tags.iter().filter(|(_, image)| *image == id).map(|(name, _)| name.clone()).collect()
    }

    /// Makes a holder keep an image, in place of the one that it kept, which is given.
    pub(crate) fn lease(&mut self, holder: String, image: Digest) -> Option<Digest> {
        self.leases.insert(holder, image)
    }

    /// Ends a lease; gives the image that it kept.
    pub(crate) fn release(&mut self, holder: &str) -> Option<Digest> {
        self.leases.remove(holder)
    }

    pub(crate) fn leases(&self) -> &BTreeMap<String, Digest> {
        &self.leases
    }

    /// Who keeps an image, sorted.
    pub(crate) fn holders(&self, id: &Digest) -> Vec<String> {
        self.leases.iter().filter(|(_, image)| *image == id).map(|(holder, _)| holder.clone()).collect()
    }

    pub(crate) fn record(&self, id: &Digest) -> Option<&ImageRecord> {
        self.images.get(id)
    }

    /// All records, by id.
    pub(crate) fn records(&self) -> impl Iterator<Item = &ImageRecord> {
        self.images.values()
    }

    /// What each name means.
    pub(crate) fn tags(&self) -> &BTreeMap<String, Digest> {
        &self.tags
    }

    /// All of it.
    pub(crate) fn known(&self) -> Known {
        Known {
            images: self.images.clone().into_iter().collect(),
            tags: self.tags.clone(),
            leases: self.leases.clone(),
        }
    }

    /// All images, newest first.
    pub(crate) fn list(&self) -> Vec<Image> {
        let mut references: HashMap<&Digest, Vec<String>> = HashMap::new();
        for (reference, image) in &self.tags {
            references.entry(image).or_default().push(reference.clone());
        }
        let mut holders: HashMap<&Digest, Vec<String>> = HashMap::new();
        for (holder, image) in &self.leases {
            holders.entry(image).or_default().push(holder.clone());
        }
        let mut all = |record: &ImageRecord| {
            let names = references.remove(record.id()).unwrap_or_default();
            shown(record, names, holders.remove(record.id()).unwrap_or_default())
        };
        let mut images: Vec<Image> = self.images.values().map(&mut all).collect();
        images.sort_by(|one, other| other.created_at.cmp(&one.created_at).then_with(|| one.id.cmp(&other.id)));
        images
    }

    /// The image of this id.
    pub(crate) fn get(&self, id: &Digest) -> Result<Image, Failure> {
        let record = self.images.get(id).ok_or_else(|| unknown(id.as_str()))?;
        Ok(shown(record, self.names(id), self.holders(id)))
    }

    /// The image that a user means: see [`find`](Self::find).
    pub(crate) fn resolve(&self, text: &str) -> Result<Image, Failure> {
        self.get(self.find(text)?)
    }

    /// The id that a user means: by its exact tag, by the digest under which a registry knows it, else by its id
    /// or the beginning of it.
    pub(crate) fn find(&self, text: &str) -> Result<&Digest, Failure> {
        let target = text.parse::<Target>();
        if let Ok(Target { repository, digest: Some(digest), .. }) = &target {
            let wanted = format!("{repository}@{digest}");
            let has_it = |record: &&ImageRecord| record.repository_digests.contains(&wanted);
            return self.images.values().find(has_it).map(ImageRecord::id).ok_or_else(|| unknown(text));
        }
        let reference = target.as_ref().ok().and_then(Target::reference);
        if let Some(image) = reference.as_ref().and_then(|reference| self.tags.get(&reference.to_string())) {
            return Ok(image);
        }
        let digits = text.strip_prefix(ALGORITHM).unwrap_or(text);
        if !is_beginning_of_id(digits) {
            return Err(target.map_or_else(|failure| failure, |target| self.unknown_name(text, &target)));
        }
        let beginning = format!("{ALGORITHM}{digits}");
        let candidates: Vec<&Digest> = self.images.keys().filter(|id| id.as_str().starts_with(&beginning)).collect();
        let tags = target.ok().map(|target| self.tags_of(&target.repository)).unwrap_or_default();
        match candidates[..] {
            [one] if tags.is_empty() || digits.len() == ID_LENGTH => Ok(one),
            [] => Err(named(unknown(text), &tags)),
            [one] => Err(name_or_id(text, one, &tags)),
            _ => Err(ambiguous(text, &candidates)),
        }
    }

    fn unknown_name(&self, text: &str, target: &Target) -> Failure {
        named(unknown(text), &self.tags_of(&target.repository))
    }

    /// The names with this repository.
    pub(crate) fn tags_of(&self, repository: &Repository) -> Vec<&str> {
        let has_it = |name: &&String| name.rsplit_once(':').is_some_and(|(before, _)| before == repository.as_str());
        self.tags.keys().filter(has_it).map(String::as_str).collect()
    }

    /// The length of a blob, if an image has it.
    pub(crate) fn blob_size(&self, digest: &Digest) -> Option<u64> {
        let mut blobs = self.images.values().flat_map(ImageRecord::blobs);
        blobs.find(|(blob, _)| *blob == digest).map(|(_, size)| size)
    }

    /// Every blob that an image needs.
    pub(crate) fn needed(&self) -> HashSet<Digest> {
        { self.images.values() }.flat_map(ImageRecord::blobs).map(|(digest, _)| digest.clone()).collect()
    }
}

fn shown(record: &ImageRecord, references: Vec<String>, holders: Vec<String>) -> Image {
    let of_packing = [&record.config, &record.manifest].into_iter().map(|stored| stored.size);
    Image {
        id: record.id().clone(),
        references,
        created_at: record.created_at,
        size: of_packing.chain(record.layers.iter().map(|layer| layer.size)).sum(),
        layers: record.layers.clone(),
        config: record.runtime.clone(),
        manifest: record.manifest.digest.clone(),
        repository_digests: record.repository_digests.clone(),
        parent: record.parent.clone(),
        container: record.container.clone(),
        author: record.author.clone(),
        holders,
    }
}

fn is_beginning_of_id(digits: &str) -> bool {
    (1..=ID_LENGTH).contains(&digits.len()) && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn unknown(text: &str) -> Failure {
    Failure::not_found(format_args!("no such image: {text}"))
        .hint("`cctl images` lists the images; `cctl import` adds one")
}

/// Says which names there are in the repository that was named.
fn named(failure: Failure, tags: &[&str]) -> Failure {
    if tags.is_empty() { failure } else { failure.hint(format_args!("there are {}", few(tags))) }
}

/// A name that is not there must not quietly mean an id that happens to begin so.
fn name_or_id(text: &str, id: &Digest, tags: &[&str]) -> Failure {
    let message = format_args!("{text} may be image {} or a name: there are {}", id.short(), few(tags));
    Failure::conflict(message).hint("name its tag, or write sha256: before the beginning of an id")
}

fn few(names: &[&str]) -> String {
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

fn ambiguous(text: &str, candidates: &[&Digest]) -> Failure {
    let ids: Vec<&str> = candidates.iter().map(|id| id.short()).collect();
    Failure::conflict(format_args!("{text} may be any of {} images: {}", candidates.len(), few(&ids)))
        .hint("give more digits of the id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;
    use proptest::prelude::*;
    use schema::Code;

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
    fn a_repository_named_like_an_id_is_not_shadowed_silently() {
        let mut index = index(&[(0xba, 1), (0x10, 3)]);
        index.tag("ba:1".to_owned(), &id(0x10, 3));
        let failure = index.resolve("ba").unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert!(failure.message.contains("ba:1"), "{failure}");
        assert_eq!(index.resolve("ba:1").unwrap().id, id(0x10, 3));
        assert_eq!(index.resolve("sha256:ba").unwrap().id, id(0xba, 1));
        assert_eq!(index.resolve("ba0").unwrap().id, id(0xba, 1));
        index.tag("x:1".to_owned(), &id(0x10, 3));
        assert_eq!(index.resolve("x").unwrap_err().hint, "there are x:1");
    }

    #[test]
    fn an_image_is_found_by_the_digest_that_its_registry_knows() {
        let mut with_digest = record(7, 7);
        let manifest = with_digest.manifest.digest.clone();
        with_digest.repository_digests = vec![format!("u/a@{manifest}")];
        let mut index = Index::default();
        index.add_image(with_digest);
        for text in ["u/a@", "docker.io/u/a@", "u/a:any@"] {
            assert_eq!(index.resolve(&format!("{text}{manifest}")).unwrap().id, id(7, 7));
        }
        assert_eq!(index.resolve(&format!("b@{manifest}")).unwrap_err().code, Code::NotFound);
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
