//! What is done to whom, and when: a function of the seed.

use harness::Random;
use std::fmt;
use std::time::Duration;

/// The services, as the manifest names them.
pub(crate) const SERVICES: [&str; 6] =
    ["image-store", "filesystem", "network", "executor", "log-collector", "containers"];

/// To whom something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Service(&'static str),
    Supervisor,
    Keeper,
    /// The monitor of one of the containers that stand through the run; the number chooses.
    Shim(u64),
    /// The supervisor and all services.
    All,
}

impl Target {
    /// What it is called in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Service(name) => name,
            Self::Supervisor => "supervisor",
            Self::Keeper => "keeper",
            Self::Shim(_) => "shim",
            Self::All => "all at once",
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and nobody lets it go on: the watchdog has to find out.
    Hang,
    /// SIGSTOP, and SIGCONT after a time that no watchdog minds.
    Pause(Duration),
    /// `cctl system restart`.
    Restart,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Counted from 1.
    pub(crate) number: usize,
    /// How long after the last one was recovered from.
    pub(crate) after: Duration,
    pub(crate) kind: Kind,
    /// Those to whom it is done at the same moment.
    pub(crate) targets: Vec<Target>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Kill => f.write_str("kill")?,
            Kind::Hang => f.write_str("hang")?,
            Kind::Pause(length) => write!(f, "pause for {} ms", length.as_millis())?,
            Kind::Restart => f.write_str("restart")?,
        }
        let names: Vec<&str> = self.targets.iter().map(|target| target.name()).collect();
        write!(f, " {}", names.join(" and "))
    }
}

/// How often what is done, of a hundred and so many faults.
pub(crate) struct Mix {
    pub(crate) kill: u64,
    pub(crate) kill_two: u64,
    pub(crate) hang: u64,
    pub(crate) pause: u64,
    pub(crate) restart: u64,
    /// Whose monitors are killed: those of this weight among the targets of kills.
    pub(crate) shim: u64,
    /// Supervisor, keeper, and all at once: likewise.
    pub(crate) trunk: u64,
    /// The mean time from one recovery to the next fault.
    pub(crate) pace: Duration,
}

/// The steps of a run in which so many processes or groups are killed; the other faults come on top.
pub(crate) fn plan(seed: u64, kills: usize, mix: &Mix) -> Vec<Step> {
    let mut random = Random::part(seed, 0);
    let mut steps = Vec::new();
    let mut killed = 0;
    while killed < kills {
        let two = *random.weighted(&[(mix.kill, false), (mix.kill_two, true)]) && killed + 1 < kills;
        let other = mix.hang + mix.pause + mix.restart;
        let (kind, targets) = if *random.weighted(&[(mix.kill + mix.kill_two, false), (other, true)]) {
            other_fault(mix, &mut random)
        } else if two {
            (Kind::Kill, two_services(&mut random))
        } else {
            (Kind::Kill, vec![victim(mix, &mut random)])
        };
        if kind == Kind::Kill {
            killed += targets.len();
        }
        let after = pause(mix.pace, &mut random);
        steps.push(Step { number: steps.len() + 1, after, kind, targets });
    }
    steps
}

/// One in eight comes at once, while others may be still at it.
fn pause(pace: Duration, random: &mut Random) -> Duration {
    let bound = u64::try_from(pace.as_micros()).expect("a short time") * 2;
    if random.below(8) == 0 { Duration::ZERO } else { Duration::from_micros(random.between(0, bound)) }
}

fn service(random: &mut Random) -> &'static str {
    SERVICES[usize::try_from(random.below(6)).expect("below 6")]
}

fn two_services(random: &mut Random) -> Vec<Target> {
    let first = service(random);
    loop {
        let second = service(random);
        if second != first {
            return vec![Target::Service(first), Target::Service(second)];
        }
    }
}

fn victim(mix: &Mix, random: &mut Random) -> Target {
    let (number, name) = (random.draw(), service(random));
    *random.weighted(&[
        (12, Target::Service(name)),
        (mix.trunk, Target::Supervisor),
        (mix.trunk, Target::Keeper),
        (mix.trunk, Target::All),
        (mix.shim, Target::Shim(number)),
    ])
}

fn other_fault(mix: &Mix, random: &mut Random) -> (Kind, Vec<Target>) {
    let length = Duration::from_millis(random.between(1, 400));
    let (number, name) = (random.draw(), service(random));
    let kind =
        *random.weighted(&[(mix.hang, Kind::Hang), (mix.pause, Kind::Pause(length)), (mix.restart, Kind::Restart)]);
    let target = match kind {
        // Nobody above the keeper would find out that it hangs, and a monitor is nobody's service.
        Kind::Hang => *random.weighted(&[(6, Target::Service(name)), (mix.trunk.min(1), Target::Supervisor)]),
        Kind::Pause(_) => *random.weighted(&[
            (6, Target::Service(name)),
            (1, Target::Supervisor),
            (1, Target::Keeper),
            (2, Target::Shim(number)),
        ]),
        Kind::Kill | Kind::Restart => Target::Service(name),
    };
    (kind, vec![target])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIX: Mix = Mix {
        kill: 80,
        kill_two: 10,
        hang: 2,
        pause: 4,
        restart: 4,
        shim: 0,
        trunk: 1,
        pace: Duration::from_millis(100),
    };

    fn killed(steps: &[Step]) -> usize {
        steps.iter().filter(|step| step.kind == Kind::Kill).map(|step| step.targets.len()).sum()
    }

    #[test]
    fn a_seed_gives_the_same_plan_again() {
        assert_eq!(plan(5, 300, &MIX), plan(5, 300, &MIX));
        assert_ne!(plan(5, 300, &MIX), plan(6, 300, &MIX));
        // A longer run begins as the shorter does, but for the end of that.
        assert_eq!(plan(5, 300, &MIX)[..200], plan(5, 500, &MIX)[..200]);
    }

    #[test]
    fn there_are_as_many_kills_as_asked_for() {
        for seed in 0..50 {
            assert_eq!(killed(&plan(seed, 61, &MIX)), 61);
        }
    }

    #[test]
    fn nothing_is_left_out() {
        let steps = plan(1, 2000, &MIX);
        let wanted = SERVICES.map(Target::Service).into_iter().chain([Target::Supervisor, Target::Keeper, Target::All]);
        for target in wanted {
            assert!(steps.iter().any(|step| step.kind == Kind::Kill && step.targets == [target]), "{target:?}");
        }
        assert!(steps.iter().any(|step| step.kind == Kind::Hang));
        assert!(steps.iter().any(|step| step.kind == Kind::Restart));
        assert!(steps.iter().any(|step| matches!(step.kind, Kind::Pause(_))));
        assert!(steps.iter().any(|step| step.targets.len() == 2));
        let has_shims = |steps: &[Step]| {
            steps.iter().any(|step| step.kind == Kind::Kill && matches!(step.targets[..], [Target::Shim(_)]))
        };
        assert!(!has_shims(&steps));
        assert!(has_shims(&plan(1, 2000, &Mix { shim: 1, ..MIX })));
    }
}
