//! What a removal means: which names go, and whether the image goes with them. Pure: no files.

use crate::index::Index;
use crate::record::ImageRecord;
use oci::reference::Target;
use schema::image_store::Removed;
use schema::{Digest, Failure};
use serde::{Deserialize, Serialize};

/// Names and holders that a message lists.
const SHOWN: usize = 5;
const SHORT: usize = 12;

/// What is to be done, as a plan that can be carried out again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removal {
    pub(crate) image: Digest,
    pub(crate) untagged: Vec<String>,
    pub(crate) fate: Fate,
}

/// What becomes of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    /// It stays, with this record.
    Stays(Box<ImageRecord>),
    /// It goes, and with it those of its blobs that no other image needs.
    Goes(Vec<Digest>),
}

impl Removal {
    /// What `reference` asks for.
    pub(crate) fn decide(index: &Index, reference: &str, force: bool) -> Result<Self, Failure> {
        let image = index.find(reference)?;
        let names = index.names(image);
        let name = reference.parse::<Target>().ok().filter(|target| target.digest.is_none());
        let name = name.and_then(|target| target.reference()).map(|name| name.to_string());
        let untagged = match name.filter(|name| names.contains(name)) {
            Some(name) => vec![name],
            None if names.len() > 1 && !force => return Err(several(reference, &names)),
            None => names.clone(),
        };
        let left: Vec<&String> = names.iter().filter(|name| !untagged.contains(name)).collect();
        let holders = index.holders(image);
        if left.is_empty() && !holders.is_empty() && !force {
            return Err(in_use(reference, &holders));
        }
        let record = index.record(image).ok_or_else(|| Failure::internal("an image without a record"))?;
        let fate = if left.is_empty() && holders.is_empty() {
            Fate::goes(record)
        } else {
            Fate::stays(record, &untagged, &left, holders)
        };
        Ok(Self { image: image.clone(), untagged, fate })
    }

    /// What becomes of an image when these are all that still hold it. None: nothing changes.
    pub(crate) fn after_release(index: &Index, image: &Digest, holders: impl FnOnce() -> Vec<String>) -> Option<Self> {
        let record = index.record(image).filter(|record| !record.outlives.is_empty())?;
        let holders = holders();
        if record.outlives == holders {
            return None;
        }
        let fate = if holders.is_empty() {
            Fate::goes(record)
        } else {
            Fate::Stays(Box::new(ImageRecord { outlives: holders, ..record.clone() }))
        };
        Some(Self { image: image.clone(), untagged: Vec::new(), fate })
    }

    /// Whether the image goes.
    pub(crate) fn deletes(&self) -> bool {
        matches!(self.fate, Fate::Goes(_))
    }

    /// What it answers, when that many bytes were freed.
    pub(crate) fn answer(&self, freed: u64) -> Removed {
        let deleted = if self.deletes() { vec![self.image.to_string()] } else { Vec::new() };
        Removed { untagged: self.untagged.clone(), deleted, freed }
    }
}

impl Fate {
    fn goes(record: &ImageRecord) -> Self {
        Self::Goes(record.blobs().map(|(digest, _)| digest.clone()).collect())
    }

    /// A registry's digest goes with the last name of its repository. Without any name left, the image goes with
    /// its last holder.
    fn stays(record: &ImageRecord, untagged: &[String], left: &[&String], holders: Vec<String>) -> Self {
        let repository = |name: &String| name.rsplit_once(':').map(|(before, _)| before.to_owned());
        let lost: Vec<String> = untagged.iter().filter_map(repository).collect();
        let kept: Vec<String> = left.iter().filter_map(|name| repository(name)).collect();
        let mut record = record.clone();
        record.repository_digests.retain(|known| {
            let is_its = |repository: &String| known.split('@').next() == Some(repository);
            !lost.iter().any(is_its) || kept.iter().any(is_its)
        });
        record.outlives = if left.is_empty() { holders } else { Vec::new() };
        Self::Stays(Box::new(record))
    }
}

fn several(reference: &str, names: &[String]) -> Failure {
    let listed: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    Failure::conflict(format_args!("image {reference} has {} names: {}", names.len(), listed.join(", ")))
        .hint("name the one to take away, or remove all of them with -f")
}

fn in_use(reference: &str, holders: &[String]) -> Failure {
    let listed: Vec<&str> = holders.iter().take(SHOWN).map(|holder| holder.get(..SHORT).unwrap_or(holder)).collect();
    let (noun, more) = (if holders.len() == 1 { "container" } else { "containers" }, holders.len() > SHOWN);
    let dots = if more { ", …" } else { "" };
    Failure::conflict(format_args!("image {reference} is used by {noun} {}{dots}", listed.join(", ")))
        .hint("remove these first; with -f the image loses its name now and goes with the last of them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;
    use schema::Code;

    fn index(names: &[&str], holders: &[&str]) -> (Index, Digest) {
        let mut index = Index::default();
        let mut image = record(1, 1);
        image.repository_digests = vec!["a@sha256:x".to_owned(), "b@sha256:x".to_owned()];
        let id = image.id().clone();
        index.add_image(image);
        names.iter().for_each(|name| assert!(index.tag((*name).to_owned(), &id)));
        holders.iter().for_each(|holder| drop(index.lease((*holder).to_owned(), id.clone())));
        (index, id)
    }

    #[test]
    fn a_name_goes_and_the_image_with_the_last() {
        let (index, id) = index(&["a:1", "a:2", "b:1"], &[]);
        let one = Removal::decide(&index, "a:1", false).unwrap();
        assert_eq!((&one.untagged[..], one.deletes()), (&["a:1".to_owned()][..], false));
        let b = Removal::decide(&index, "b:1", false).unwrap();
        let Fate::Stays(record) = b.fate else { panic!() };
        assert_eq!(record.repository_digests, ["a@sha256:x"]);
        let by_id = Removal::decide(&index, id.short(), false).unwrap_err();
        assert_eq!(by_id.code, Code::Conflict);
        assert!(by_id.message.contains("a:1, a:2, b:1"), "{by_id}");
        let forced = Removal::decide(&index, id.short(), true).unwrap();
        assert_eq!((forced.untagged.len(), forced.deletes()), (3, true));
        assert_eq!(forced.answer(5).deleted, [id.to_string()]);
    }

    #[test]
    fn an_image_in_use_keeps_its_last_name_or_goes_with_its_last_holder() {
        let (mut index, id) = index(&["a:1"], &["c1", "c2"]);
        for reference in ["a:1", id.as_str()] {
            let failure = Removal::decide(&index, reference, false).unwrap_err();
            assert_eq!(failure.code, Code::Conflict);
            assert!(failure.message.contains("c1, c2"), "{failure}");
        }
        let Fate::Stays(record) = Removal::decide(&index, "a:1", true).unwrap().fate else { panic!() };
        assert_eq!(record.outlives, ["c1", "c2"]);
        index.untag("a:1");
        index.add_image(*record);
        let Some(Removal { fate: Fate::Stays(record), .. }) =
            Removal::after_release(&index, &id, || vec!["c2".to_owned()])
        else {
            panic!()
        };
        assert_eq!(record.outlives, ["c2"]);
        assert!(Removal::after_release(&index, &id, Vec::new).unwrap().deletes());
    }

    #[test]
    fn an_image_that_merely_has_no_name_stays_when_it_is_released() {
        let (index, id) = index(&[], &[]);
        assert_eq!(Removal::after_release(&index, &id, Vec::new), None);
        assert!(Removal::decide(&index, id.short(), false).unwrap().deletes());
    }
}
