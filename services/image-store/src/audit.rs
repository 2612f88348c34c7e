//! Reading everything that is stored, to find what is not as it should be. What is mended here: damaged blobs are moved
//! aside, so that they can be brought again. `repair` mends records.

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
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

const BUFFER: usize = 256 << 10;
const REPAIR: &str = "`cctl system check --repair` sets it aside, and pulls it again if it came from a registry";

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    examined: u64,
    bytes: u64,
    /// Each with the blob that it is about, which may have been removed with its image since.
    problems: Vec<(Option<Digest>, Problem)>,
    repaired: Vec<Problem>,
    kept: Vec<Problem>,
}

/// Whether a record that was moved aside is still missed.
pub(crate) enum Missed {
    /// No: what it said is recorded again, or needs no record.
    No,
    /// Yes; what a user can do about it, and what can be pulled in its place.
    Yes { hint: &'static str, sources: Vec<String> },
}

impl Audit {
    /// Reads all blobs. With `repair`, damaged ones are moved aside.
    pub(crate) fn of_blobs(disk: &Disk, repair: bool) -> Result<Self, Failure> {
        let mut audit = Self::default();
        audit.blobs(&disk.blobs, repair)?;
        Ok(audit)
    }

    /// Reads all records. `images` are those of the index.
    pub(crate) fn add_records(&mut self, disk: &Disk, images: &[ImageRecord]) -> Result<(), Failure> {
        let mut sources: HashMap<&Digest, Vec<String>> = HashMap::new();
        for image in images {
            for (manifest, blobs) in image.packings() {
                let known = image.sources(manifest);
                blobs.iter().for_each(|(blob, _)| sources.entry(blob).or_default().extend(known.iter().cloned()));
            }
        }
        for image in images {
            self.image(disk, image, &sources);
        }
        for (digest, kept) in disk.blobs.set_aside_before()? {
            self.keep(format!("blob {digest}"), &kept);
        }
        disk.verify_records(self)
    }

    /// What was mended besides.
    pub(crate) fn add_repaired(&mut self, repaired: Vec<Problem>) {
        self.repaired.extend(repaired);
    }

    /// The report, when these are the blobs that images need now.
    pub(crate) fn report(self, needed: &HashSet<Digest>) -> CheckReport {
        let Self { examined, bytes, problems, repaired, kept } = self;
        let still = |digest: &Option<Digest>| digest.as_ref().is_none_or(|digest| needed.contains(digest));
        let problems = problems.into_iter().filter(|(digest, _)| still(digest)).map(|(_, problem)| problem).collect();
        CheckReport { examined, bytes, problems, repaired, kept, owners: Vec::new() }
    }

    fn note(&mut self, digest: Option<&Digest>, object: String, message: impl ToString, hint: impl Into<String>) {
        self.problems.push((digest.cloned(), Problem::new(object, message, hint)));
    }

    fn keep(&mut self, object: String, kept: &Path) {
        let message = format_args!("it was damaged, and is kept in {}", kept.display()).to_string();
        let hint = format!("nothing depends on that file: `rm {}`", kept.display());
        self.kept.push(Problem::new(object, message, hint));
    }

    fn blobs(&mut self, blobs: &Blobs, repair: bool) -> Result<(), Failure> {
        for (digest, _) in blobs.list()? {
            self.examined += 1;
            let path = blobs.path(&digest);
            let (seen, damage, hint) = match (fs::metadata(&path), File::open(&path)) {
                (Ok(seen), Ok(mut file)) => match self.hash(&mut file) {
                    Ok(found) if found == digest => continue,
                    Ok(found) => (seen, format!("its content has the digest {found}"), REPAIR),
                    Err(error) => (seen, Failure::io("it cannot be read", &error).message, "look at the disk"),
                },
                // It was removed meanwhile, or an image misses it.
                (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => continue,
                (Err(error), _) | (_, Err(error)) => {
                    let message = Failure::io("it cannot be read", &error).message;
                    self.note(Some(&digest), format!("blob {digest}"), message, "look at the disk");
                    continue;
                }
            };
            if !repair {
                self.note(Some(&digest), format!("blob {digest}"), damage, hint);
            } else if let Some(kept) = blobs.set_aside(&digest, &seen)? {
                let message = format!("{damage}: it was moved aside to {}", kept.display());
                self.repaired.push(Problem::new(format!("blob {digest}"), message, ""));
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
    fn image(&mut self, disk: &Disk, image: &ImageRecord, sources: &HashMap<&Digest, Vec<String>>) {
        self.examined += 1;
        let object = || format!("image {}", image.id());
        let mut seen = HashSet::new();
        for (digest, size) in image.blobs().filter(|(digest, _)| seen.insert(*digest)) {
            if let Err(failure) = disk.blobs.find(digest, Some(size)) {
                let sources = sources.get(digest).cloned().unwrap_or_default();
                let problem = Problem { sources, ..Problem::new(object(), failure.message, "") };
                self.problems
                    .push((Some(digest.clone()), Problem { hint: advice(image, &problem.sources), ..problem }));
            }
        }
        let Ok(config) = disk.blobs.document(image.id()).and_then(|content| config::parse(&content)) else {
            // Its bytes are wrong, which was noted, or the image is gone.
            return;
        };
        if !config.diff_ids.iter().eq(image.layers.iter().map(|layer| &layer.diff_id)) {
            let message = "its record has other layers than its configuration";
            self.note(Some(image.id()), object(), message, advice(image, &[]));
        }
    }

    /// Records of one kind; gives the intact ones. `missed` is told the name of one that was moved aside, and whether
    /// there is an intact one in its place.
    pub(crate) fn records<T: Serialize + DeserializeOwned>(
        &mut self,
        kind: &str,
        store: &Store<T>,
        missed: impl Fn(&str, bool) -> Missed,
    ) -> Result<Vec<T>, Failure> {
        let mut intact = HashMap::new();
        for (name, bytes, record) in store.verify()? {
            self.examined += 1;
            self.bytes += bytes;
            match record {
                Ok(record) => drop(intact.insert(name, record)),
                Err(reason) => {
                    let hint = "`cctl system check --repair` writes it anew if it is known, and else sets it aside";
                    self.note(None, format!("record {kind} {name}"), reason, hint);
                }
            }
        }
        for (name, kept) in store.quarantined()? {
            let object = format!("record {kind} {name}");
            match missed(&name, intact.contains_key(&name)) {
                Missed::No => self.keep(object, &kept),
                Missed::Yes { hint, sources } => {
                    let message = format!("it was damaged, and is kept in {}", kept.display());
                    self.problems.push((None, Problem { sources, ..Problem::new(object, message, hint) }));
                }
            }
        }
        Ok(intact.into_values().collect())
    }

    /// A name of an image that is not there.
    pub(crate) fn dangling(&mut self, reference: &str, image: &Digest) {
        let message = format_args!("it names image {image}, which is not there").to_string();
        self.note(None, format!("name {reference}"), message, "bring the image again, or give the name to another");
    }
}

/// What a user can do about an image that lacks something.
fn advice(image: &ImageRecord, sources: &[String]) -> String {
    if sources.is_empty() {
        let id = image.id().short();
        format!("no registry is known to have it: import or load the same archive again, or `cctl rmi -f {id}`")
    } else {
        "`cctl system check --repair` pulls it again".to_owned()
    }
}
