//! A fake executor: processes that end when the test says so, or by a signal.

use super::world::World;
use schema::common::{ExitRecord, SandboxRef};
use schema::executor::{Phase, Prepared, ProcessSpec, SandboxSpec, SandboxState, Server, Started};
use schema::{Call, ContainerId, Failure};
use std::path::PathBuf;
use std::rc::Rc;

pub(crate) struct Executor(pub(crate) Rc<World>);

const STARTED: Started = Started { pid: 4242, started_at: 1_000 };

pub(crate) fn exit(code: i32, signal: i32) -> ExitRecord {
    ExitRecord { code, signal, oom_killed: false, finished_at: 2_000, note: String::new() }
}

impl World {
    /// Lets PID 1 of a container end.
    pub(crate) fn end(&self, id: &ContainerId, exit: ExitRecord) {
        if let Some(phase) = self.sandboxes.borrow_mut().get_mut(id) {
            assert!(matches!(phase, Phase::Running(_)), "{id} does not run");
            *phase = Phase::Exited(exit);
        }
        self.changed.notify_waiters();
    }
}

fn gone(id: &ContainerId) -> Failure {
    Failure::not_found(format_args!("no sandbox {id}"))
}

impl Server for Executor {
    async fn prepare(&self, _: &Call, id: ContainerId, _: SandboxSpec) -> Result<Prepared, Failure> {
        self.0.enter("executor.prepare", Some(&id)).await?;
        self.0.require_recorded(&id, "executor.prepare", &["\"phase\": \"starting\""]);
        self.0.sandboxes.borrow_mut().entry(id.clone()).or_insert(Phase::Parked);
        self.0.leave("executor.prepare").await;
        Ok(Prepared {
            sandbox: SandboxRef { pid: 77, start_time: 1 },
            directory: PathBuf::from("/sandboxes").join(id.as_str()),
            warnings: vec!["no swap limit here".to_owned()],
        })
    }

    async fn start(&self, _: &Call, id: ContainerId, _: ProcessSpec) -> Result<Started, Failure> {
        self.0.enter("executor.start", Some(&id)).await?;
        self.0.require_recorded(&id, "executor.start", &["\"assembled\": true"]);
        let phase = self.0.sandboxes.borrow().get(&id).cloned().ok_or_else(|| gone(&id))?;
        if phase == Phase::Parked {
            self.0.require(self.0.has(&id) == [true; 4], "started without network, layer or log", &id);
            self.0.sandboxes.borrow_mut().insert(id.clone(), Phase::Running(STARTED));
            *self.0.executed.borrow_mut().entry(id.clone()).or_default() += 1;
        }
        self.0.leave("executor.start").await;
        Ok(STARTED)
    }

    async fn wait(&self, _: &Call, id: ContainerId) -> Result<ExitRecord, Failure> {
        self.0.enter("executor.wait", Some(&id)).await?;
        loop {
            let changed = self.0.changed.notified();
            match self.0.sandboxes.borrow().get(&id) {
                None => return Err(gone(&id)),
                Some(Phase::Exited(exit)) => break Ok(exit.clone()),
                Some(_) => {}
            }
            changed.await;
        }
    }

    async fn signal(&self, _: &Call, id: ContainerId, signal: i32) -> Result<(), Failure> {
        self.0.enter(if signal == 9 { "executor.kill" } else { "executor.signal" }, Some(&id)).await?;
        let phase = self.0.sandboxes.borrow().get(&id).cloned().ok_or_else(|| gone(&id))?;
        if matches!(phase, Phase::Running(_)) && (signal == 9 || !self.0.stubborn.get()) {
            self.0.end(&id, exit(128 + signal, signal));
        }
        self.0.leave(if signal == 9 { "executor.kill" } else { "executor.signal" }).await;
        Ok(())
    }

    async fn resize(&self, _: &Call, id: ContainerId, _: u16, _: u16) -> Result<(), Failure> {
        self.0.enter("executor.resize", Some(&id)).await
    }

    async fn destroy(&self, _: &Call, id: ContainerId) -> Result<(), Failure> {
        self.0.enter("executor.destroy", Some(&id)).await?;
        if let Some(Phase::Exited(exit)) = self.0.sandboxes.borrow().get(&id) {
            let code = format!("\"code\": {}", exit.code);
            self.0.require_recorded(&id, "executor.destroy", &[&code, "\"phase\": \"removing\""]);
        }
        self.0.sandboxes.borrow_mut().remove(&id);
        self.0.leave("executor.destroy").await;
        Ok(())
    }

    async fn list(&self, _: &Call) -> Result<Vec<SandboxState>, Failure> {
        self.0.enter("executor.list", None).await?;
        let sandboxes = self.0.sandboxes.borrow();
        Ok(sandboxes
            .iter()
            .map(|(id, phase)| SandboxState { id: id.clone(), phase: phase.clone(), exec_of: None, frozen: false })
            .collect())
    }
}
