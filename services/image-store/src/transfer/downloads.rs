//! Downloads of blobs, each of which several transfers may wait for.

use super::board::Line;
use super::sources::Sources;
use crate::shelf::Shelf;
use kit::actor::on_thread;
use registry_client::{Progress, Sink};
use schema::image_store::TransferStatus;
use schema::{Code, Digest, Failure};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

/// Downloads at a time.
const MOST: usize = 3;

/// All downloads.
#[derive(Debug)]
pub(crate) struct Downloads {
    shelf: Shelf,
    running: Mutex<HashMap<Digest, Weak<Download>>>,
    turns: Arc<Semaphore>,
}

/// A blob to bring.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) sources: Arc<Sources>,
    pub(super) repository: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// One that runs, as long as anybody waits for it.
#[derive(Debug)]
struct Download {
    stage: watch::Receiver<Stage>,
    task: AbortHandle,
}

impl Drop for Download {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Debug)]
struct Stage {
    status: TransferStatus,
    bytes: u64,
    note: String,
    end: Option<Result<(), Failure>>,
}

impl Downloads {
    pub(super) fn new(shelf: Shelf) -> Self {
        Self { shelf, running: Mutex::default(), turns: Arc::new(Semaphore::new(MOST)) }
    }

    /// Brings a blob into the store, or waits for whoever does. The caller holds its digest.
    pub(super) async fn bring(&self, wanted: &Wanted, line: &Line) -> Result<(), Failure> {
        loop {
            let (download, mine) = self.join(wanted);
            let result = follow(&download, line).await;
            // Another's failure may be about its credentials or its mirror.
            if mine || result.is_ok() {
                return result;
            }
        }
    }

    /// The download of this blob, and whether it was begun now. One that has failed is not joined.
    fn join(&self, wanted: &Wanted) -> (Arc<Download>, bool) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, download| download.strong_count() > 0);
        let known = running.get(&wanted.digest).and_then(Weak::upgrade);
        if let Some(download) = known.filter(|download| download.stage.borrow().end.is_none()) {
            return (download, false);
        }
        let (teller, stage) =
            watch::channel(Stage { status: TransferStatus::Waiting, bytes: 0, note: String::new(), end: None });
        let (shelf, turns, work) = (self.shelf.clone(), Arc::clone(&self.turns), wanted.clone());
        let task = tokio::spawn(async move {
            let teller = Teller(teller);
            let result = match turns.acquire().await {
                Ok(_turn) => download(&shelf, &work, &teller).await,
                Err(_) => Err(Failure::internal("no more downloads are begun")),
            };
            teller.0.send_modify(|stage| stage.end = Some(result));
        });
        let download = Arc::new(Download { stage, task: task.abort_handle() });
        running.insert(wanted.digest.clone(), Arc::downgrade(&download));
        (download, true)
    }
}

/// Shows how it goes, until its end.
async fn follow(download: &Download, line: &Line) -> Result<(), Failure> {
    let mut receiver = download.stage.clone();
    loop {
        let Stage { status, bytes, note, end } = receiver.borrow_and_update().clone();
        match end {
            Some(Ok(())) => {
                line.status(TransferStatus::Done);
                return Ok(());
            }
            Some(Err(failure)) => return Err(failure),
            None => line.show(status, bytes, &note),
        }
        if receiver.changed().await.is_err() {
            return Err(Failure::internal("a download ended without a word"));
        }
    }
}

async fn download(shelf: &Shelf, wanted: &Wanted, teller: &Teller) -> Result<(), Failure> {
    let Wanted { digest, size, .. } = wanted;
    let (looking, sought, length) = (shelf.clone(), digest.clone(), *size);
    if on_thread(move || looking.blob(&sought, length)).await?.is_some() {
        return Ok(());
    }
    match attempt(shelf, wanted, teller).await {
        // What was left of an earlier attempt may have been the wrong part.
        (Err(failure), true) if failure.code == Code::Corrupt => {
            teller.interrupted(&failure.message);
            attempt(shelf, wanted, teller).await.0
        }
        (result, _) => result,
    }
}

/// Whether it built on what an earlier one has left is the second answer.
async fn attempt(shelf: &Shelf, wanted: &Wanted, teller: &Teller) -> (Result<(), Failure>, bool) {
    let Wanted { sources, repository, digest, size } = wanted;
    teller.status(TransferStatus::Transferring);
    let (opening, sought) = (shelf.clone(), digest.clone());
    let mut partial = match on_thread(move || opening.partial(&sought)).await {
        Ok(partial) => partial,
        Err(failure) => return (Err(failure), false),
    };
    let resumed = partial.length() > 0;
    if let Err(failure) = sources.blob(repository, digest, *size, &mut partial, teller).await {
        return (Err(failure), resumed);
    }
    teller.status(TransferStatus::Verifying);
    let finishing = shelf.clone();
    (on_thread(move || finishing.finish(partial).map(drop)).await, resumed)
}

/// Tells all who wait.
struct Teller(watch::Sender<Stage>);

impl Teller {
    fn status(&self, status: TransferStatus) {
        self.0.send_modify(|stage| {
            stage.status = status;
            stage.note.clear();
        });
    }
}

impl Progress for Teller {
    fn at(&self, bytes: u64) {
        self.0.send_modify(|stage| {
            (stage.status, stage.bytes) = (TransferStatus::Transferring, bytes);
            stage.note.clear();
        });
    }

    fn interrupted(&self, reason: &str) {
        self.0.send_modify(|stage| {
            stage.status = TransferStatus::Retrying;
            reason.clone_into(&mut stage.note);
        });
    }
}
