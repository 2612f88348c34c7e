//! What can be seen of a transfer.

use registry_client::Progress;
use schema::Failure;
use schema::image_store::{Transfer, TransferItem, TransferProgress, TransferResult, TransferStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Bytes that come are news this often; everything else is news at once.
const RHYTHM: Duration = Duration::from_millis(100);

/// One transfer's.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<State>,
    version: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    items: Vec<TransferItem>,
    progress: TransferProgress,
    told: Instant,
    /// Questions that wait for news.
    waiting: usize,
    /// When the last question was answered.
    asked: Instant,
}

impl Board {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let progress = TransferProgress::Running;
        let state = State { items: Vec::new(), progress, told: now, waiting: 0, asked: now };
        // Newer than everything that an earlier process has told.
        let version = watch::Sender::new(kit::process::now().unsigned_abs());
        Self { state: Mutex::new(state), version }
    }

    /// Adds a part. `total` in bytes; 0: unknown.
    pub(super) fn line(self: &Arc<Self>, title: &str, total: u64) -> Line {
        let mut state = self.lock();
        let status = TransferStatus::Waiting;
        state.items.push(TransferItem { title: title.to_owned(), status, current: 0, total, note: String::new() });
        let index = state.items.len() - 1;
        drop(state);
        self.tell();
        Line { board: Arc::clone(self), index }
    }

    /// Writes the end of it.
    pub(super) fn finish(&self, result: Result<TransferResult, Failure>) {
        self.lock().progress = match result {
            Ok(result) => TransferProgress::Done(Box::new(result)),
            Err(failure) => TransferProgress::Failed(failure),
        };
        self.tell();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().progress != TransferProgress::Running
    }

    /// For how long nobody has asked.
    pub(super) fn idle(&self) -> Duration {
        let state = self.lock();
        if state.waiting > 0 { Duration::ZERO } else { state.asked.elapsed() }
    }

    /// How it stands, once that is newer than `seen`, or after `wait`.
    pub(super) async fn newer(&self, seen: u64, wait: Duration) -> Transfer {
        let _question = Question::ask(self);
        let mut version = self.version.subscribe();
        // If it is not so in time, nothing is newer.
        drop(tokio::time::timeout(wait, version.wait_for(|version| *version > seen)).await);
        let version = *version.borrow();
        let state = self.lock();
        Transfer { version, items: state.items.clone(), progress: state.progress.clone() }
    }

    fn tell(&self) {
        self.lock().told = Instant::now();
        self.version.send_modify(|version| *version += 1);
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut TransferItem)) {
        let mut state = self.lock();
        let Some(item) = state.items.get_mut(index) else { return };
        let before = item.clone();
        change(item);
        let only_bytes = TransferItem { current: item.current, ..before.clone() } == *item;
        let news = if only_bytes { state.told.elapsed() >= RHYTHM } else { true };
        drop(state);
        if news {
            self.tell();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody asks.
struct Question<'a>(&'a Board);

impl<'a> Question<'a> {
    fn ask(board: &'a Board) -> Self {
        board.lock().waiting += 1;
        Self(board)
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waiting -= 1;
        state.asked = Instant::now();
    }
}

/// One part of a transfer, as it is shown.
#[derive(Clone, Debug)]
pub(super) struct Line {
    board: Arc<Board>,
    index: usize,
}

impl Line {
    pub(super) fn status(&self, status: TransferStatus) {
        self.board.change(self.index, |item| {
            item.status = status;
            item.note.clear();
            if matches!(status, TransferStatus::Done | TransferStatus::Exists | TransferStatus::Mounted) {
                item.current = item.total.max(item.current);
            }
        });
    }

    /// All of it as it stands elsewhere.
    pub(super) fn show(&self, status: TransferStatus, current: u64, note: &str) {
        self.board.change(self.index, |item| {
            (item.status, item.current) = (status, current);
            note.clone_into(&mut item.note);
        });
    }
}

impl Progress for Line {
    fn at(&self, bytes: u64) {
        self.show(TransferStatus::Transferring, bytes, "");
    }

    fn expect(&self, bytes: u64) {
        self.board.change(self.index, |item| item.total = bytes);
    }

    fn interrupted(&self, reason: &str) {
        self.board.change(self.index, |item| {
            item.status = TransferStatus::Retrying;
            reason.clone_into(&mut item.note);
        });
    }
}
