//! Content of an archive on its way into the store: verified, on the disk, under its digest.

use super::entries::Entries;
use super::{Refusal, refuse};
use crate::check::{Checked, Use, read};
use crate::disk::Disk;
use crate::uploads::UploadName;
use layer_archive::Hashed;
use oci::digest;
use schema::common::Layer;
use schema::{Digest, Failure};
use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::PathBuf;

const BUFFER: usize = 256 << 10;

/// The directory beside an upload.
pub(super) struct Stage<'a> {
    directory: PathBuf,
    disk: &'a Disk,
    known: &'a HashMap<Digest, Layer>,
    staged: BTreeSet<Digest>,
    /// Layers of this archive, by the member that holds them.
    layers: HashMap<String, Layer>,
    /// Bytes that may still be expanded.
    budget: u64,
}

impl<'a> Stage<'a> {
    /// For an archive whose layers may have `budget` bytes, all together, when they are expanded.
    pub(super) fn open(
        disk: &'a Disk,
        upload: &UploadName,
        known: &'a HashMap<Digest, Layer>,
        budget: u64,
    ) -> Result<Self, Refusal> {
        let directory = disk.uploads.staging(upload);
        fs::create_dir(&directory)?;
        Ok(Self { directory, disk, known, staged: BTreeSet::new(), layers: HashMap::new(), budget })
    }

    /// Stages a document that was verified or made.
    pub(super) fn document(&mut self, content: &[u8]) -> Result<Digest, Refusal> {
        let digest = digest(content);
        if self.staged.insert(digest.clone()) {
            let path = self.directory.join(digest.hex());
            fs::write(&path, content).and_then(|()| File::open(&path)?.sync_all())?;
        }
        Ok(digest)
    }

    /// Stages a member as it is, which must have this digest and size.
    pub(super) fn blob(
        &mut self,
        entries: &Entries<'_>,
        name: &str,
        wanted: &Digest,
        size: u64,
    ) -> Result<(), Refusal> {
        if self.staged.contains(wanted) {
            return Ok(());
        }
        let (member, found) = entries.open(name)?;
        if found != size {
            return Err(refuse(format_args!("member {name} has {found} bytes, not {size} as its manifest says")));
        }
        let path = self.directory.join(wanted.hex());
        let mut hashed = Hashed::new(member);
        let mut copy = BufWriter::with_capacity(BUFFER, File::create(&path)?);
        io::copy(&mut hashed, &mut copy)?;
        copy.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        let digest = Digest::from_sha256(&hashed.finish().0);
        if digest != *wanted {
            return Err(refuse(format_args!("member {name} has the digest {digest}, not {wanted}")));
        }
        self.staged.insert(digest);
        Ok(())
    }

    /// Stages a member that is a layer's archive, however it is compressed. Its content must have the promised diff
    /// id, if one was promised.
    pub(super) fn layer(
        &mut self,
        entries: &Entries<'_>,
        name: &str,
        promised: Option<&Digest>,
    ) -> Result<Layer, Refusal> {
        let layer = match self.layers.get(name) {
            Some(layer) => layer.clone(),
            None => {
                let layer = self.new_layer(entries, name)?;
                self.layers.insert(name.to_owned(), layer.clone());
                layer
            }
        };
        match promised {
            Some(promised) if *promised != layer.diff_id => Err(refuse(format_args!(
                "layer {name} has the digest {}, not {promised} as the image's configuration says",
                layer.diff_id
            ))),
            _ => Ok(layer),
        }
    }

    fn new_layer(&mut self, entries: &Entries<'_>, name: &str) -> Result<Layer, Refusal> {
        let (member, size) = entries.open(name)?;
        let temporary = self.directory.join("layer");
        let (Checked { layer, packed }, expanded) =
            read(member, Some(size), self.budget, &temporary, Use::Layer).map_err(|error| named(name, error))?;
        self.budget = self.budget.saturating_sub(expanded);
        if let Some(known) = self.known.get(&layer.diff_id)
            && self.disk.blobs.find(&known.digest, Some(known.size)).is_ok()
        {
            return Ok(known.clone());
        }
        if packed {
            fs::rename(&temporary, self.directory.join(layer.digest.hex()))?;
            self.staged.insert(layer.digest.clone());
        } else {
            self.blob(entries, name, &layer.digest, layer.size)?;
        }
        Ok(layer)
    }

    /// Everything that was staged. It is on the disk.
    pub(super) fn finish(self) -> Result<Vec<Digest>, Refusal> {
        File::open(&self.directory).and_then(|directory| directory.sync_all())?;
        Ok(self.staged.into_iter().collect())
    }
}

fn named(name: &str, error: layer_archive::Error) -> Refusal {
    match error {
        layer_archive::Error::Invalid(reason) => {
            Refusal::Other(Failure::invalid(format_args!("member {name}: {reason}")).hint(super::HINT))
        }
        other => Refusal::Archive(other),
    }
}
