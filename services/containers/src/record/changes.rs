//! What can happen to a record.

use super::{Record, Run, StopOrder};
use crate::lifecycle::{Event, Phase};
use crate::noted::Noted;
use crate::restart::{self, End};
use crate::signals;
use schema::Failure;
use schema::call::RequestId;
use schema::common::{ExitRecord, SandboxRef};
use schema::containers::{RestartKind, StartError, State};
use schema::executor::Started;
use schema::network::Attachment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many uploads of commits are remembered.
const COMMITS: usize = 8;

/// Bytes of labels that an event carries along; more are left out.
const LABELS: usize = 16 << 10;

/// Why a run was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cause {
    /// A user asked for it.
    #[default]
    Start,
    /// A user asked for another run.
    Restart,
    /// The restart policy wants it.
    Policy,
}

impl Record {
    /// Lets an event happen. Fails with `internal` if it cannot happen now: the caller has to ask before.
    pub(crate) fn apply(&mut self, event: Event) -> Result<(), Failure> {
        let next = self.phase.after(event).ok_or_else(|| {
            Failure::internal(format_args!(
                "container {}: {event:?} cannot happen while it is {:?}",
                self.id().short(),
                self.phase
            ))
        })?;
        self.phase = next;
        self.touch();
        Ok(())
    }

    /// The record is another one than before.
    fn touch(&mut self) {
        self.container.state = if self.is_to_restart() { State::Restarting } else { self.phase.state() };
        self.revision += 1;
    }

    /// Notes an event of a change.
    pub(crate) fn note(&mut self, action: &str, more: &[(&str, &str)]) {
        let noted = self.event(action, more);
        self.events = noted.number;
        self.noted.push(noted);
    }

    /// The next event.
    pub(crate) fn event(&self, action: &str, more: &[(&str, &str)]) -> Noted {
        let spec = &self.container.spec;
        let known = [("name", self.name()), ("image", spec.image.as_str())];
        let mut attributes: Vec<_> = known.iter().chain(more).map(|(key, value)| format!("{key}={value}")).collect();
        if spec.labels.iter().map(String::len).sum::<usize>() <= LABELS {
            attributes.extend_from_slice(&spec.labels);
        }
        Noted { number: self.events + 1, at: kit::process::now(), action: action.to_owned(), attributes }
    }

    /// It has a name and is about to be recorded.
    pub(crate) fn created(&mut self) {
        self.note("create", &[]);
        self.touch();
    }

    /// Begins a run for a request.
    pub(crate) fn begin(&mut self, request: RequestId, cause: Cause) -> Result<(), Failure> {
        self.apply(Event::Start)?;
        self.run = Some(Run {
            started_by: request.0,
            assembled: false,
            stop: None,
            hint: String::new(),
            sandbox: None,
            cause,
            killed: false,
            signalled_by: None,
        });
        self.policy.again_at = None;
        self.policy.stopped = false;
        if cause == Cause::Policy {
            self.container.restart_count += 1;
        } else {
            self.policy.pause_ms = 0;
            self.container.restart_count = 0;
        }
        self.container.exit = None;
        self.container.error = None;
        self.container.warnings.clone_from(&self.warnings);
        self.touch();
        Ok(())
    }

    /// Everything is in place for PID 1.
    pub(crate) fn assembled(
        &mut self,
        sandbox: SandboxRef,
        attachment: Option<Attachment>,
        position: u64,
        warnings: Vec<String>,
    ) {
        self.container.attachment = attachment;
        self.container.run_position = position;
        self.container.warnings.clone_from(&self.warnings);
        self.container.warnings.extend(warnings);
        if let Some(run) = &mut self.run {
            run.assembled = true;
            run.sandbox = Some(sandbox);
        }
        self.touch();
    }

    /// A sandbox was found of which the record does not know: with a process that runs or has run, or without.
    pub(crate) fn found(&mut self, process: Option<Started>) -> Result<(), Failure> {
        self.policy.again_at = None;
        match process {
            Some(started) => self.runs(Event::Found, started)?,
            None => self.apply(Event::Stray)?,
        }
        self.run = None;
        Ok(())
    }

    /// PID 1 was started.
    pub(crate) fn started(&mut self, started: Started) -> Result<(), Failure> {
        self.runs(Event::Started, started)?;
        if self.run.as_ref().is_some_and(|run| run.cause == Cause::Restart) {
            self.note("restart", &[]);
        }
        Ok(())
    }

    fn runs(&mut self, event: Event, started: Started) -> Result<(), Failure> {
        self.apply(event)?;
        self.container.pid = started.pid;
        self.container.started_at = started.started_at;
        self.note("start", &[]);
        Ok(())
    }

    /// The start did not succeed.
    pub(crate) fn failed(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.apply(Event::Failed)?;
        self.container.error = Some(StartError { code: failure.code.into(), message: failure.message.clone() });
        if let Some(run) = &mut self.run {
            run.hint.clone_from(&failure.hint);
        }
        // Who asked for a start hears that it failed. Where nobody asked, nobody else tries again.
        if self.run.as_ref().is_some_and(|run| run.cause == Cause::Policy) {
            self.consult_policy(End::NotStarted, Duration::ZERO);
        }
        self.forget_run();
        Ok(())
    }

