//! Archives to unpack.

use filesystem::unpack::Unpacker;
use schema::common::Layer;
use schema::{Digest, Failure};
use sha2::Digest as _;
use std::fs;
use std::path::PathBuf;
use tar::{Builder, EntryType, Header};

/// An archive in the making. Names are written as they are given, whatever they are.
pub(crate) struct Archive(Builder<Vec<u8>>);

impl Archive {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub(crate) fn header(kind: EntryType) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(0);
        header
    }

    /// A member, after `change` was made to its header.
    pub(crate) fn add(mut self, kind: EntryType, name: &str, data: &[u8], change: impl FnOnce(&mut Header)) -> Self {
        let mut header = Self::header(kind);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(data.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.add(EntryType::Regular, name, content.as_bytes(), |_| ())
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.add(EntryType::Directory, name, b"", |_| ())
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.link(EntryType::Symlink, name, target)
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.link(EntryType::Link, name, target)
    }

    fn link(self, kind: EntryType, name: &str, target: &str) -> Self {
        self.add(kind, name, b"", |header| {
            header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        })
    }

    /// What an extended header says of the next member.
    pub(crate) fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        self.0.append_pax_extensions(records.iter().copied()).unwrap();
        self
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    /// Unpacks it into a directory with a secret beside it.
    pub(crate) fn unpack(self) -> Unpacked {
        unpack_bytes(&self.bytes())
    }
}

/// The result of unpacking.
pub(crate) struct Unpacked {
    /// Holds `layer/`, `blob`, and `secret/file`, which says "secret".
    outer: tempfile::TempDir,
    pub(crate) result: Result<(), Failure>,
}

impl Unpacked {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.outer.path().join("layer").join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Nothing but the layer was changed.
    pub(crate) fn assert_contained(&self) {
        let secret = self.outer.path().join("secret");
        let names: Vec<_> = fs::read_dir(&secret).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["file"]);
        assert_eq!(fs::read_to_string(secret.join("file")).unwrap(), "secret");
        assert_eq!(fs::read_dir(self.outer.path()).unwrap().count(), 3);
    }
}

/// By the service's program.
pub(crate) fn unpacker() -> Unpacker {
    Unpacker::new(env!("CARGO_BIN_EXE_filesystem"))
}

pub(crate) fn unpack_bytes(bytes: &[u8]) -> Unpacked {
    unpack_as(&layer(bytes), bytes)
}

/// Unpacks `bytes` as the blob of `layer`.
pub(crate) fn unpack_as(layer: &Layer, bytes: &[u8]) -> Unpacked {
    let outer = tempfile::tempdir().unwrap();
    let (target, blob) = (outer.path().join("layer"), outer.path().join("blob"));
    fs::create_dir(&target).unwrap();
    fs::create_dir(outer.path().join("secret")).unwrap();
    fs::write(outer.path().join("secret/file"), "secret").unwrap();
    fs::write(&blob, bytes).unwrap();
    let result = unpacker().unpack(layer, &blob, &target);
    Unpacked { outer, result }
}

/// The uncompressed layer with this content.
pub(crate) fn layer(bytes: &[u8]) -> Layer {
    let digest = digest(bytes);
    Layer {
        diff_id: digest.clone(),
        digest,
        media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
        size: bytes.len() as u64,
    }
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::from_sha256(&sha2::Sha256::digest(bytes).into())
}
