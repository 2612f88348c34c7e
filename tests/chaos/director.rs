//! Injects the faults of a plan, one after another, and looks at everything after each.

use crate::inject::{inject, is_there, shim};
use crate::ledger::{Ledger, Recorded, Wrong};
use crate::plan::{Kind, SERVICES, Step, Target};
use crate::probe::{Probe, Trouble};
use crate::report::{Tally, ms};
use crate::standing::Standing;
use harness::{Instance, within};
use schema::supervisor::ServiceStatus;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a target may take to be there again: far longer than any backoff.
const LIMIT: Duration = Duration::from_secs(30);

/// Who does it.
pub(crate) struct Director<'a> {
    pub(crate) cctl: &'a Instance,
    pub(crate) ledger: &'a Ledger,
    pub(crate) probe: &'a Probe,
    pub(crate) standing: &'a [Standing],
    pub(crate) tally: &'a mut Tally,
}

impl Director<'_> {
    /// Goes through the plan, until something is wrong.
    pub(crate) fn follow(&mut self, steps: &[Step]) -> Result<(), Recorded> {
        for step in steps {
            sleep(step.after);
            if self.ledger.has_ended() {
                return Err(Recorded);
            }
            self.step(step)?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), Recorded> {
        let before = self.victims(step)?;
        self.ledger.begins(step);
        for target in &step.targets {
            self.tally.injected(step.kind, *target);
        }
        let monitor = match step.targets[0] {
            Target::Shim(number) => shim(number, self.standing),
            _ => None,
        };
        let mut begun = Instant::now();
        inject(step, &before, self.standing, self.cctl);
        if matches!(step.kind, Kind::Pause(_)) {
            begun = Instant::now();
        }
        self.wait_for_recovery(step, &before, monitor, begun)?;
        let after = self.status()?;
        for target in &step.targets {
            let is_replaced = matches!(target, Target::Shim(number) if shim(*number, self.standing) != monitor);
            if restarts(&after, *target) > restarts(&before, *target) || is_new(&after, &before) || is_replaced {
                self.tally.noticed(*target);
            }
        }
        match self.standing.iter().find(|container| !container.is_undisturbed()) {
            Some(container) => {
                let what = format_args!("PID 1 of the container {} is gone", container.name);
                Err(self.ledger.wrong(Wrong::Container, 1, what))
            }
            None => Ok(()),
        }
    }

    /// Waits until all targets are there, and says how the processes are.
    fn victims(&self, step: &Step) -> Result<Vec<ServiceStatus>, Recorded> {
        let mut failed = None;
        let found = within(LIMIT, || match self.status() {
            Ok(status) => is_there(step, &status, self.standing).then_some(status),
            Err(recorded) => {
                failed = Some(recorded);
                None
            }
        });
        found
            .ok_or_else(|| failed.unwrap_or_else(|| self.not_recovered(format_args!("{step}: nobody is there for it"))))
    }

    /// Waits until every target serves again.
    fn wait_for_recovery(
        &mut self,
        step: &Step,
        before: &[ServiceStatus],
        monitor: Option<i32>,
        begun: Instant,
    ) -> Result<(), Recorded> {
        let services: Vec<&str> = step
            .targets
            .iter()
            .filter_map(|target| match target {
                Target::Service(name) => Some(*name),
                _ => None,
            })
            .collect();
        if services.is_empty() {
            // A pause is over, and nothing has to follow from it.
            if !matches!(step.kind, Kind::Pause(_)) {
                match step.targets[0] {
                    Target::Shim(number) => self.wait_for_a_new_shim(number, monitor)?,
                    _ => self.wait_for_a_new_supervisor(before)?,
                }
            }
            self.answers(&SERVICES)?;
            self.has_recovered(step, step.targets[0], begun.elapsed());
            return Ok(());
        }
        for (service, time) in services.iter().zip(self.answers(&services)?) {
            self.has_recovered(step, Target::Service(service), time);
        }
        Ok(())
    }

    fn has_recovered(&mut self, step: &Step, target: Target, time: Duration) {
        self.ledger.note(format_args!("{} serves again after {:.0} ms", target.name(), ms(time)));
        self.tally.recovered(step.kind, target, time);
    }

    /// When the supervisor ends, its services do: those that answer before are on their way out.
    fn wait_for_a_new_supervisor(&self, before: &[ServiceStatus]) -> Result<(), Recorded> {
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            if is_new(&self.status()?, before) {
                return Ok(());
            }
            sleep(Duration::from_millis(1));
        }
        Err(self.not_recovered("there is no new supervisor"))
    }

    /// The executor has another monitor take over.
    fn wait_for_a_new_shim(&self, number: u64, before: Option<i32>) -> Result<(), Recorded> {
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            if shim(number, self.standing).is_some_and(|now| Some(now) != before) {
                return Ok(());
            }
            sleep(Duration::from_millis(1));
        }
        Err(self.not_recovered("there is no new monitor"))
    }

    /// How long each of these took to give a true answer.
    fn answers(&self, services: &[&str]) -> Result<Vec<Duration>, Recorded> {
        let judge = |(service, (time, answer)): (&&str, (Duration, Result<(), Trouble>))| match answer {
            Ok(()) => Ok(time),
            Err(Trouble::Failed(failure)) => Err(self.not_recovered(format_args!("{service} failed: {failure}"))),
            Err(Trouble::Untrue(answer)) => {
                Err(self.not_recovered(format_args!("{service} says what is not true: {answer}")))
            }
        };
        services.iter().zip(self.probe.ask(services)).map(judge).collect()
    }

    fn status(&self) -> Result<Vec<ServiceStatus>, Recorded> {
        self.probe.status().map_err(|trouble| self.not_recovered(format_args!("the supervisor: {trouble:?}")))
    }

    fn not_recovered(&self, what: impl std::fmt::Display) -> Recorded {
        self.ledger.wrong(Wrong::Recovery, 1, what)
    }
}

fn restarts(status: &[ServiceStatus], target: Target) -> u32 {
    status.iter().find(|row| row.service == target.name()).map_or(0, |row| row.restarts)
}

/// Whether there is another supervisor than before.
fn is_new(now: &[ServiceStatus], before: &[ServiceStatus]) -> bool {
    restarts(now, Target::Supervisor) > restarts(before, Target::Supervisor)
}
