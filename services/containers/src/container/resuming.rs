//! Going on after a restart of this service.

use super::{ContainerActor, Stage};
use crate::lifecycle::Phase;
use crate::resume::{Resume, resume, unknown_end};
use actix::prelude::*;
use schema::executor;

/// What the executor has of the container, asked after the restart.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Recover {
    pub(crate) sandbox: Option<executor::Phase>,
    /// Whether its processes are stopped where they are.
    pub(crate) frozen: bool,
}

impl Handler<Recover> for ContainerActor {
    type Result = ();

    fn handle(&mut self, Recover { sandbox, frozen }: Recover, ctx: &mut Context<Self>) {
        if self.stage != Stage::Recovering {
            return;
        }
        let next = resume(&self.record, sandbox.as_ref());
        tracing::info!(id = self.record.id().short(), phase = ?self.record.phase, ?sandbox, ?next, "recovering");
        self.stage = Stage::Live;
        self.frozen.set(frozen);
        match next {
            Resume::Rest => {}
            Resume::Assemble => self.drive_start(false, ctx),
            Resume::Launch => self.drive_start(true, ctx),
            Resume::Watch => {
                self.drive_run(ctx);
                self.align(ctx);
                if let Some(order) = self.record.stop_order() {
                    self.escalate(order, ctx);
                }
            }
            Resume::Adopt(started) => {
                if self.apply(|record| record.found(Some(started))) {
                    self.drive_run(ctx);
                    self.align(ctx);
                }
            }
            Resume::Lost => {
                if self.apply(|record| record.lost(unknown_end("its sandbox is gone"))) {
                    self.drive_clean(ctx);
                }
            }
            Resume::Sweep => {
                if self.apply(|record| record.found(None)) {
                    self.drive_clean(ctx);
                }
            }
            Resume::Clean => self.drive_clean(ctx),
            Resume::Retry => self.drive_retry(ctx),
            Resume::Remove => self.remove(ctx),
        }
        self.publish();
        if next == Resume::Rest && self.record.phase == Phase::Exited {
            self.settle(ctx);
        }
    }
}
