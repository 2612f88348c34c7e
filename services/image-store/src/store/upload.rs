//! The state of an upload, and what changes it.

use super::{Abandon, Append, Pack, Store};
use crate::growing::Following;
use actix::{Handler, ResponseFuture};
use kit::actor::on_thread;
use schema::Failure;
use schema::image_store::Image;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// Uploads that are compressed while they come. Each has threads of its own, which wait as long as nothing comes.
const MOST_PACKED: usize = 4;

/// An upload.
pub(super) struct Upload {
    pub(super) touched: Instant,
    /// Held while its file is written or read: at most one at a time.
    pub(super) file: Arc<Mutex<()>>,
    /// Compresses it while it comes. It is dropped on a thread, before anything else is made of the upload.
    pub(super) packing: Option<Following>,
    pub(super) importing: Option<Importing>,
}

/// An import that runs.
pub(super) struct Importing {
    pub(super) cancelled: Arc<AtomicBool>,
    /// Who waits for the images: repetitions of a lost call join the first.
    pub(super) waiters: Vec<oneshot::Sender<Result<Vec<Image>, Failure>>>,
}

impl Upload {
    pub(super) fn open(touched: Instant) -> Self {
        Self { touched, file: Arc::default(), packing: None, importing: None }
    }
}

impl Handler<Append> for Store {
    type Result = ResponseFuture<Result<u64, Failure>>;

    fn handle(&mut self, message: Append, _: &mut Self::Context) -> Self::Result {
        let Append { upload, offset, data } = message;
        let busy = |what: &str| {
            let failure = Failure::conflict(format_args!("upload {:?} {what}", upload.as_str()));
            Box::pin(std::future::ready(Err(failure)))
        };
        if self.imported.contains_key(&upload) {
            return busy("is an image already");
        }
        let entry = self.uploads.entry(upload.clone()).or_insert_with(|| Upload::open(Instant::now()));
        if entry.importing.is_some() {
            return busy("is being imported");
        }
        entry.touched = Instant::now();
        let (disk, file) = (Arc::clone(&self.disk), Arc::clone(&entry.file));
        let growth = entry.packing.as_ref().map(Following::growth);
        Box::pin(on_thread(move || {
            let _alone = file.lock().unwrap_or_else(PoisonError::into_inner);
            let length = disk.uploads.append(&upload, offset, &data)?;
            if let Some(growth) = growth {
                growth.reached(length);
            }
            Ok(length)
        }))
    }
}

impl Handler<Pack> for Store {
    type Result = Result<(), Failure>;

    fn handle(&mut self, Pack(upload): Pack, _: &mut Self::Context) -> Self::Result {
        let failure = Failure::conflict(format_args!("upload {:?} is an image already", upload.as_str()));
        if self.imported.contains_key(&upload) {
            return Err(failure);
        }
        let others = self.uploads.values().filter(|upload| upload.packing.is_some()).count();
        let entry = self.uploads.entry(upload.clone()).or_insert_with(|| Upload::open(Instant::now()));
        if entry.importing.is_some() {
            return Err(failure);
        }
        entry.touched = Instant::now();
        if entry.packing.is_none() && others < MOST_PACKED {
            entry.packing = Some(Following::begin(&self.disk, &upload)?);
        }
        Ok(())
    }
}

impl Handler<Abandon> for Store {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, Abandon(upload): Abandon, _: &mut Self::Context) -> Self::Result {
        let (file, packing) = match self.uploads.get_mut(&upload) {
            // The import removes the files when it has stopped; if it is past that, it is an image.
            Some(Upload { importing: Some(importing), .. }) => {
                importing.cancelled.store(true, Ordering::Relaxed);
                return Box::pin(std::future::ready(Ok(())));
            }
            Some(open) => (Arc::clone(&open.file), open.packing.take()),
            None => return Box::pin(std::future::ready(Ok(()))),
        };
        self.uploads.remove(&upload);
        let disk = Arc::clone(&self.disk);
        Box::pin(on_thread(move || {
            drop(packing);
            let _alone = file.lock().unwrap_or_else(PoisonError::into_inner);
            disk.uploads.remove(&upload)
        }))
    }
}
