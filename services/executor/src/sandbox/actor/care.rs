//! The monitor is a process of ours, which may be killed or stopped like any other: it is replaced.

use super::end::MonitorEnded;
use super::{Phase, Sandbox, blocking};
use crate::control::Control;
use crate::process::Process;
use crate::procfs::Stat;
use crate::sandbox::adopt::{Task, adopt};
use actix::prelude::*;
use shim_protocol::control::Request;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it is looked whether a monitor is stopped.
const PERIOD: Duration = Duration::from_secs(2);
/// How long one that seems to be may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
const SIGKILL: i32 = 9;
/// Monitors that do not live so long are a series.
const LONG: Duration = Duration::from_secs(5);
/// The pause before the next of a series grows by this, and by more if one could not take over.
const PAUSE: Duration = Duration::from_millis(1);
const FAILED: u32 = 200;
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Waits for the end of a monitor. One that is stopped, and does not answer, is ended.
pub(super) async fn attend(monitor: &Process, control: &Control) {
    let ended = monitor.ended();
    tokio::pin!(ended);
    while tokio::time::timeout(PERIOD, &mut ended).await.is_err() {
        let stopped = Stat::read(monitor.pid).is_some_and(|stat| stat.state == "T");
        if stopped && !matches!(tokio::time::timeout(PATIENCE, control.request(Request::Report, &[])).await, Ok(Ok(_)))
        {
            tracing::error!(pid = monitor.pid, "a monitor is stopped: it is replaced");
            if let Err(failure) = monitor.signal(SIGKILL) {
                tracing::error!(%failure, "cannot kill a monitor");
            }
        }
    }
}

/// The sandbox runs and has no monitor: replaces it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Adopt;

impl Handler<Adopt> for Sandbox {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, Adopt: Adopt, _: &mut Context<Self>) -> Self::Result {
        let (Phase::Running { started, first }, Some(made)) = (&self.phase, &self.made) else {
            return AtomicResponse::new(Box::pin(actix::fut::ready(())));
        };
        if made.monitor.is_some() {
            return AtomicResponse::new(Box::pin(actix::fut::ready(())));
        }
        let (record, master) = (made.record.clone(), made.master.clone());
        let task = Task { record, first: first.clone(), started: *started, master, size: self.size };
        let (host, id) = (Arc::clone(&self.host), self.id.clone());
        let work = blocking(move || adopt(&host, &id, &task));
        AtomicResponse::new(Box::pin(work.into_actor(self).map(|outcome, this, context| {
            match (outcome.and_then(|adopted| adopted), &mut this.made) {
                (Ok((record, monitor)), Some(made)) => {
                    tracing::info!(id = %this.id, pid = monitor.pid, "a monitor was replaced");
                    this.short_lived %= FAILED;
                    (made.record, made.monitor) = (record, Some(monitor));
                    this.watch(context);
                    this.monitored_since = Instant::now();
                }
                (Err(failure), _) => {
                    tracing::error!(id = %this.id, %failure, "cannot replace a monitor yet");
                    this.short_lived = this.short_lived.saturating_add(FAILED);
                    // Perhaps it has come to the end of the run before it was lost.
                    context.notify(MonitorEnded);
                }
                (Ok(_), None) => {}
            }
        })))
    }
}

impl Sandbox {
    /// Has the monitor replaced: at once, if that does not happen again and again.
    pub(super) fn adopt_later(&mut self, context: &mut Context<Self>) {
        if self.monitored_since.elapsed() > LONG && self.short_lived < FAILED {
            self.short_lived = 0;
        }
        let pause = PAUSE.saturating_mul(self.short_lived).min(LONGEST_PAUSE);
        self.short_lived = self.short_lived.saturating_add(1);
        context.notify_later(Adopt, pause);
    }
}
