//! The end of a run on request: the stop signal, time, SIGKILL.

use super::ContainerActor;
use super::drive::{signal, warn};
use crate::decide;
use crate::record::{Record, StopOrder};
use crate::signals;
use actix::prelude::*;
use schema::Failure;
use schema::call::RequestId;
use std::rc::Rc;
use std::time::Duration;

/// The order that a request makes of what was ordered before.
pub(super) fn order(record: &Record, request: RequestId, timeout_ms: u32, then_start: bool) -> StopOrder {
    let kill_at = decide::kill_at(kit::process::now(), timeout_ms);
    let earlier = record.stop_order().and_then(|order| order.kill_at);
    StopOrder { request: request.0, kill_at: decide::sooner(kill_at, earlier), then_start }
}

impl ContainerActor {
    /// Gives an order to stop.
    pub(super) fn stop(&mut self, order: StopOrder, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.record.order_stop(order)?;
        self.publish();
        self.escalate(order, ctx);
        Ok(())
    }

    /// Carries out an order to stop. After a restart of this service it is begun again: a stop signal that
    /// comes twice does less harm than one that never comes.
    pub(super) fn escalate(&mut self, order: StopOrder, ctx: &mut Context<Self>) {
        if let Some(previous) = self.escalation.take() {
            ctx.cancel_future(previous);
        }
        let (shared, page, record) = (Rc::clone(&self.shared), self.page.clone(), self.record.clone());
        let work = async move {
            warn("that it is to stop", page.write(&record).await);
            signal(&shared, &record, record.image.stop_signal).await;
            let Some(kill_at) = order.kill_at else { return };
            tokio::time::sleep(until(kill_at)).await;
            signal(&shared, &record, signals::KILL).await;
        };
        self.escalation = Some(ctx.spawn(work.into_actor(self)));
    }
}

/// How long it is until a time, nanoseconds since the Unix epoch.
fn until(time: i64) -> Duration {
    Duration::from_nanos(u64::try_from(time.saturating_sub(kit::process::now())).unwrap_or_default())
}