    /// PID 1 has ended.
    pub(crate) fn ended(&mut self, exit: ExitRecord) -> Result<(), Failure> {
        self.apply(Event::Ended)?;
        if exit.oom_killed {
            self.note("oom", &[]);
        }
        let code = exit.code.to_string();
        let why = [("exitCode", code.as_str()), ("error", exit.note.as_str())];
        self.note("die", if exit.note.is_empty() { &why[..1] } else { &why });
        let is_ordered = self.run.as_ref().is_some_and(|run| run.stop.is_some() || run.killed);
        if self.stop_order().is_some() {
            self.note("stop", &[]);
        }
        let ran = exit.finished_at.saturating_sub(self.container.started_at);
        let ran = Duration::from_nanos(u64::try_from(ran).unwrap_or_default());
        self.consult_policy(if is_ordered { End::Ordered } else { End::Exited(exit.code) }, ran);
        self.last_exit = Some(exit.clone());
        self.container.exit = Some(exit);
        self.forget_run();
        Ok(())
    }

    /// Decides whether the restart policy follows a run with another.
    fn consult_policy(&mut self, end: End, ran: Duration) {
        let spec = &self.container.spec;
        if restart::is_due(spec.restart, end, self.container.restart_count) {
            let pause = restart::pause(Duration::from_millis(self.policy.pause_ms), ran);
            self.policy.pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            let pause = i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX);
            self.policy.again_at = Some(kit::process::now().saturating_add(pause));
        }
    }

    /// Its end is ordered.
    pub(crate) fn order_stop(&mut self, order: StopOrder) -> Result<(), Failure> {
        if self.phase != Phase::Stopping {
            self.apply(Event::Stop)?;
        }
        if let Some(run) = &mut self.run {
            run.stop = Some(order);
        }
        let signal = self.image.stop_signal.to_string();
        self.note("kill", &[("signal", &signal)]);
        self.policy.stopped = (self.policy.stopped || !order.with_all) && !order.then_start;
        self.touch();
        Ok(())
    }

    /// A signal is sent to PID 1. If that is to end it, its restart policy lets it be.
    pub(crate) fn signalled(&mut self, signal: i32, request: RequestId) {
        if self.signalled_by(request) {
            return;
        }
        if let Some(run) = &mut self.run {
            run.signalled_by = Some(request.0);
        }
        let number = signal.to_string();
        self.note("kill", &[("signal", &number)]);
        let is_ordered = self.stop_order().is_some();
        if !is_ordered && (signal == signals::KILL || signal == self.image.stop_signal) {
            self.policy.stopped = true;
            if let Some(run) = &mut self.run {
                run.killed = true;
            }
        }
        self.touch();
    }

    /// A user wants it stopped while it does not run. Whether that says anything new.
    pub(crate) fn set_stopped(&mut self) -> bool {
        let is_new =
            self.phase == Phase::Exited && !self.policy.stopped && self.container.spec.restart.kind != RestartKind::No;
        if is_new {
            self.policy.stopped = true;
            self.touch();
        }
        is_new
    }

    /// Its restart policy is not to start it again.
    pub(crate) fn cancel_restart(&mut self, with_all: bool) -> Result<(), Failure> {
        self.policy.again_at = None;
        self.policy.stopped |= !with_all;
        if self.phase == Phase::Restarting {
            self.apply(Event::Cancel)?;
        }
        self.note("stop", &[]);
        self.touch();
        Ok(())
    }

    /// A user had its processes stopped where they are, or let go on.
    pub(crate) fn paused(&mut self, is_paused: bool) -> Result<(), Failure> {
        self.apply(if is_paused { Event::Pause } else { Event::Unpause })?;
        self.note(if is_paused { "pause" } else { "unpause" }, &[]);
        Ok(())
    }

    /// Nothing of its run is left.
    pub(crate) fn cleaned(&mut self) -> Result<(), Failure> {
        self.apply(if self.policy.again_at.is_some() { Event::Retry } else { Event::Cleaned })?;
        self.ends += 1;
        Ok(())
    }

    /// It has another name.
    pub(crate) fn renamed(&mut self, name: &str) {
        let old = std::mem::replace(&mut self.container.spec.name, name.to_owned());
        self.note("rename", &[("oldName", &old)]);
        self.touch();
    }

    /// It has its old name after all.
    pub(crate) fn not_renamed(&mut self, old: String) {
        self.container.spec.name = old;
        self.noted.retain(|noted| noted.action != "rename");
        self.touch();
    }

    /// An upload holds a complete layer of it.
    pub(crate) fn layer_written(&mut self, upload: &str) {
        if self.committed.len() == COMMITS {
            self.committed.remove(0);
        }
        self.committed.push(upload.to_owned());
        self.touch();
    }

    /// An upload holds no layer of it any more.
    pub(crate) fn layer_given_up(&mut self, upload: &str) {
        self.committed.retain(|known| known != upload);
        self.touch();
    }

    /// An image was made of it.
    pub(crate) fn committed(&mut self, image: &str, reference: &str) {
        self.note("commit", &[("imageID", image), ("reference", reference)]);
        self.touch();
    }

    /// The host was restarted: its restart policy starts it at once, or not at all.
    pub(crate) fn retry_now(&mut self, is_due: bool) -> Result<(), Failure> {
        self.policy.again_at = None;
        if is_due {
            self.policy.pause_ms = 0;
            self.policy.again_at = Some(kit::process::now());
            if self.phase == Phase::Exited {
                self.apply(Event::Retry)?;
            }
            self.touch();
        }
        Ok(())
    }

    /// PID 1 has ended, or may never have run, and nobody can tell.
    pub(crate) fn lost(&mut self, exit: ExitRecord) -> Result<(), Failure> {
        if self.phase == Phase::Starting {
            self.started(Started { pid: 0, started_at: exit.finished_at })?;
        }
        self.ended(exit)
    }

    /// What was true while it ran.
    fn forget_run(&mut self) {
        self.container.pid = 0;
        self.container.attachment = None;
        self.touch();
    }
}
