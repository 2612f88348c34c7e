//! The life of a container, as a pure state machine.
//!
//! ```text
//!                                             paused <─ pause, unpause ─┐
//! created ──┐                                    └────── stop, ended ──┐ │
//!           ├─ start ─> starting ─ started ─> running ─ stop ─> stopping │
//! exited ───┤   ^           │                  └─ ended ─┬─ ended ─┘
//!    ^      │ start         └───────── failed ──────────>│
//!    │ restarting <──────────── retry ───────────────────┤
//!    ├──── cancel                                        │
//!    └────────────────── cleaned ────────────────── ending
//!
//! created, ending, exited ── remove ─> removing
//! ```

use schema::containers::State;
use serde::{Deserialize, Serialize};

/// Where a container is in its life. [`State`] is what its clients see of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Recorded, never run: nothing but the record exists.
    Created,
    /// The workers are building its sandbox.
    Starting,
    /// PID 1 runs.
    Running,
    /// PID 1 runs, and a user had all processes stopped where they are.
    Paused,
    /// PID 1 runs and is to end.
    Stopping,
    /// The run is over, and so is the need for its sandbox and network, which may still exist.
    Ending,
    /// Nothing but the record, the writable layer and the log exists.
    Exited,
    /// As exited, until its restart policy starts it again.
    Restarting,
    /// All of it is to go.
    Removing,
}

/// What can happen to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Its start was asked for.
    Start,
    /// PID 1 runs.
    Started,
    /// It could not be started.
    Failed,
    /// A user wants its processes stopped where they are.
    Pause,
    /// And wants them to go on.
    Unpause,
    /// Its end was asked for.
    Stop,
    /// PID 1 has ended.
    Ended,
    /// Sandbox and network are gone.
    Cleaned,
    /// Sandbox and network are gone, and its restart policy will start it again.
    Retry,
    /// Its restart policy will not start it again after all.
    Cancel,
    /// Its removal was asked for.
    Remove,
    /// After a restart of this service: a run was found of which the record does not know.
    Found,
    /// After a restart of this service: a sandbox without a run was found of which the record does not know.
    Stray,
}

impl Phase {
    /// The phase after an event; none if the event cannot happen in this phase.
    pub(crate) fn after(self, event: Event) -> Option<Self> {
        use Phase::{Created, Ending, Exited, Paused, Removing, Restarting, Running, Starting, Stopping};
        Some(match (self, event) {
            (Created | Exited | Restarting, Event::Start) => Starting,
            (Starting, Event::Started) | (Created | Exited | Restarting, Event::Found) => Running,
            (Starting, Event::Failed) | (Running | Paused | Stopping, Event::Ended) => Ending,
            (Created | Exited | Restarting, Event::Stray) => Ending,
            (Running, Event::Pause) => Paused,
            (Paused, Event::Unpause) => Running,
            (Running | Paused, Event::Stop) => Stopping,
            (Ending, Event::Cleaned) | (Restarting, Event::Cancel) => Exited,
            (Ending | Exited, Event::Retry) => Restarting,
            (Created | Ending | Exited, Event::Remove) => Removing,
            _ => return None,
        })
    }

    /// What clients see.
    pub(crate) fn state(self) -> State {
        match self {
            Self::Created => State::Created,
            Self::Starting => State::Starting,
            Self::Running => State::Running,
            Self::Paused => State::Paused,
            Self::Stopping => State::Stopping,
            Self::Ending | Self::Exited => State::Exited,
            Self::Restarting => State::Restarting,
            Self::Removing => State::Removing,
        }
    }

    /// Whether PID 1 runs, as far as we know.
    pub(crate) fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Stopping)
    }
}

/// All phases.
#[cfg(test)]
pub(crate) const PHASES: [Phase; 9] = [
    Phase::Created,
    Phase::Starting,
    Phase::Running,
    Phase::Paused,
    Phase::Stopping,
    Phase::Ending,
    Phase::Exited,
    Phase::Restarting,
    Phase::Removing,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVENTS: [Event; 13] = [
        Event::Start,
        Event::Started,
        Event::Failed,
        Event::Pause,
        Event::Unpause,
        Event::Stop,
        Event::Ended,
        Event::Cleaned,
        Event::Retry,
        Event::Cancel,
        Event::Remove,
        Event::Found,
        Event::Stray,
    ];

    /// Runs events that are possible, skips the others; gives each step.
    fn run(events: &[Event]) -> Vec<(Phase, Event, Phase)> {
        let mut phase = Phase::Created;
        let mut steps = Vec::new();
        for event in events {
            if let Some(next) = phase.after(*event) {
                steps.push((phase, *event, next));
                phase = next;
            }
        }
        steps
    }

    proptest! {
        #[test]
        fn what_runs_was_started_and_is_cleaned_before_it_starts_again(
            events in prop::collection::vec(prop::sample::select(&EVENTS[..]), 0..64)
        ) {
            let (mut sandbox, mut process) = (false, false);
            for (from, event, to) in run(&events) {
                match event {
                    Event::Start => {
                        prop_assert!(!sandbox && !process, "{from:?} starts with leftovers");
                        sandbox = true;
                    }
                    Event::Started | Event::Found => (sandbox, process) = (true, true),
                    Event::Ended | Event::Failed => process = false,
                    Event::Stray => sandbox = true,
                    Event::Cleaned | Event::Retry => sandbox = false,
                    Event::Pause | Event::Unpause | Event::Stop | Event::Cancel | Event::Remove => {}
                }
                prop_assert_eq!(process, to.is_running());
                prop_assert!(!process || event != Event::Remove);
                if matches!(to, Phase::Created | Phase::Exited | Phase::Restarting) {
                    prop_assert!(!sandbox);
                }
            }
        }

        #[test]
        fn every_phase_leads_to_removal_and_none_leads_back(
            events in prop::collection::vec(prop::sample::select(&EVENTS[..]), 0..32)
        ) {
            let phase = run(&events).last().map_or(Phase::Created, |step| step.2);
            let way_out = [Event::Started, Event::Ended, Event::Cancel, Event::Remove];
            let end = way_out.iter().fold(phase, |now, event| now.after(*event).unwrap_or(now));
            prop_assert_eq!(end, Phase::Removing);
            for event in EVENTS {
                prop_assert_eq!(Phase::Removing.after(event), None);
            }
        }
    }

    #[test]
    fn clients_see_a_run_that_ended_as_exited() {
        let running = PHASES.into_iter().filter(|phase| phase.is_running()).collect::<Vec<_>>();
        assert_eq!(running, [Phase::Running, Phase::Paused, Phase::Stopping]);
        assert_eq!(Phase::Ending.state(), State::Exited);
        assert_eq!(Phase::Exited.state(), State::Exited);
    }
}
