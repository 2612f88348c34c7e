//! The owner of the index and of every upload's state.
//!
//! Files are read and written on threads. Commits are made one after another, so that the index and the
//! disk agree on which of two imports to one tag was the last.

mod change;
mod expiry;
mod importing;
mod inspection;
mod leases;
mod messages;
mod register;
mod removal;
mod saving;
mod upload;

pub(crate) use messages::{
    Abandon, Append, Check, Convert, Describe, FindBlob, FindUpload, History, Lease, List, Pack, Reconcile, Register,
    Release, Remove, Resolve, Save, SetTag, Wanted,
};

use crate::disk::{Disk, Found};
use crate::holds::Holds;
use crate::index::Index;
use crate::removals::Remembered;
use crate::shelf::Shelf;
use crate::uploads::UploadName;
use actix::{Actor, AsyncContext, Context, Handler, ResponseFuture};
use kit::actor::on_thread;
use saving::Reading;
use schema::image_store::{Blob, Image};
use schema::{Digest, Failure};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;
use upload::Upload;

/// The actor.
pub(crate) struct Store {
    disk: Arc<Disk>,
    holds: Holds,
    index: Index,
    uploads: HashMap<UploadName, Upload>,
    /// What uploads have become.
    imported: HashMap<UploadName, Imported>,
    /// Answers to removals, by the name of their record.
    removed: HashMap<String, Remembered>,
    /// Bytes of layers, unpacked, by their diff id, as far as somebody asked.
    sizes: HashMap<Digest, u64>,
    /// Archives that somebody reads, by what was asked for.
    readings: HashMap<Vec<String>, Reading>,
    /// Grows with every image that goes.
    generation: watch::Sender<u64>,
    /// Held while a commit is written.
    commits: Arc<tokio::sync::Mutex<()>>,
}

struct Imported {
    images: Vec<Digest>,
    /// Nanoseconds since the Unix epoch.
    at: i64,
}

impl Store {
    /// Opens the state directory and finishes what a killed process left.
    pub(crate) fn recover(state: &Path) -> Result<Self, Failure> {
        let disk = Disk::open(state)?;
        let Found { index, imported, removed } = disk.recover()?;
        let now = Instant::now();
        let uploads = disk.uploads.list()?.into_iter().map(|(name, idle)| {
            let touched = now.checked_sub(idle).unwrap_or(now);
            (name, Upload::open(touched))
        });
        let imported = imported.into_iter().map(|(upload, images, at)| (upload, Imported { images, at }));
        Ok(Self {
            uploads: uploads.collect(),
            imported: imported.collect(),
            index,
            removed: removed.into_iter().collect(),
            sizes: HashMap::new(),
            readings: HashMap::new(),
            generation: watch::channel(kit::process::now().unsigned_abs()).0,
            disk: Arc::new(disk),
            holds: Holds::default(),
            commits: Arc::default(),
        })
    }

    /// The content, for work that runs beside the actor.
    pub(crate) fn shelf(&self) -> Shelf {
        Shelf { disk: Arc::clone(&self.disk), holds: self.holds.clone() }
    }

    /// The number that grows with every image that goes.
    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// The image of this id, as callers see it.
    fn image(&self, id: &Digest) -> Result<Image, Failure> {
        self.index.get(id)
    }
}

impl Actor for Store {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.expire(context);
        context.run_interval(expiry::INTERVAL, Self::expire);
    }
}

impl Handler<Resolve> for Store {
    type Result = Result<Image, Failure>;

    fn handle(&mut self, Resolve(text): Resolve, _: &mut Self::Context) -> Self::Result {
        self.index.resolve(&text)
    }
}

impl Handler<List> for Store {
    type Result = Result<Vec<Image>, Failure>;

    fn handle(&mut self, List: List, _: &mut Self::Context) -> Self::Result {
        Ok(self.index.list())
    }
}

impl Handler<FindBlob> for Store {
    type Result = ResponseFuture<Result<Blob, Failure>>;

    fn handle(&mut self, FindBlob(digest): FindBlob, _: &mut Self::Context) -> Self::Result {
        let (disk, stored) = (Arc::clone(&self.disk), self.index.blob_size(&digest));
        Box::pin(on_thread(move || disk.blobs.find(&digest, stored)))
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
