//! What runs as a service on trial, before it is believed: which event leads to which verdict. Pure.

use crate::launch::Plan;
use std::time::{Duration, Instant};

/// How long it has to have been ready.
pub(crate) const PROBATION: Duration = Duration::from_secs(2);
/// How often it may end before: somebody may have killed it.
const ENDS: u32 = 3;

/// A trial that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trial {
    /// What is tried.
    pub(crate) plan: Plan,
    /// What was there before.
    pub(crate) previous: Plan,
    /// It has to be ready by then.
    deadline: Instant,
    /// Whether the first process of it was started.
    begun: bool,
    ends: u32,
}

impl Trial {
    /// A trial that begins now.
    pub(crate) fn new(plan: Plan, previous: Plan, now: Instant) -> Self {
        let deadline = now + plan.definition.start_timeout;
        Self { plan, previous, deadline, begun: false, ends: 0 }
    }

    /// A process is being started.
    pub(crate) fn starts(&mut self) {
        self.begun = true;
    }

    /// A process has ended, or could not be started. Whether that is enough: the program is no good.
    pub(crate) fn ended(&mut self, now: Instant) -> bool {
        if !self.begun {
            // The process of before, that made room.
            return false;
        }
        self.ends += 1;
        self.ends >= ENDS || now >= self.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Definition, Manifest};

    #[test]
    fn a_program_may_end_twice_but_not_be_late() {
        let now = Instant::now();
        let limit = Duration::from_secs(30);
        let definition = Manifest::load(None).unwrap().services.remove(0);
        let plan = Plan { definition: Definition { start_timeout: limit, ..definition }, replacement: None };
        let mut trial = Trial::new(plan.clone(), plan.clone(), now);
        assert!(!trial.ended(now), "the one before");
        trial.starts();
        assert_eq!([trial.ended(now), trial.ended(now), trial.ended(now)], [false, false, true]);
        let mut late = Trial::new(plan.clone(), plan, now);
        late.starts();
        assert!(late.ended(now + limit));
    }
}
