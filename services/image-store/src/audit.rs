//! Reading everything that is stored, to find what is not as it should be. Nothing is mended.

use crate::blobs::Blobs;
use crate::disk::Disk;
use crate::record::ImageRecord;
use kit::store::Store;
use layer_archive::Hashed;
use oci::config;
use schema::common::{CheckReport, Problem};
use schema::{Digest, Failure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};

const BUFFER: usize = 256 << 10;
const HINT: &str = "remove the image and bring it again";

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    examined: u64,
    bytes: u64,
    /// Each with the blob that it is about, which may have been removed with its image since.
    problems: Vec<(Option<Digest>, Problem)>,
}

impl Audit {
    /// Reads all blobs, and all records. `images` are those of the index.
    pub(crate) fn of(disk: &Disk, images: &[ImageRecord]) -> Result<Self, Failure> {
        let mut audit = Self::default();
        audit.blobs(&disk.blobs)?;
        for image in images {
            audit.image(disk, image);
        }
        disk.verify_records(&mut audit)?;
        Ok(audit)
    }

    /// The report, when these are the blobs that images need now.
    pub(crate) fn report(self, needed: &HashSet<Digest>) -> CheckReport {
        let Self { examined, bytes, problems } = self;
        let still = |digest: &Option<Digest>| digest.as_ref().is_none_or(|digest| needed.contains(digest));
        let problems = problems.into_iter().filter(|(digest, _)| still(digest)).map(|(_, problem)| problem).collect();
        CheckReport { examined, bytes, problems }
    }

    fn note(&mut self, digest: Option<&Digest>, object: String, message: impl ToString, hint: &str) {
        let problem = Problem { object, message: message.to_string(), hint: hint.to_owned() };
        self.problems.push((digest.cloned(), problem));
    }

    fn blobs(&mut self, blobs: &Blobs) -> Result<(), Failure> {
        for (digest, _) in blobs.list()? {
            self.examined += 1;
            match File::open(blobs.path(&digest)).and_then(|mut file| self.hash(&mut file)) {
                Ok(found) if found == digest => {}
                Ok(found) => self.note(
                    Some(&digest),
                    format!("blob {digest}"),
                    format_args!("its content has the digest {found}"),
                    HINT,
                ),
                // It was removed meanwhile, or an image misses it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.note(
                    Some(&digest),
                    format!("blob {digest}"),
                    Failure::io("it cannot be read", &error).message,
                    "look at the disk",
                ),
            }
        }
        for stranger in blobs.strangers()? {
            self.note(None, format!("file {}", stranger.display()), "it is not a blob", "remove it");
        }
        Ok(())
    }

    fn hash(&mut self, file: &mut File) -> io::Result<Digest> {
        let mut hashed = Hashed::new(file);
        let mut buffer = vec![0; BUFFER];
        while hashed.read(&mut buffer)? > 0 {}
        let (hash, length, _) = hashed.finish();
        self.bytes += length;
        Ok(Digest::from_sha256(&hash))
    }

    /// Its blobs are there, and its configuration agrees with its record.
    fn image(&mut self, disk: &Disk, image: &ImageRecord) {
        self.examined += 1;
        let object = || format!("image {}", image.id());
        for (digest, size) in image.blobs() {
            if let Err(failure) = disk.blobs.find(digest, Some(size)) {
                self.note(Some(digest), object(), failure.message, HINT);
            }
        }
        let Ok(config) = disk.blobs.document(image.id()).and_then(|content| config::parse(&content)) else {
            // Its bytes are wrong, which was noted, or the image is gone.
            return;
        };
        if !config.diff_ids.iter().eq(image.layers.iter().map(|layer| &layer.diff_id)) {
            self.note(Some(image.id()), object(), "its record has other layers than its configuration", HINT);
        }
    }

    /// Records of one kind; gives the intact ones.
    pub(crate) fn records<T: Serialize + DeserializeOwned>(
        &mut self,
        kind: &str,
        store: &Store<T>,
    ) -> Result<Vec<T>, Failure> {
        let mut intact = Vec::new();
        for (name, bytes, record) in store.verify()? {
            self.examined += 1;
            self.bytes += bytes;
            match record {
                Ok(record) => intact.push(record),
                Err(reason) => {
                    self.note(None, format!("record {kind} {name}"), reason, "it is set aside at the next start");
                }
            }
        }
        for (name, kept) in store.quarantined()? {
            let message = format!("it was damaged, and is kept in {}", kept.display());
            self.note(None, format!("record {kind} {name}"), message, "bring the image again, and remove that file");
        }
        Ok(intact)
    }

    /// A name of an image that is not there.
    pub(crate) fn dangling(&mut self, reference: &str, image: &Digest) {
        let message = format_args!("it names image {image}, which is not there").to_string();
        self.note(None, format!("name {reference}"), message, "bring the image again, or give the name to another");
    }
}
