//! Threads for transfers, so that the service's own loop never waits for a network or a disk.

use schema::Failure;
use std::future::Future;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;

/// TLS, hashing and writing keep this many busy; more layers do not come at a time.
const THREADS: usize = 3;

/// The threads.
pub(super) struct Workers {
    handle: Handle,
    /// Taken when they end.
    runtime: Option<Runtime>,
}

impl Workers {
    pub(super) fn start() -> Result<Self, Failure> {
        Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("transfers")
            .enable_all()
            .build()
            .map(|runtime| Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
            .map_err(|error| Failure::io("starting the threads of transfers", &error))
    }

    /// Runs work by itself.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.handle.spawn(work).abort_handle()
    }

    /// Runs work, and waits for it.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> impl Future<Output = Result<T, Failure>> + 'static {
        let task = self.handle.spawn(work);
        async move { task.await.unwrap_or_else(|error| Err(Failure::internal(format_args!("a task ended early: {error}")))) }
    }
}

impl Drop for Workers {
    /// Without waiting: whoever stops them may be a task itself.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
