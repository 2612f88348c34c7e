//! The end of a run on request: the stop signal, time, SIGKILL.

use super::drive::{freeze, signal, warn};
use super::{ContainerActor, Signalled};
use crate::decide;
use crate::lifecycle::Phase;
use crate::record::{Record, StopOrder};
use crate::signals;
use actix::prelude::*;
use schema::Failure;
use schema::call::RequestId;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The order that a request makes of what was ordered before.
pub(super) fn order(record: &Record, request: RequestId, timeout_ms: u32) -> StopOrder {
    let kill_at = decide::kill_at(kit::process::now(), timeout_ms, record.container.spec.stop_timeout_ms);
    let earlier = record.stop_order().and_then(|order| order.kill_at);
    StopOrder { request: request.0, kill_at: decide::sooner(kill_at, earlier), then_start: false, with_all: false }
}

impl ContainerActor {
    /// Gives an order to stop.
    pub(super) fn stop(&mut self, order: StopOrder, ctx: &mut Context<Self>) -> Result<(), Failure> {
        self.forget_told();
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
        let (freezer, frozen) = (Arc::clone(&self.freezer), Rc::clone(&self.frozen));
        let actor = ctx.address();
        let work = async move {
            warn("that it is to stop", page.write(&record).await);
            // Who is freezing it just now, to pause or commit it, sees that it is to stop, and gives up.
            let turn = freezer.lock().await;
            signal(&shared, &record, record.image.stop_signal).await;
            if frozen.get() {
                freeze(&shared, &record, false).await;
                frozen.set(false);
            }
            drop(turn);
            let Some(kill_at) = order.kill_at else { return };
            tokio::time::sleep(until(kill_at)).await;
            // It may have ended just now.
            if kit::actor::ask(&actor, Signalled(signals::KILL, RequestId(order.request))).await.is_ok() {
                signal(&shared, &record, signals::KILL).await;
            }
        };
        self.escalation = Some(ctx.spawn(work.into_actor(self)));
    }
}

impl ContainerActor {
    /// After a restart of this service: makes what its processes do agree with the record. Whatever froze them
    /// but a user's pause, a commit say, is over.
    pub(super) fn align(&mut self, ctx: &mut Context<Self>) {
        let is_paused = self.record.phase == Phase::Paused;
        // What is to stop is let go on by that.
        if self.frozen.get() == is_paused || self.record.phase == Phase::Stopping {
            return;
        }
        let (shared, record) = (Rc::clone(&self.shared), self.record.clone());
        let (freezer, frozen) = (Arc::clone(&self.freezer), Rc::clone(&self.frozen));
        let view = self.view.subscribe();
        let work = async move {
            let _turn = freezer.lock().await;
            // Whoever had the turn before may have paused it, or let it go on; or it is to stop.
            let is_paused = match view.borrow().phase() {
                Phase::Paused => true,
                Phase::Running => false,
                _ => return,
            };
            if frozen.get() != is_paused {
                freeze(&shared, &record, is_paused).await;
                frozen.set(is_paused);
            }
        };
        ctx.spawn(work.into_actor(self));
    }

    /// A user has said that it is to be stopped, while it is: that holds for its restart policy.
    pub(super) fn remember_stop(&mut self, ctx: &mut Context<Self>) {
        if self.record.set_stopped() {
            self.publish();
            let (page, record) = (self.page.clone(), self.record.clone());
            ctx.spawn(async move { warn("that it is stopped", page.keep(&record).await) }.into_actor(self));
        }
    }
}

/// How long it is until a time, nanoseconds since the Unix epoch.
pub(super) fn until(time: i64) -> Duration {
    Duration::from_nanos(u64::try_from(time.saturating_sub(kit::process::now())).unwrap_or_default())
}
