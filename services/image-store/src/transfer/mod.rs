//! Transfers: named work that goes on by itself while somebody asks about it.
//!
//! [`Transfers`], an actor, knows which there are. They run on threads of their own, where the network and the
//! disk may be waited for; what they do is seen on a [`board::Board`] each.

mod board;
mod downloads;
mod fetch;
mod place;
mod pull;
mod push;
mod sources;
#[cfg(test)]
mod tests;
mod workers;

use crate::shelf::Shelf;
use crate::store::Store;
use crate::uploads::UploadName;
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, ResponseFuture};
use board::Board;
use downloads::Downloads;
use registry_client::{Configuration, Registry};
use schema::image_store::{Credentials, FetchRequest, PullRequest, PushRequest, Transfer, TransferResult};
use schema::{Call, Failure};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tracing::Instrument;
use workers::Workers;

/// How often transfers are looked after.
const INTERVAL: Duration = Duration::from_secs(1);
/// A transfer that nobody asks about for so long is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of a transfer is remembered.
const MEMORY: Duration = Duration::from_secs(60);
/// The longest that one question waits for news.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The actor.
pub(crate) struct Transfers {
    work: Work,
    workers: Workers,
    running: HashMap<UploadName, Entry>,
}

/// What transfers work with.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) shelf: Shelf,
    pub(crate) store: Addr<Store>,
    /// The directory of `registries.toml`.
    pub(crate) configuration: PathBuf,
    pub(crate) downloads: Arc<Downloads>,
}

struct Entry {
    request: Request,
    board: Arc<Board>,
    task: AbortHandle,
}

/// What is to be transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Pull(PullRequest),
    Push(PushRequest),
    Fetch(FetchRequest),
}

impl Request {
    fn name(&self) -> Result<UploadName, Failure> {
        let name = match self {
            Self::Pull(PullRequest { transfer, .. })
            | Self::Push(PushRequest { transfer, .. })
            | Self::Fetch(FetchRequest { transfer, .. }) => transfer,
        };
        let bad = |_| Failure::invalid(format_args!("{name:?} is not a transfer: 1 to 64 of a-z and 0-9"));
        name.parse().map_err(bad)
    }

    fn method(&self) -> &'static str {
        match self {
            Self::Pull(_) => "pull",
            Self::Push(_) => "push",
            Self::Fetch(_) => "fetch",
        }
    }
}

/// Begin this transfer unless it is there, and tell how it stands once that is newer than `seen`.
#[derive(Debug, Message)]
#[rtype(result = "Result<Transfer, Failure>")]
pub(crate) struct Follow {
    pub(crate) call: Call,
    pub(crate) request: Request,
    pub(crate) seen: u64,
    pub(crate) wait_ms: u32,
}

/// Does this registry know these credentials? Answers what can be kept in place of the password, or nothing.
#[derive(Debug, Message)]
#[rtype(result = "Result<String, Failure>")]
pub(crate) struct LogIn {
    pub(crate) call: Call,
    pub(crate) registry: String,
    pub(crate) credentials: Credentials,
}

impl Transfers {
    pub(crate) fn new(shelf: Shelf, store: Addr<Store>, configuration: PathBuf) -> Result<Self, Failure> {
        let workers = Workers::start()?;
        let downloads = Arc::new(Downloads::new(shelf.clone()));
        Ok(Self { work: Work { shelf, store, configuration, downloads }, workers, running: HashMap::new() })
    }

    /// Gives up what nobody asks about, and forgets what ended long ago.
    fn look_after(&mut self) {
        self.running.retain(|name, entry| {
            let idle = entry.board.idle();
            let keep = if entry.board.has_ended() { MEMORY } else { PATIENCE };
            if idle <= keep {
                return true;
            }
            if !entry.board.has_ended() {
                tracing::info!(transfer = name.as_str(), "given up: nobody asks about it");
            }
            entry.task.abort();
            false
        });
    }

    fn begin(&self, call: Call, request: Request) -> Entry {
        let board = Arc::new(Board::new());
        let (work, told, wanted) = (self.work.clone(), Arc::clone(&board), request.clone());
        let span = call.span(request.method());
        let task = async move {
            let result = run(&work, call, wanted, &told).await;
            if let Err(failure) = &result {
                tracing::info!(%failure, "a transfer failed");
            }
            told.finish(result);
        };
        Entry { request, board, task: self.workers.spawn(task.instrument(span)) }
    }
}

async fn run(work: &Work, call: Call, request: Request, board: &Arc<Board>) -> Result<TransferResult, Failure> {
    match request {
        Request::Pull(request) => pull::run(work, call, request, board).await,
        Request::Push(request) => push::run(work, call, request, board).await,
        Request::Fetch(request) => fetch::run(work, request, board).await,
    }
}

impl Actor for Transfers {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(INTERVAL, |transfers, _| transfers.look_after());
    }
}

impl Handler<Follow> for Transfers {
    type Result = ResponseFuture<Result<Transfer, Failure>>;

    fn handle(&mut self, Follow { call, request, seen, wait_ms }: Follow, _: &mut Self::Context) -> Self::Result {
        let name = match request.name() {
            Ok(name) => name,
            Err(failure) => return Box::pin(std::future::ready(Err(failure))),
        };
        let entry = match self.running.get(&name) {
            Some(entry) => entry,
            None => {
                let entry = self.begin(call, request.clone());
                self.running.entry(name.clone()).or_insert(entry)
            }
        };
        if entry.request != request {
            let failure = Failure::conflict(format_args!("transfer {:?} is another one", name.as_str()));
            return Box::pin(std::future::ready(Err(failure)));
        }
        let board = Arc::clone(&entry.board);
        let wait = Duration::from_millis(wait_ms.into()).min(LONGEST_WAIT);
        Box::pin(async move { Ok(board.newer(seen, wait).await) })
    }
}

impl Handler<LogIn> for Transfers {
    type Result = ResponseFuture<Result<String, Failure>>;

    fn handle(&mut self, LogIn { call, registry, credentials }: LogIn, _: &mut Self::Context) -> Self::Result {
        let directory = self.work.configuration.clone();
        let asking = async move {
            let configuration = Configuration::load(&directory)?;
            let registry = if registry.is_empty() { configuration.default.clone() } else { registry };
            let registry = Registry::new(&configuration, &registry, (&credentials).try_into()?)?;
            registry.log_in().await.map(Option::unwrap_or_default)
        };
        Box::pin(self.workers.run(asking.instrument(call.span("login"))))
    }
}
