//! An archive of images, by position: a tar that is an OCI layout and an archive of `docker save` at once.
//!
//! Nothing in it depends on when or by whom it is read: times and owners are zero, blobs come in the order of
//! their digests.

use crate::blobs::Blobs;
use crate::record::{ImageRecord, Stored};
use oci::manifest::OCI_INDEX;
use oci::reference::Reference;
use schema::image_store::SavedPart;
use schema::{Digest, Failure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use tar::{EntryType, Header};

const BLOCK: u64 = 512;
/// A tar ends with two blocks of zeros.
const END: u64 = 2 * BLOCK;
/// Bytes that one call may ask for.
const MOST_A_CALL: u64 = 1 << 20;

/// An image that is saved, with those of its names that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) record: ImageRecord,
    pub(crate) names: Vec<Reference>,
}

impl Saved {
    /// Whether both make the same bytes.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        self.names == other.names && self.record.manifest == other.record.manifest
    }
}

/// Where each byte of an archive comes from.
#[derive(Debug)]
pub(crate) struct Archive {
    parts: Vec<Part>,
    total: u64,
}

#[derive(Debug)]
struct Part {
    offset: u64,
    size: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Bytes(Vec<u8>),
    File(PathBuf),
    Zeros,
}

impl Archive {
    /// Of these images, whose blobs are there.
    pub(crate) fn new(images: &[Saved], blobs: &Blobs) -> Result<Self, Failure> {
        let mut archive = Self { parts: Vec::new(), total: 0 };
        for (name, document) in [
            ("oci-layout", json!({ "imageLayoutVersion": "1.0.0" })),
            ("index.json", index(images)),
            ("manifest.json", listing(images)),
        ] {
            let content = document.to_string().into_bytes();
            archive.entry(name, EntryType::Regular, content.len() as u64, Content::Bytes(content))?;
        }
        for directory in ["blobs/", "blobs/sha256/"] {
            archive.entry(directory, EntryType::Directory, 0, Content::Zeros)?;
        }
        let needed: BTreeMap<&Digest, u64> = images.iter().flat_map(|saved| blobs_of(&saved.record)).collect();
        for (digest, size) in needed {
            let path = blobs.find(digest, Some(size))?.path;
            archive.entry(&member(digest), EntryType::Regular, size, Content::File(path))?;
        }
        archive.add(END, Content::Zeros);
        Ok(archive)
    }

    fn entry(&mut self, name: &str, kind: EntryType, size: u64, content: Content) -> Result<(), Failure> {
        let mut header = Header::new_gnu();
        header.set_path(name).map_err(|error| Failure::internal(format_args!("naming {name:?} in a tar: {error}")))?;
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_size(size);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        self.add(BLOCK, Content::Bytes(header.as_bytes().to_vec()));
        self.add(size, content);
        self.add(size.next_multiple_of(BLOCK) - size, Content::Zeros);
        Ok(())
    }

    fn add(&mut self, size: u64, content: Content) {
        if size > 0 {
            self.parts.push(Part { offset: self.total, size, content });
            self.total += size;
        }
    }

    /// At most `most` bytes from `offset` on; none at the end.
    pub(crate) fn read(&self, offset: u64, most: u32) -> Result<SavedPart, Failure> {
        let end = offset.saturating_add(u64::from(most).min(MOST_A_CALL)).min(self.total);
        let mut data = Vec::new();
        let first = self.parts.partition_point(|part| part.offset + part.size <= offset);
        for part in &self.parts[first..] {
            let at = offset + data.len() as u64;
            if at >= end {
                break;
            }
            part.read(at - part.offset, end.min(part.offset + part.size) - at, &mut data)?;
        }
        Ok(SavedPart { data, total: self.total })
    }
}

impl Part {
    fn read(&self, from: u64, count: u64, into: &mut Vec<u8>) -> Result<(), Failure> {
        // At most `MOST_A_CALL`, and within the part.
        let (from_byte, count) = (from, usize::try_from(count).unwrap_or_default());
        let start = into.len();
        into.resize(start + count, 0);
        match &self.content {
            Content::Zeros => Ok(()),
            Content::Bytes(bytes) => {
                let from = usize::try_from(from).unwrap_or(bytes.len());
                into[start..].copy_from_slice(bytes.get(from..from + count).unwrap_or_default());
                Ok(())
            }
            Content::File(path) => File::open(path)
                .and_then(|file| file.read_exact_at(&mut into[start..], from_byte))
                .map_err(|error| Failure::io(format_args!("reading {}", path.display()), &error)),
        }
    }
}

