//! Containers come and go while a service is killed at a steady beat, which does not wait for anybody's recovery.

use crate::inject::{inject, is_there};
use crate::ledger::{Ledger, Recorded, Wrong};
use crate::memory::{self, Used};
use crate::plan::{Mix, SERVICES, Step, plan};
use crate::probe::Probe;
use crate::report;
use crate::user::User;
use harness::Random;
use harness::{Instance, eventually};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

/// Services only: the supervisor is to live through it, so that it would be seen to grow.
const MIX: Mix =
    Mix { kill: 1, kill_two: 0, hang: 0, pause: 0, restart: 0, shim: 0, trunk: 0, pace: Duration::from_millis(100) };
/// From one kill to the next.
const BEAT: Duration = Duration::from_millis(100);
/// Who make containers at the same time.
const MAKERS: usize = 4;
/// More than any run takes.
const KILLS: usize = 100_000;

/// Such a run, and what it came to.
pub(crate) struct Churn {
    seed: u64,
    containers: usize,
    pub(crate) ledger: Ledger,
    kills: usize,
    /// Restarts that the supervisor has counted.
    restarts: u32,
    early: BTreeMap<String, Used>,
    late: BTreeMap<String, Used>,
}

impl Churn {
    /// Makes and removes containers. What our processes use is measured after a fifth of them, and at the end.
    pub(crate) fn through(seed: u64, containers: usize) -> Self {
        // What stands ready for a while would be counted as what is lost.
        let cctl = Instance::start_without_spares();
        let empty = BTreeMap::new();
        let ledger = Ledger::new();
        let mut churn = Self { seed, containers, ledger, kills: 0, restarts: 0, early: empty.clone(), late: empty };
        let steps = plan(seed, KILLS, &MIX);
        let early = containers / 5;
        // What goes wrong is in the ledger.
        let _ = churn.attend(&cctl, &steps, early);
        if !churn.ledger.complaints().is_empty() {
            crate::evidence::keep(&churn.name(), &churn.ledger, &cctl);
        }
        let leaks = cctl.finish();
        if !leaks.is_empty() {
            churn.ledger.wrong(Wrong::Leak, leaks.len(), format_args!("left on the host: {leaks:#?}"));
        }
        churn
    }

    fn attend(&mut self, cctl: &Instance, steps: &[Step], early: usize) -> Result<(), Recorded> {
        let probe = Probe::new(cctl, &[]);
        self.leg(cctl, &probe, steps, 0, early)?;
        self.early = measure(&probe);
        self.leg(cctl, &probe, steps, early, self.containers)?;
        self.late = measure(&probe);
        let status = probe.status().expect("the supervisor");
        self.restarts = status.iter().map(|row| row.restarts).sum();
        self.has_not_grown()
    }

    /// Makes the containers of these numbers while services are killed.
    fn leg(
        &mut self,
        cctl: &Instance,
        probe: &Probe,
        steps: &[Step],
        first: usize,
        end: usize,
    ) -> Result<(), Recorded> {
        let (seed, ledger) = (self.seed, &self.ledger);
        let (next, over) = (&AtomicUsize::new(first), &AtomicBool::new(false));
        let steps = &steps[self.kills..];
        let (made, kills) = thread::scope(|scope| {
            let makers: Vec<_> = (0..MAKERS)
                .map(|maker| {
                    let number = u64::try_from(first + maker + 1).expect("a small number");
                    let user = User { cctl, ledger, name: "maker", random: Random::part(seed, number) };
                    scope.spawn(move || make(user, next, end))
                })
                .collect();
            let watch = scope.spawn(move || {
                let made: Result<Vec<()>, Recorded> =
                    makers.into_iter().map(|maker| maker.join().expect("a maker")).collect();
                over.store(true, Ordering::Relaxed);
                made.map(drop)
            });
            let mut kills = 0;
            while !over.load(Ordering::Relaxed) {
                let step = &steps[kills];
                match probe.status() {
                    Ok(status) if is_there(step, &status, &[]) => {
                        ledger.begins(step);
                        inject(step, &status, &[], cctl);
                    }
                    // It is on its way back from the last kill.
                    Ok(_) => {}
                    Err(trouble) => {
                        ledger.wrong(Wrong::Recovery, 1, format_args!("the supervisor: {trouble:?}"));
                    }
                }
                kills += 1;
                sleep(BEAT);
            }
            (watch.join().expect("a watcher"), kills)
        });
        self.kills += kills;
        made
    }

    fn has_not_grown(&self) -> Result<(), Recorded> {
        // After a few containers, a process may have been so young that it had not used yet what every one uses.
        let slack = if self.containers < 200 { 4096 } else { 512 };
        for (name, early) in &self.early {
            let late = self.late.get(name).unwrap_or(early);
            if late.pss > early.pss + early.pss / 4 + slack || late.descriptors > early.descriptors + 8 {
                let what = format_args!("{name} has grown from {early:?} to {late:?}");
                return Err(self.ledger.wrong(Wrong::Memory, 1, what));
            }
        }
        Ok(())
    }

    pub(crate) fn name(&self) -> String {
        format!("churn-{}", self.seed)
    }

    pub(crate) fn report(&self) -> String {
        let mut text = format!("churn: seed {}, {:.0} s\n\n", self.seed, self.ledger.elapsed().as_secs_f64());
        writeln!(text, "containers            {} made and removed", self.containers).expect("a string");
        writeln!(text, "kills                 {} beats, {} restarts", self.kills, self.restarts).expect("a string");
        text + &report::users(&self.ledger) + "\n" + &report::memory(&self.early, &self.late)
    }
}

/// Makes containers until all numbers are used up.
fn make(mut user: User, next: &AtomicUsize, end: usize) -> Result<(), Recorded> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end || user.ledger.has_ended() {
            return Ok(());
        }
        let (name, said) = (format!("churn-{number}"), format!("{number}\n"));
        let line = format!("{name}\n");
        match user.random.below(4) {
            0 => {
                user.ask(&["create", "--name", &name, "base", "true"])?;
                user.expect(&["rm", &name], 0, &line)?;
            }
            1 => {
                user.ask(&["run", "-d", "--name", &name, "-p", "80", "base", "sleep", "600"])?;
                user.expect(&["rm", "-f", &name], 0, &line)?;
            }
            _ => user.expect(&["run", "--rm", "base", "echo", &number.to_string()], 0, &said)?,
        }
    }
}

/// What our processes use when all is quiet.
fn measure(probe: &Probe) -> BTreeMap<String, Used> {
    let status = eventually("all are ready", || {
        probe.ask(&SERVICES).iter().all(|(_, answer)| answer.is_ok()).then_some(())?;
        let status = probe.status().ok()?;
        status.iter().all(|row| row.state == schema::supervisor::State::Ready).then_some(status)
    });
    memory::measure(&status)
}
