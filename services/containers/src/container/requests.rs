//! What is asked of a container. Each handler decides at once; who asked then watches the container.

use super::ContainerActor;
use super::stopping::order;
use crate::decide::{self, Verdict};
use crate::lifecycle::{Event, Phase};
use crate::record::{Cause, StopOrder};
use actix::prelude::*;
use schema::Failure;
use schema::call::RequestId;
use std::time::Duration;
use tokio::time::Instant;

/// Run it. The request is remembered: its repetition starts nothing.
#[derive(Message)]
#[rtype(result = "Result<Verdict, Failure>")]
pub(crate) struct Start(pub(crate) RequestId);

/// End its run.
#[derive(Clone, Copy, Message)]
#[rtype(result = "Result<Verdict, Failure>")]
pub(crate) struct Stop {
    pub(crate) request: RequestId,
    pub(crate) timeout_ms: u32,
    /// All containers are stopped: no word of a user about this one.
    pub(crate) with_all: bool,
}

/// End its run, if it runs, and run it.
#[derive(Message)]
#[rtype(result = "Result<Verdict, Failure>")]
pub(crate) struct Restart {
    pub(crate) request: RequestId,
    pub(crate) timeout_ms: u32,
}

/// Remove it, if it does not run.
#[derive(Message)]
#[rtype(result = "Result<Verdict, Failure>")]
pub(crate) struct Remove;

/// Do not remove it by itself for so long.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Keep(pub(crate) Duration);

impl Handler<Start> for ContainerActor {
    type Result = Result<Verdict, Failure>;

    fn handle(&mut self, Start(request): Start, ctx: &mut Context<Self>) -> Self::Result {
        let verdict = decide::start(&self.record, self.trouble.as_ref(), request)?;
        if verdict == Verdict::Begin {
            self.begin(request, Cause::Start, ctx)?;
        }
        Ok(verdict)
    }
}

impl Handler<Stop> for ContainerActor {
    type Result = Result<Verdict, Failure>;

    fn handle(&mut self, stop: Stop, ctx: &mut Context<Self>) -> Self::Result {
        let Stop { request, timeout_ms, with_all } = stop;
        let verdict = decide::stop(&self.record, request);
        if verdict == Verdict::Begin && self.record.is_to_restart() {
            self.cancel_restart(with_all, ctx)?;
        } else if verdict == Verdict::Begin {
            self.stop(StopOrder { with_all, ..order(&self.record, request, timeout_ms) }, ctx)?;
        } else if verdict == Verdict::Done && !with_all {
            self.remember_stop(ctx);
        }
        Ok(verdict)
    }
}

impl Handler<Restart> for ContainerActor {
    type Result = Result<Verdict, Failure>;

    fn handle(&mut self, Restart { request, timeout_ms }: Restart, ctx: &mut Context<Self>) -> Self::Result {
        let verdict = decide::restart(&self.record, self.trouble.as_ref(), request)?;
        if verdict == Verdict::Begin {
            if self.record.phase.is_running() {
                self.stop(StopOrder { then_start: true, ..order(&self.record, request, timeout_ms) }, ctx)?;
            } else {
                self.begin(request, Cause::Restart, ctx)?;
            }
        }
        Ok(verdict)
    }
}

impl Handler<Remove> for ContainerActor {
    type Result = Result<Verdict, Failure>;

    fn handle(&mut self, _: Remove, ctx: &mut Context<Self>) -> Self::Result {
        let verdict = decide::remove(&self.record)?;
        if verdict == Verdict::Begin {
            self.record.apply(Event::Remove)?;
        }
        // Also when it was begun before: who asks again wants to hear of a new try.
        if verdict == Verdict::Begin || self.trouble.is_some() {
            self.remove(ctx);
        }
        Ok(verdict)
    }
}

impl Handler<Keep> for ContainerActor {
    type Result = Result<(), Failure>;

    fn handle(&mut self, Keep(lease): Keep, _: &mut Context<Self>) -> Self::Result {
        if self.record.phase == Phase::Removing {
            return Err(crate::lookup::unknown(self.record.id().as_str()));
        }
        self.lease = self.lease.max(Instant::now().checked_add(lease));
        Ok(())
    }
}
