//! Work of the image store that takes a while: pulls, pushes, fetches, uploads; and how they go on.

mod progress;
mod upload;

pub(crate) use progress::{Progress, Work};
pub(crate) use upload::{Source, upload};

use crate::error::{Error, Result, signalled};
use crate::session::Signals;
use schema::Failure;
use schema::image_store::{Transfer, TransferProgress, TransferResult};
use std::future::Future;

/// How long one call waits for news.
pub(crate) const WAIT_MS: u32 = 5_000;

/// Asks how a transfer goes, and shows it, until it has ended. `ask` is given the version that is known.
pub(crate) async fn follow<Fut>(progress: &mut Progress, ask: impl Fn(u64) -> Fut) -> Result<TransferResult>
where
    Fut: Future<Output = Result<Transfer, Failure>>,
{
    let mut seen = 0;
    loop {
        let transfer = ask(seen).await?;
        seen = transfer.version;
        progress.show(&transfer.items)?;
        match transfer.progress {
            TransferProgress::Running => {}
            TransferProgress::Done(result) => return Ok(*result),
            TransferProgress::Failed(failure) => return Err(failure.into()),
        }
    }
}

/// Does something that a signal ends; then the exit status says so.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut signals = Signals::watch()?;
    tokio::select! {
        done = work => done,
        signal = signals.next() => Err(Error::Signalled(signalled(signal))),
    }
}
