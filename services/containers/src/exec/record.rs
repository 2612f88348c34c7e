//! What is durable of an exec, as long as the host runs.

use crate::noted::Noted;
use crate::record::Record;
use schema::ContainerId;
use schema::call::RequestId;
use schema::common::ExitRecord;
use schema::containers::{Exec, ExecSpec};
use schema::executor::{self, ProcessSpec, Started};
use schema::log_collector::LogSpec;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How far an exec is, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ExecPhase {
    /// Recorded; its sandbox is being prepared.
    Preparing,
    /// Its sandbox and its log are there: it may have been started.
    Assembled,
    /// It runs.
    Running,
    /// It has ended, and `exit` says how.
    Ended,
}

/// The record of an exec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecRecord {
    /// Its id.
    pub(crate) id: ContainerId,
    /// Where it runs.
    pub(crate) container: ContainerId,
    /// What was asked for: recognises a repetition.
    pub(crate) requested: ExecSpec,
    /// Of whoever asked for it; 0: an earlier version did not record it.
    #[serde(default)]
    pub(crate) request: u64,
    /// How far it is.
    pub(crate) phase: ExecPhase,
    /// What it executes.
    pub(crate) process: ProcessSpec,
    /// How its output is kept, but for the directory.
    pub(crate) log: LogSpec,
    /// In the host's PID namespace; 0: not started.
    pub(crate) pid: i32,
    /// Log position at which its output begins.
    pub(crate) position: u64,
    /// How it ended.
    pub(crate) exit: Option<ExitRecord>,
    /// Events that may not have been told yet.
    pub(crate) noted: Vec<Noted>,
}

impl ExecRecord {
    /// An exec to be run in a container.
    pub(crate) fn new(id: ContainerId, record: &Record, spec: ExecSpec, request: RequestId) -> Self {
        Self {
            id,
            container: record.id().clone(),
            process: record.exec_process(&spec),
            log: record.log(PathBuf::new(), spec.terminal, spec.open_stdin),
            requested: spec,
            request: request.0,
            phase: ExecPhase::Preparing,
            pid: 0,
            position: 0,
            exit: None,
            noted: Vec::new(),
        }
    }

    /// Its sandbox.
    pub(crate) fn sandbox(&self) -> executor::ExecSpec {
        let ExecSpec { terminal, open_stdin, privileged, .. } = self.requested;
        executor::ExecSpec { terminal, open_stdin, privileged }
    }

    /// As its client sees it.
    pub(crate) fn exec(&self) -> Exec {
        Exec { id: self.id.clone(), container: self.container.clone(), pid: self.pid, position: self.position }
    }

    /// It runs.
    pub(crate) fn started(&mut self, started: Started) {
        self.phase = ExecPhase::Running;
        self.pid = started.pid;
        self.note("exec_start", format!("command={}", self.process.arguments.join(" ")));
    }

    /// It has ended.
    pub(crate) fn ended(&mut self, exit: ExitRecord) {
        self.phase = ExecPhase::Ended;
        self.note("exec_die", format!("exitCode={}", exit.code));
        self.exit = Some(exit);
    }

    fn note(&mut self, action: &str, more: String) {
        self.noted.push(Noted {
            number: self.noted.last().map_or(1, |last| last.number + 1),
            at: kit::process::now(),
            action: action.to_owned(),
            attributes: vec![format!("execID={}", self.id), more],
        });
    }
}
