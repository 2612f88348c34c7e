//! From an archive of images to what is to be written: OCI layouts, and the archives of `docker save`, new and old.
//!
//! Everything in it is verified and laid beside the upload before anything is recorded; so an archive becomes all
//! of its images or none.

mod docker;
mod entries;
mod layout;
mod legacy;
mod stage;

use crate::check::abandoned;
use crate::disk::Disk;
use crate::plan::Load;
use crate::uploads::UploadName;
use entries::Entries;
use layer_archive::{Error, expanded_limit};
use schema::common::Layer;
use schema::{Digest, Failure};
use stage::Stage;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// Images that one archive may have.
const MOST_IMAGES: usize = 1000;
const HINT: &str = "give an archive as `cctl save`, `docker save`, `podman save` or `skopeo copy` write it";

/// Why an archive is not loaded.
#[derive(Debug)]
enum Refusal {
    Archive(Error),
    Other(Failure),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Archive(error)
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Self::Archive(error.into())
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

/// The archive is not as it should be.
fn refuse(why: impl std::fmt::Display) -> Refusal {
    Refusal::Other(Failure::invalid(why).hint(HINT))
}

/// Reads an upload and says what is to be written. `known` are layers that are here already, by their diff ids; they
/// must be held.
pub(crate) fn plan(
    disk: &Disk,
    upload: &UploadName,
    known: &HashMap<Digest, Layer>,
    cancelled: &AtomicBool,
) -> Result<Load, Failure> {
    disk.uploads.remove_made(upload);
    read(disk, upload, known, cancelled).map_err(|refusal| match refusal {
        _ if cancelled.load(Ordering::Relaxed) => abandoned(),
        Refusal::Archive(Error::Invalid(reason)) => Failure::invalid(reason).hint(HINT),
        Refusal::Archive(Error::Io(error)) => Failure::io("reading the archive", &error),
        Refusal::Other(failure) => failure,
    })
}

fn read(
    disk: &Disk,
    upload: &UploadName,
    known: &HashMap<Digest, Layer>,
    cancelled: &AtomicBool,
) -> Result<Load, Refusal> {
    let file = disk.uploads.read(upload)?;
    let limit = expanded_limit(file.metadata()?.len());
    let mut stage = Stage::open(disk, upload, known, limit)?;
    let entries = Entries::read(file, limit, &disk.uploads.packed_path(upload), cancelled)?;
    // The newest form of those that the archive has says most.
    let images = if entries.has("oci-layout") && entries.has("index.json") {
        layout::images(&entries, &mut stage)?
    } else if entries.has("manifest.json") {
        docker::images(&entries, &mut stage)?
    } else {
        legacy::images(&entries, &mut stage)?
    };
    if images.is_empty() {
        return Err(refuse("the archive has no image"));
    }
    Ok(Load { images, staged: stage.finish()? })
}

/// Bounds what one archive names.
fn counted<T>(items: Vec<T>) -> Result<Vec<T>, Refusal> {
    if items.len() > MOST_IMAGES {
        return Err(refuse(format_args!("the archive names {} images: at most {MOST_IMAGES}", items.len())));
    }
    Ok(items)
}

fn json<T: serde::de::DeserializeOwned>(name: &str, content: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(content).map_err(|error| refuse(format_args!("member {name}: {error}")))
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
