//! The life of a service: which event leads to which state and action. Pure; the actor carries the actions out.

use crate::manifest::Definition;
use crate::restart::{Decision, History, Policy};
use crate::silence::{Activity, Leniency, Look, Usage, Verdict, judge};
use schema::supervisor::State as Shown;
use std::time::{Duration, Instant};

/// What the actor has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a process. There is none.
    Start,
    /// Kill the process.
    Kill,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Starting {
        /// It has to be ready by then.
        deadline: Instant,
        /// When it is looked at next; it was stopped at the last look.
        next: Instant,
        stopped: bool,
    },
    Ready {
        since: Instant,
        /// The last sign of life, and what the process had used then.
        heard: Instant,
        usage: Usage,
        deadline: Instant,
    },
    Draining(Then),
    Backoff {
        until: Instant,
    },
    Failed,
    Stopped,
}

/// What follows when a process that is being ended has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Then {
    Start,
    /// The watchdog killed it, after it had served for so long.
    Judge(Option<Duration>),
    Stop,
}

/// The state of one service, and what is remembered of its past.
#[derive(Clone, Debug)]
pub(crate) struct Lifecycle {
    watchdog: Duration,
    start_timeout: Duration,
    policy: Policy,
    history: History,
    /// Grows when it does not help to kill processes that are silent.
    leniency: Leniency,
    state: State,
    starts: u32,
    last_error: String,
}

impl Lifecycle {
    /// Before the first start: a process of the service may be left from an earlier supervisor. When none is,
    /// [`ended`](Self::ended) starts the first.
    pub(crate) fn new(definition: &Definition) -> Self {
        Self {
            watchdog: definition.watchdog,
            start_timeout: definition.start_timeout,
            policy: definition.restart,
            history: History::default(),
            leniency: Leniency::default(),
            state: State::Draining(Then::Start),
            starts: 0,
            last_error: String::new(),
        }
    }

    /// From now on it is defined in another way.
    pub(crate) fn redefine(&mut self, definition: &Definition) {
        (self.watchdog, self.start_timeout, self.policy) =
            (definition.watchdog, definition.start_timeout, definition.restart);
    }

    /// No process of the service is left, for this reason; also when one could not be started.
    pub(crate) fn ended(&mut self, reason: String, now: Instant) -> Option<Action> {
        match self.state {
            State::Starting { .. } => self.judge(None, reason, now),
            State::Ready { since, .. } => self.judge(Some(now.saturating_duration_since(since)), reason, now),
            State::Draining(Then::Start) => self.start(now),
            State::Draining(Then::Judge(served)) => {
                let reason = std::mem::take(&mut self.last_error);
                self.judge(served, reason, now)
            }
            State::Draining(Then::Stop) => {
                self.state = State::Stopped;
                None
            }
            State::Backoff { .. } | State::Failed | State::Stopped => None,
        }
    }

    /// The process says that it serves. By now it has used so much.
    pub(crate) fn ready(&mut self, now: Instant, usage: Usage) {
        if matches!(self.state, State::Starting { .. }) {
            self.state = State::Ready { since: now, heard: now, usage, deadline: now + self.watchdog };
        }
    }

    /// The process says that it is alive. By now it has used so much.
    pub(crate) fn alive(&mut self, now: Instant, used: Usage) {
        if let State::Ready { heard, usage, deadline, .. } = &mut self.state {
            (*heard, *usage, *deadline) = (now, used, now + self.watchdog);
        }
    }