/// What is saved of an image: how it is packed now.
fn blobs_of(record: &ImageRecord) -> impl Iterator<Item = (&Digest, u64)> {
    let documents = [&record.config, &record.manifest].into_iter();
    let layers = record.layers.iter().map(|layer| (&layer.digest, layer.size));
    documents.map(|Stored { digest, size }| (digest, *size)).chain(layers)
}

fn member(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The `index.json` of a layout: an entry a name, annotated as containerd and Docker do.
fn index(images: &[Saved]) -> Value {
    let entry = |record: &ImageRecord, name: Option<&Reference>| {
        let Stored { digest, size } = &record.manifest;
        let mut entry = json!({ "mediaType": record.manifest_type, "digest": digest, "size": size });
        if let Some(name) = name {
            let (registry, path) = name.repository().location();
            entry["annotations"] = json!({
                "io.containerd.image.name": format!("{registry}/{path}:{}", name.tag()),
                "org.opencontainers.image.ref.name": name.tag(),
            });
        }
        entry
    };
    let entries: Vec<Value> = { images.iter() }
        .flat_map(|Saved { record, names }| {
            let unnamed = names.is_empty().then(|| entry(record, None));
            unnamed.into_iter().chain(names.iter().map(|name| entry(record, Some(name)))).collect::<Vec<_>>()
        })
        .collect();
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries })
}

/// The `manifest.json` of `docker save`.
fn listing(images: &[Saved]) -> Value {
    let entry = |Saved { record, names }: &Saved| {
        let layers: Vec<String> = record.layers.iter().map(|layer| member(&layer.digest)).collect();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        json!({ "Config": member(record.id()), "RepoTags": names, "Layers": layers })
    };
    images.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;
    use oci::digest;
    use proptest::prelude::*;
    use std::io::Read;

    fn stored(blobs: &Blobs, content: &[u8]) -> Stored {
        let digest = digest(content);
        blobs.put(&digest, content).unwrap();
        Stored { digest, size: content.len() as u64 }
    }

    fn archive(state: &std::path::Path) -> Archive {
        let blobs = Blobs::open(state).unwrap();
        let mut record = record(1, 1);
        (record.config, record.manifest) = (stored(&blobs, &[b'c'; 600]), stored(&blobs, b"manifest"));
        let names = ["u/a:1", "b"].map(|name| name.parse().unwrap()).to_vec();
        Archive::new(&[Saved { record, names }], &blobs).unwrap()
    }

    #[test]
    fn it_is_a_tar_of_both_forms() {
        let state = tempfile::tempdir().unwrap();
        let archive = archive(state.path());
        let whole = archive.read(0, u32::MAX).unwrap();
        assert_eq!((whole.data.len() as u64, whole.total), (archive.total, archive.total));
        let mut members = BTreeMap::new();
        for entry in tar::Archive::new(&whole.data[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            members.insert(entry.path().unwrap().display().to_string(), content);
        }
        assert_eq!(members.len(), 7);
        let index: Value = serde_json::from_str(&members["index.json"]).unwrap();
        assert_eq!(index["manifests"][1]["annotations"]["io.containerd.image.name"], "docker.io/library/b:latest");
        let listing: Value = serde_json::from_str(&members["manifest.json"]).unwrap();
        assert_eq!(listing[0]["RepoTags"], json!(["u/a:1", "b:latest"]));
        assert_eq!(members[listing[0]["Config"].as_str().unwrap()], "c".repeat(600));
    }

    proptest! {
        #[test]
        fn pieces_make_the_whole(step in 1_u32..3000, beyond in 0_u64..10) {
            let state = tempfile::tempdir().unwrap();
            let archive = archive(state.path());
            let whole = archive.read(0, u32::MAX).unwrap().data;
            let mut pieces = Vec::new();
            loop {
                let part = archive.read(pieces.len() as u64, step).unwrap();
                if part.data.is_empty() {
                    break;
                }
                pieces.extend(part.data);
            }
            prop_assert!(pieces == whole);
            prop_assert!(archive.read(archive.total + beyond, step).unwrap().data.is_empty());
        }
    }
}
