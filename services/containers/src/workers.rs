//! The five services that do what this one decides.

use schema::call::RequestId;
use schema::{Call, Failure, Instance, executor, filesystem, image_store, log_collector, network};
use std::future::Future;
use std::time::Duration;

/// How long one step of a worker may take. The step is ours, not the user's: it goes on when the user has gone.
pub(crate) const STEP: Duration = Duration::from_secs(60);
/// How long the first mount may take: it unpacks the image's layers.
pub(crate) const MOUNT: Duration = Duration::from_secs(1800);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A client of each. They connect when they are used.
#[derive(Clone)]
pub(crate) struct Workers {
    pub(crate) image_store: image_store::Client,
    pub(crate) filesystem: filesystem::Client,
    pub(crate) network: network::Client,
    pub(crate) executor: executor::Client,
    pub(crate) log_collector: log_collector::Client,
}

/// Their names: those whom this service may call.
pub(crate) const NEEDS: [&str; 5] =
    [image_store::SERVICE, filesystem::SERVICE, network::SERVICE, executor::SERVICE, log_collector::SERVICE];

impl Workers {
    /// The workers of an instance.
    pub(crate) fn new(instance: &Instance) -> Self {
        Self {
            image_store: image_store::Client::new(instance),
            filesystem: filesystem::Client::new(instance),
            network: network::Client::new(instance),
            executor: executor::Client::new(instance),
            log_collector: log_collector::Client::new(instance),
        }
    }
}

tokio::task_local! {
    /// Whose work is done.
    static REQUEST: RequestId;
}

/// Work for a request: its own steps belong to that, too. 0: nobody knows whose it is.
pub(crate) async fn on_behalf<T>(request: u64, work: impl Future<Output = T>) -> T {
    if request == 0 { work.await } else { REQUEST.scope(RequestId(request), work).await }
}

/// One step of our own, for the request whose work this is; else a request of its own.
pub(crate) fn own_call() -> Call {
    let call = Call::within(STEP);
    REQUEST.try_with(|request| Call { request: *request, ..call }).unwrap_or(call)
}

/// Does something that must be done at last, again and again; each failure is told to `failed`.
pub(crate) async fn insist<T>(mut attempt: impl AsyncFnMut() -> Result<T, Failure>, failed: impl Fn(Failure)) -> T {
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(failure) => failed(failure),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
