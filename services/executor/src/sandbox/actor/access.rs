//! What is asked of a sandbox while it lives.

use super::{Atomic, Phase, Sandbox, answer, blocking};
use crate::control;
use crate::sandbox::ending::Ended;
use actix::prelude::*;
use schema::Failure;
use schema::common::ExitRecord;
use schema::executor::{self, SandboxState};
use shim_protocol::control::Request;
use std::sync::Arc;
use tokio::sync::oneshot;

const SIGKILL: i32 = 9;
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=64;

/// Where the end of the run will be told.
#[derive(Message)]
#[rtype(result = "Result<oneshot::Receiver<Result<ExitRecord, Failure>>, Failure>")]
pub(crate) struct Wait;

impl Handler<Wait> for Sandbox {
    type Result = Result<oneshot::Receiver<Result<ExitRecord, Failure>>, Failure>;

    fn handle(&mut self, Wait: Wait, _: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        match (&self.phase, &self.told) {
            (Phase::Exited(Ended { exit, .. }), _) | (Phase::Running { .. }, Some(exit)) => {
                drop(sender.send(Ok(exit.clone())));
            }
            (Phase::Failed(failure), _) => return Err(failure.clone()),
            (Phase::New | Phase::Closed, _) => return Err(self.unknown()),
            (Phase::Parked | Phase::SetUp | Phase::Running { .. }, _) => {
                self.waiters.retain(|waiter| !waiter.is_closed());
                self.waiters.push(sender);
            }
        }
        Ok(receiver)
    }
}

/// Sends a signal to PID 1.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Signal(pub(crate) i32);

impl Handler<Signal> for Sandbox {
    type Result = Atomic<()>;

    fn handle(&mut self, Signal(number): Signal, _: &mut Context<Self>) -> Self::Result {
        if !SIGNALS.contains(&number) {
            return answer(Err(Failure::invalid(format_args!("{number} is not the number of a signal"))
                .hint("signals have the numbers 1 to 64")));
        }
        let (first, made) = match (&self.phase, &self.made) {
            (Phase::Running { first, .. }, Some(made)) => (first.clone(), made.clone()),
            (Phase::Exited(_), _) => return answer(Ok(())),
            (Phase::New | Phase::Closed, _) => return answer(Err(self.unknown())),
            _ => {
                return answer(Err(Failure::conflict(format_args!("{} is not running", self.name()))));
            }
        };
        let killed = self.monitor_killed();
        let (host, id) = (Arc::clone(&self.host), self.id.clone());
        let work = async move {
            let sent = match first {
                // The descriptor names PID 1 and nothing else, whether there is a monitor or not.
                Some(first) => first.signal(number),
                None => match made.control.request(Request::Signal { number }, &[]).await {
                    Ok(_) => Ok(()),
                    Err(_) => Err(killed),
                },
            };
            if number == SIGKILL {
                // On v1, a frozen process does not die before it is thawed; on v2 this changes nothing for it.
                blocking(move || host.cgroups.thaw(&id)).await??;
            }
            sent
        };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}

/// Sets the size of the terminal.
#[derive(Message)]
#[rtype(result = "Result<(), Failure>")]
pub(crate) struct Resize {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

impl Handler<Resize> for Sandbox {
    type Result = Atomic<()>;

    fn handle(&mut self, Resize { rows, columns }: Resize, _: &mut Context<Self>) -> Self::Result {
        let made = match &self.made {
            Some(made) if made.record.spec.terminal() => made.clone(),
            Some(_) => {
                return answer(Err(Failure::conflict(format_args!("{} has no terminal", self.name()))));
            }
            None => return answer(Err(self.unknown())),
        };
        if matches!(self.phase, Phase::Exited(_)) {
            return answer(Ok(()));
        }
        self.size = Some((rows, columns));
        let work = async move {
            match made.control.request(Request::Resize { rows, columns }, &[]).await {
                Ok(report) if report.error == 0 => Ok(()),
                Ok(report) => Err(Failure::io(
                    format_args!("setting the terminal's size to {columns}x{rows}"),
                    &std::io::Error::from_raw_os_error(report.error),
                )),
                // Whoever replaces it sets the size.
                Err(control::Error::Gone | control::Error::Unreached) => Ok(()),
                Err(control::Error::Io(error)) => Err(Failure::io("asking the monitor to set the size", &error)),
            }
        };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}

/// How far it is; none if it does not exist. Whether it is frozen, the caller asks the kernel.
#[derive(Message)]
#[rtype(result = "Result<Option<SandboxState>, Failure>")]
pub(crate) struct State;

impl Handler<State> for Sandbox {
    type Result = Result<Option<SandboxState>, Failure>;

    fn handle(&mut self, State: State, _: &mut Context<Self>) -> Self::Result {
        let phase = match &self.phase {
            Phase::New | Phase::Closed => return Ok(None),
            Phase::Parked | Phase::SetUp | Phase::Failed(_) => executor::Phase::Parked,
            Phase::Running { started, .. } => executor::Phase::Running(*started),
            Phase::Exited(ended) => executor::Phase::Exited(ended.exit.clone()),
        };
        Ok(Some(SandboxState { id: self.id.clone(), phase, exec_of: self.exec_of(), frozen: false, ids: self.ids() }))
    }
}
