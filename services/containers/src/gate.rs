//! Keeps containers from being started before the workers have been told which containers there are:
//! otherwise a worker might take what it made for a new container for a leftover.

use schema::Failure;
use std::time::Duration;
use tokio::sync::watch;

/// Opened once for each worker.
#[derive(Clone)]
pub(crate) struct Gate {
    /// Workers that have not been told yet.
    closed: watch::Sender<Vec<&'static str>>,
}

impl Gate {
    /// A gate that waits for these workers.
    pub(crate) fn new(workers: &[&'static str]) -> Self {
        Self { closed: watch::Sender::new(workers.to_vec()) }
    }

    /// A worker has been told.
    pub(crate) fn open(&self, worker: &str) {
        self.closed.send_modify(|closed| closed.retain(|other| *other != worker));
    }

    /// Waits until all have been told. Fails with `unavailable` after `patience`.
    pub(crate) async fn pass(&self, patience: Duration) -> Result<(), Failure> {
        let mut closed = self.closed.subscribe();
        let passed = tokio::time::timeout(patience, closed.wait_for(Vec::is_empty)).await.is_ok();
        if passed {
            return Ok(());
        }
        Err(Failure::unavailable(format_args!("{} did not answer since cctl came up", self.closed.borrow().join(", ")))
            .hint("see `cctl system status`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn the_gate_opens_when_all_have_been_told() {
        let gate = Gate::new(&["a", "b"]);
        gate.open("a");
        let failure = gate.pass(Duration::from_millis(5)).await.unwrap_err();
        assert!(failure.message.starts_with("b did not"), "{failure}");
        gate.open("b");
        assert_eq!(gate.pass(Duration::ZERO).await, Ok(()));
    }
}
