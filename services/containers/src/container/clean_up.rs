//! What cleaning up after a run asks of the workers.

use crate::plan;
use crate::workers::Workers;
use futures::future::{FutureExt, LocalBoxFuture, Shared};
use schema::{ContainerId, Failure};
use std::cell::RefCell;

type Asked = Shared<LocalBoxFuture<'static, Result<(), Failure>>>;

/// The clean-up after one run. A removal that begins meanwhile goes on with it: what is under way, or done, is not asked of a
/// worker again, unless it failed.
pub(super) struct CleanUp {
    workers: Workers,
    id: ContainerId,
    drained: RefCell<Option<Asked>>,
    detached: RefCell<Option<Asked>>,
    destroyed: RefCell<Option<Asked>>,
}

impl CleanUp {
    /// Of a container's next run.
    pub(super) fn new(workers: Workers, id: ContainerId) -> Self {
        let [drained, detached, destroyed] = [const { RefCell::new(None) }; 3];
        Self { workers, id, drained, detached, destroyed }
    }

    /// All output is in the log.
    pub(super) async fn drained(&self) -> Result<(), Failure> {
        self.once(&self.drained, plan::drained).await
    }

    /// Its address and ports are given back.
    pub(super) async fn detached(&self) -> Result<(), Failure> {
        self.once(&self.detached, plan::detach).await
    }

    /// Its sandbox is gone.
    pub(super) async fn destroyed(&self) -> Result<(), Failure> {
        self.once(&self.destroyed, plan::destroy).await
    }

    /// Waits for what was asked, or asks it.
    async fn once(
        &self,
        place: &RefCell<Option<Asked>>,
        step: impl AsyncFnOnce(&Workers, &ContainerId) -> Result<(), Failure> + 'static,
    ) -> Result<(), Failure> {
        let ask = || {
            let (workers, id) = (self.workers.clone(), self.id.clone());
            async move { step(&workers, &id).await }.boxed_local().shared()
        };
        let asked = place.borrow_mut().get_or_insert_with(ask).clone();
        let answer = asked.await;
        if answer.is_err() {
            *place.borrow_mut() = None;
        }
        answer
    }
}
