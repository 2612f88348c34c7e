//! Restart policies at work.

use super::ContainerActor;
use super::drive::warn;
use super::stopping::until;
use crate::lifecycle::Phase;
use crate::record::Cause;
use actix::prelude::*;
use schema::Failure;
use schema::call::RequestId;

impl ContainerActor {
    /// Restarting: starts it when its policy says.
    pub(super) fn drive_retry(&mut self, ctx: &mut Context<Self>) {
        let Some(at) = self.record.policy.again_at else {
            tracing::error!("a bug: nothing says when to restart");
            return;
        };
        let (page, record) = (self.page.clone(), self.record.clone());
        let work = async move {
            warn("that it will be restarted", page.write(&record).await);
            tokio::time::sleep(until(at)).await;
        };
        self.drive(ctx, work, |(), actor, ctx| {
            let request = RequestId(actor.record.run.as_ref().map_or(0, |run| run.started_by));
            if let Err(failure) = actor.begin(request, Cause::Policy, ctx) {
                tracing::error!(%failure, "cannot restart");
            }
        });
    }

    /// Its policy is not to start it again: a user says so, or all containers are stopped.
    pub(super) fn cancel_restart(&mut self, with_all: bool, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let was_waiting = self.record.phase == Phase::Restarting;
        self.record.cancel_restart(with_all)?;
        self.publish();
        let (page, record) = (self.page.clone(), self.record.clone());
        let work = async move { warn("that it is stopped", page.keep(&record).await) };
        if was_waiting {
            self.drive(ctx, work, |(), _, _| ());
        } else {
            // What cleans up goes on.
            ctx.spawn(work.into_actor(self));
        }
        Ok(())
    }
}
