//! A fake executor: processes that end when the test says so, or by a signal.

use super::world::World;
use schema::common::{ExitRecord, SandboxRef};
use schema::executor::{
    ExecSpec, Phase, Prepared, Process, ProcessSpec, SandboxSpec, SandboxState, Server, Started, Stats,
};
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
        let execs = self.execs.borrow().clone().into_iter().filter(|(_, container)| container == id);
        for (exec, _) in execs {
            if let Some(phase @ Phase::Running(_)) = self.sandboxes.borrow_mut().get_mut(&exec) {
                *phase = Phase::Exited(self::exit(137, 9));
            }
        }
        self.frozen.borrow_mut().remove(id);
        self.changed.notify_waiters();
    }
}

fn gone(id: &ContainerId) -> Failure {
    Failure::not_found(format_args!("no sandbox {id}"))
}

impl Server for Executor {
    async fn prepare(&self, _: &Call, id: ContainerId, spec: SandboxSpec) -> Result<Prepared, Failure> {
        self.0.enter("executor.prepare", Some(&id)).await?;
        if self.0.sandboxes.borrow().contains_key(&id) {
            let is_same = self.0.made.borrow().get(&id) == Some(&spec);
            self.0.require(is_same, "prepared in another way", &id);
        }
        self.0.made.borrow_mut().insert(id.clone(), spec);
        self.0.sandboxes.borrow_mut().entry(id.clone()).or_insert(Phase::Parked);
        self.0.leave("executor.prepare").await;
        Ok(Prepared {
            sandbox: SandboxRef { pid: 77, start_time: 1 },
            directory: PathBuf::from("/sandboxes").join(id.as_str()),
            warnings: vec!["no swap limit here".to_owned()],
        })
    }

    async fn set_up(&self, _: &Call, id: ContainerId) -> Result<(), Failure> {
        self.0.enter("executor.set_up", Some(&id)).await?;
        self.0.require(self.0.has(&id) == [true; 4], "set up without network, layer or log", &id);
        self.0.leave("executor.set_up").await;
        Ok(())
    }

    async fn start(&self, _: &Call, id: ContainerId, process: ProcessSpec) -> Result<Started, Failure> {
        let is_exec = self.0.execs.borrow().contains_key(&id);
        self.0.enter(if is_exec { "executor.start_exec" } else { "executor.start" }, Some(&id)).await?;
        self.0.require_recorded(&id, "executor.start", &["\"assembled\": true", "\"phase\": \"assembled\""]);
        let phase = self.0.sandboxes.borrow().get(&id).cloned().ok_or_else(|| gone(&id))?;
        if phase == Phase::Parked {
            let expected = if is_exec { [true, false, false, true] } else { [true; 4] };
            self.0.require(self.0.has(&id) == expected, "started without network, layer or log", &id);
            self.0.processes.borrow_mut().insert(id.clone(), process);
            self.0.sandboxes.borrow_mut().insert(id.clone(), Phase::Running(STARTED));
            *self.0.executed.borrow_mut().entry(id.clone()).or_default() += 1;
        }
        self.0.leave(if is_exec { "executor.start_exec" } else { "executor.start" }).await;
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
        let is_frozen = self.0.frozen.borrow().contains(&id);
        if is_frozen {
            self.0.pending.borrow_mut().insert(id.clone(), signal);
        } else if matches!(phase, Phase::Running(_)) && (signal == 9 || !self.0.stubborn.get()) {
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
        self.0.execs.borrow_mut().remove(&id);
        self.0.frozen.borrow_mut().remove(&id);
        self.0.leave("executor.destroy").await;
        Ok(())
    }

    async fn list(&self, _: &Call) -> Result<Vec<SandboxState>, Failure> {
        self.0.enter("executor.list", None).await?;
        let sandboxes = self.0.sandboxes.borrow();
        Ok(sandboxes
            .iter()
            .map(|(id, phase)| SandboxState {
                id: id.clone(),
                phase: phase.clone(),
                exec_of: self.0.execs.borrow().get(id).cloned(),
                frozen: self.0.frozen.borrow().contains(id),
                ids: self.0.made.borrow().get(id).and_then(|made| made.ids),
            })
            .collect())
    }

    async fn prepare_exec(
        &self,
        _: &Call,
        id: ContainerId,
        exec: ContainerId,
        _: ExecSpec,
    ) -> Result<Prepared, Failure> {
        self.0.enter("executor.prepare_exec", Some(&exec)).await?;
        match self.0.sandboxes.borrow().get(&id) {
            None => return Err(gone(&id)),
            Some(Phase::Running(_)) => {}
            Some(_) => return Err(Failure::conflict("it does not run")),
        }
        self.0.execs.borrow_mut().insert(exec.clone(), id);
        self.0.sandboxes.borrow_mut().entry(exec.clone()).or_insert(Phase::Parked);
        self.0.leave("executor.prepare_exec").await;
        Ok(Prepared {
            sandbox: SandboxRef { pid: 78, start_time: 1 },
            directory: PathBuf::from("/sandboxes").join(exec.as_str()),
            warnings: Vec::new(),
        })
    }

    async fn freeze(&self, _: &Call, id: ContainerId, frozen: bool) -> Result<(), Failure> {
        let step = if frozen { "executor.freeze" } else { "executor.thaw" };
        self.0.enter(step, Some(&id)).await?;
        match self.0.sandboxes.borrow().get(&id) {
            None => return Err(gone(&id)),
            Some(Phase::Running(_)) => {}
            Some(_) => return Err(Failure::conflict("nothing runs")),
        }
        if frozen {
            self.0.frozen.borrow_mut().insert(id.clone());
        } else {
            self.0.frozen.borrow_mut().remove(&id);
            // What was sent meanwhile arrives now.
            let signal = self.0.pending.borrow_mut().remove(&id);
            if let Some(signal) = signal.filter(|signal| *signal == 9 || !self.0.stubborn.get()) {
                self.0.end(&id, exit(128 + signal, signal));
            }
        }
        self.0.leave(step).await;
        Ok(())
    }

    async fn stats(&self, _: &Call, id: ContainerId) -> Result<Stats, Failure> {
        self.0.enter("executor.stats", Some(&id)).await?;
        Ok(Stats { pids: 3, ..Stats::default() })
    }

    async fn processes(&self, _: &Call, id: ContainerId) -> Result<Vec<Process>, Failure> {
        self.0.enter("executor.processes", Some(&id)).await?;
        Ok(vec![Process {
            pid: STARTED.pid,
            parent: 1,
            uid: 0,
            user: "root".to_owned(),
            cpu_ns: 0,
            started_at: STARTED.started_at,
            terminal: "?".to_owned(),
            command: "sh".to_owned(),
            state: "S".to_owned(),
            memory: 0,
            cpu_permille: 0,
        }])
    }
}
