//! Containers that are removed by themselves.

use super::ContainerActor;
use crate::lifecycle::{Event, Phase};
use actix::prelude::*;
use schema::containers::AutoRemove;
use std::time::Duration;
use tokio::time::Instant;

/// How long a container is left to its client when its run, or the client's last lease, is over.
const GRACE: Duration = Duration::from_secs(10);

impl ContainerActor {
    /// Its run is cleaned up: removes it now, later or never.
    pub(super) fn settle(&mut self, ctx: &mut Context<Self>) {
        match self.record.container.spec.auto_remove {
            AutoRemove::Never => {}
            AutoRemove::OnExit => self.remove_by_itself(ctx),
            AutoRemove::AfterClient => {
                self.rested = Some(Instant::now());
                self.wait_for_client(ctx);
            }
        }
    }

    /// Removes it when nobody wants it any more. A lease that is renewed meanwhile makes it wait again.
    fn wait_for_client(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let due = due(self.rested.unwrap_or(now), self.lease);
        if now < due {
            let timer = ctx.run_later(due - now, |actor, ctx| actor.wait_for_client(ctx));
            self.removal = Some(timer);
        } else if self.record.phase == Phase::Exited {
            self.remove_by_itself(ctx);
        }
    }

    fn remove_by_itself(&mut self, ctx: &mut Context<Self>) {
        if self.apply(|record| record.apply(Event::Remove)) {
            self.remove(ctx);
        }
    }
}

/// When a container is removed.
fn due(rested: Instant, lease: Option<Instant>) -> Instant {
    lease.map_or(rested, |lease| lease.max(rested)) + GRACE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grace_begins_with_the_end_of_run_or_lease() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(due(now, None), now + GRACE);
        assert_eq!(due(now + second, Some(now)), now + second + GRACE);
        assert_eq!(due(now, Some(now + second)), now + second + GRACE);
    }
}