    /// When [`tick`](Self::tick) is to be called, if nothing else happens before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Starting { deadline, next, .. } => Some(deadline.min(next)),
            State::Ready { deadline, .. } => Some(deadline),
            State::Backoff { until } => Some(until),
            State::Draining(_) | State::Failed | State::Stopped => None,
        }
    }

    /// Time has passed, and this is what the process looks like; none if there is no process, or it is just ending.
    pub(crate) fn tick(&mut self, now: Instant, look: Option<Look>) -> Option<Action> {
        let asked = self.deadline().filter(|deadline| now >= *deadline)?;
        // If we ourselves did not get to run in time, the process may not have either.
        let late = now.saturating_duration_since(asked) > self.watchdog / 4;
        match &mut self.state {
            State::Backoff { .. } => self.start(now),
            State::Starting { deadline, next, .. } if late => {
                (*deadline, *next) = (now.max(*deadline), now + self.watchdog);
                if now >= *deadline {
                    *deadline = now + self.start_timeout;
                }
                None
            }
            State::Starting { deadline, .. } if now >= *deadline => {
                let complaint = format!("was not ready for {:?}: killed", self.start_timeout);
                self.give_up_on(complaint, None)
            }
            // It has said nothing yet and owes nothing but progress: only that it is stopped is certain.
            State::Starting { next, stopped, .. } => {
                let again = look.is_some_and(|look| look.activity == Activity::Stopped);
                if again && *stopped {
                    return self.give_up_on("it is stopped before it was ready: killed".to_owned(), None);
                }
                (*next, *stopped) = (now + self.watchdog / 2, again);
                None
            }
            State::Ready { deadline, .. } if late => {
                *deadline = now + self.watchdog;
                None
            }
            State::Ready { since, heard, usage, deadline } => {
                let silent = now.saturating_duration_since(*heard);
                let limit = self.leniency.limit(self.watchdog, look, now);
                match judge(limit, silent, *usage, look) {
                    Verdict::Wait(more) => {
                        // One that is stopped meanwhile is not given longer than usual.
                        *deadline = now + more.min(self.watchdog);
                        None
                    }
                    Verdict::Hangs(how) => {
                        self.leniency.killed(look, now);
                        let served = now.saturating_duration_since(*since);
                        let silent = Duration::from_millis(u64::try_from(silent.as_millis()).unwrap_or(u64::MAX));
                        let complaint = format!("gave no sign of life for {silent:?}, {how}: killed");
                        self.give_up_on(complaint, Some(served))
                    }
                }
            }
            State::Draining(_) | State::Failed | State::Stopped => None,
        }
    }

    /// A process that is to be killed, for this reason.
    fn give_up_on(&mut self, reason: String, served: Option<Duration>) -> Option<Action> {
        self.last_error = reason;
        self.state = State::Draining(Then::Judge(served));
        Some(Action::Kill)
    }

    /// Somebody asks for a new process, for this reason.
    pub(crate) fn restart(&mut self, why: &str, now: Instant) -> Option<Action> {
        if self.is_stopping() {
            return None;
        }
        self.history = History::default();
        why.clone_into(&mut self.last_error);
        match self.state {
            State::Starting { .. } | State::Ready { .. } => {
                self.state = State::Draining(Then::Start);
                Some(Action::Kill)
            }
            State::Draining(_) => {
                self.state = State::Draining(Then::Start);
                None
            }
            State::Backoff { .. } | State::Failed | State::Stopped => self.start(now),
        }
    }

    /// No process of the service is to run any more.
    pub(crate) fn stop(&mut self) -> Option<Action> {
        match self.state {
            State::Starting { .. } | State::Ready { .. } => {
                self.state = State::Draining(Then::Stop);
                Some(Action::Kill)
            }
            State::Draining(_) => {
                self.state = State::Draining(Then::Stop);
                None
            }
            State::Backoff { .. } | State::Failed | State::Stopped => {
                self.state = State::Stopped;
                None
            }
        }
    }

    /// How far it is, as the contract says it.
    pub(crate) fn shown(&self) -> Shown {
        match self.state {
            State::Starting { .. } => Shown::Starting,
            State::Ready { .. } => Shown::Ready,
            State::Draining(_) | State::Stopped => Shown::Draining,
            State::Backoff { .. } => Shown::Backoff,
            State::Failed => Shown::Failed,
        }
    }

    /// Whether it has been told to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self.state, State::Draining(Then::Stop) | State::Stopped)
    }

    /// Whether it has been told to stop, and has stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state == State::Stopped
    }

    /// Starts after the first.
    pub(crate) fn restarts(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    /// Why it was restarted last; empty if it never was.
    pub(crate) fn last_error(&self) -> &str {
        &self.last_error
    }

    fn start(&mut self, now: Instant) -> Option<Action> {
        self.starts = self.starts.saturating_add(1);
        self.state =
            State::Starting { deadline: now + self.start_timeout, next: now + self.watchdog / 2, stopped: false };
        Some(Action::Start)
    }

    fn judge(&mut self, served: Option<Duration>, reason: String, now: Instant) -> Option<Action> {
        self.last_error = reason;
        match self.history.judge(&self.policy, served, now) {
            Decision::GiveUp => {
                self.state = State::Failed;
                None
            }
            Decision::Restart(Duration::ZERO) => self.start(now),
            Decision::Restart(pause) => {
                self.state = State::Backoff { until: now + pause };
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
