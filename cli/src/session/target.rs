//! Whose streams a session connects: those of a container, or of a further process in one.

use super::LEASE_MS;
use crate::engine::{Engine, call, patient_call};
use crate::error::Result;
use schema::common::ExitRecord;
use schema::containers::{AutoRemove, Container, Exec, ExecSpec};
use schema::{Code, ContainerId, Failure};

/// A process whose streams the log collector has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// The first process of a container.
    Container(&'a Container),
    /// A further process, and what was asked of it.
    Exec(&'a Exec, &'a ExecSpec),
}

impl Target<'_> {
    /// The name of its streams.
    pub(super) fn id(&self) -> &ContainerId {
        match self {
            Self::Container(container) => &container.id,
            Self::Exec(exec, _) => &exec.id,
        }
    }

    /// Whether its stdio is a terminal.
    pub(super) fn terminal(&self) -> bool {
        match self {
            Self::Container(container) => container.spec.terminal,
            Self::Exec(_, spec) => spec.terminal,
        }
    }

    /// Whether the end of our input is the end of its stdin. The end of a terminal's session is not: another
    /// may attach.
    pub(super) fn ends_with_input(&self) -> bool {
        let once = match self {
            Self::Container(container) => container.spec.stdin_once,
            Self::Exec(_, spec) => spec.open_stdin,
        };
        once && !self.terminal()
    }

    /// Waits until it has ended. Answers how, if that is known, and where the latest run of its container begins.
    pub(super) async fn exited(&self, engine: &Engine) -> Result<(Option<ExitRecord>, Option<u64>)> {
        match self {
            Self::Container(container) => {
                let ended = ended(engine, container).await;
                let ended = ended.map_err(|failure| gone(failure, &container.spec.name))?;
                Ok((ended.exit, Some(ended.run_position)))
            }
            Self::Exec(exec, spec) => {
                let ended = engine.containers.exec_wait(&patient_call(), &exec.id).await;
                let name = spec.arguments.first().map_or("the process", String::as_str);
                Ok((Some(ended.map_err(|failure| gone(failure, name))?), None))
            }
        }
    }

    /// Sets the size of its terminal.
    pub(super) async fn resize(&self, engine: &Engine, rows: u16, columns: u16) -> Result<(), Failure> {
        match self {
            Self::Container(container) => engine.containers.resize(&call(), container.id.as_str(), rows, columns).await,
            Self::Exec(exec, _) => engine.containers.exec_resize(&call(), &exec.id, rows, columns).await,
        }
    }

    /// Whether it is forgotten when it has ended, unless its client says that it is there.
    pub(super) fn needs_lease(&self) -> bool {
        match self {
            Self::Container(container) => container.spec.auto_remove == AutoRemove::AfterClient,
            Self::Exec(..) => true,
        }
    }

    /// Says that its client is there.
    pub(super) async fn keep(&self, engine: &Engine) -> Result<(), Failure> {
        match self {
            Self::Container(container) => engine.containers.keep(&call(), container.id.as_str(), LEASE_MS).await,
            Self::Exec(exec, _) => engine.containers.exec_keep(&call(), &exec.id, LEASE_MS).await,
        }
    }

    /// Sends a signal to it; nothing happens if it has just ended. A further process gets none.
    pub(super) async fn signal(&self, engine: &Engine, signal: i32) -> Result<(), Failure> {
        match self {
            Self::Container(container) => super::pass_on(engine, container, signal).await,
            Self::Exec(..) => Ok(()),
        }
    }

    /// Whether signals can be sent to it.
    pub(super) fn takes_signals(&self) -> bool {
        matches!(self, Self::Container(_))
    }
}

/// Waits for the end of a container. What this client removes is not waited for until it is cleaned up.
async fn ended(engine: &Engine, container: &Container) -> Result<Container, Failure> {
    let id = container.id.as_str();
    if container.spec.auto_remove == AutoRemove::AfterClient {
        match engine.containers.ended(&patient_call(), id).await {
            // It was replaced by one that does not know that.
            Err(failure) if failure.code == Code::Unimplemented => {}
            answer => return answer,
        }
    }
    engine.containers.wait(&patient_call(), id).await
}

fn gone(failure: Failure, name: &str) -> Failure {
    if failure.code == Code::NotFound {
        Failure::not_found(format_args!("{name} was removed meanwhile"))
    } else {
        failure
    }
}
