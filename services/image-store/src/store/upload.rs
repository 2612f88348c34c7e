//! The state of an upload, and what changes it.

use super::{Abandon, Append, Store};
use actix::{Handler, ResponseFuture};
use kit::actor::on_thread;
use schema::Failure;
use schema::image_store::Image;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// An upload.
pub(super) struct Upload {
    pub(super) touched: Instant,
    /// Held while its file is written or read: at most one at a time.
    pub(super) file: Arc<Mutex<()>>,
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
        Self { touched, file: Arc::default(), importing: None }
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
        Box::pin(on_thread(move || {
            let _alone = file.lock().unwrap_or_else(PoisonError::into_inner);
            disk.uploads.append(&upload, offset, &data)
        }))
    }
}

impl Handler<Abandon> for Store {
    type Result = ResponseFuture<Result<(), Failure>>;

    fn handle(&mut self, Abandon(upload): Abandon, _: &mut Self::Context) -> Self::Result {
        let file = match self.uploads.get(&upload) {
            // The import removes the files when it has stopped; if it is past that, it is an image.
            Some(Upload { importing: Some(importing), .. }) => {
                importing.cancelled.store(true, Ordering::Relaxed);
                return Box::pin(std::future::ready(Ok(())));
            }
            Some(open) => Arc::clone(&open.file),
            None => return Box::pin(std::future::ready(Ok(()))),
        };
        self.uploads.remove(&upload);
        let disk = Arc::clone(&self.disk);
        Box::pin(on_thread(move || {
            let _alone = file.lock().unwrap_or_else(PoisonError::into_inner);
            disk.uploads.remove(&upload)
        }))
    }
}
