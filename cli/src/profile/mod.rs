//! `--profile`: when each part of a command was done, by this client's own clock and by the logs of the services.
//!
//! [`mark`] notes the end of a phase, at next to no cost; [`Profile`] reads the logs when all is over. [`waterfall`] draws:
//! pure.

mod waterfall;

use crate::console;
use crate::engine::Engine;
use crate::journal::{Begin, Follower, Span, with_parents};
use schema::call::RequestId;
use schema::log_collector::Stream;
use schema::{Failure, Instance, supervisor};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Between two looks for what the services still have to log: a removal goes on behind the command's back.
const LOOK: Duration = Duration::from_millis(50);
/// So many looks at most.
const LOOKS: usize = 20;

/// What this client does, by what it has then done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The process runs.
    Begun,
    /// The command line is understood, and all that it names was read.
    Read,
    /// A container is recorded.
    Created,
    /// A process runs.
    Started,
    /// It has ended, and all its output was written.
    Exited,
    /// What was to be removed with its client is gone.
    Removed,
}

/// Nanoseconds since the Unix epoch.
type Time = i128;

static MARKS: Mutex<Vec<(Phase, Time)>> = Mutex::new(Vec::new());

/// Notes that a phase has just ended.
pub(crate) fn mark(phase: Phase) {
    // A clock before 1970 gives no profile.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    MARKS.lock().unwrap_or_else(PoisonError::into_inner).push((phase, Time::try_from(now).unwrap_or_default()));
}

/// Does a command; with `wanted`, shows then on stderr how it went.
pub(crate) async fn shown<T>(engine: &Engine, wanted: bool, command: impl Future<Output = T>) -> T {
    let profile = wanted.then(|| Profile::begin(&engine.instance));
    let answer = command.await;
    if let Some(profile) = profile {
        profile.show().await;
    }
    answer
}

/// The logs of the services, from a moment on.
struct Profile {
    followers: Vec<(&'static str, Follower)>,
}

impl Profile {
    fn begin(instance: &Instance) -> Self {
        let processes = schema::SERVICES.into_iter().chain([supervisor::SERVICE]);
        let follower = |process| (process, Follower::new(instance.log(process), Begin::End));
        Self { followers: processes.map(follower).collect() }
    }

    /// Draws what there is.
    async fn show(mut self) {
        let command = RequestId::fresh().command();
        let marks = MARKS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut spans = Vec::new();
        for look in 0..LOOKS {
            match self.look(&command) {
                Ok(new) if new.is_empty() && look > 0 => break,
                Ok(new) => spans.extend(new),
                Err(failure) => {
                    let failure = failure.context("the profile is without the calls of the services");
                    console::complain(&failure.hint("their logs are for root alone: run this as root"));
                    break;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        with_parents(&mut spans);
        let picture = waterfall::picture(&command, &waterfall::bars(&marks, &spans));
        // If stderr is gone, nobody wants it.
        let _ = console::write(Stream::Stderr, picture.as_bytes());
    }

    /// Calls of this command that were answered since the last look.
    fn look(&mut self, command: &str) -> Result<Vec<Span>, Failure> {
        let mut spans = Vec::new();
        for (process, follower) in &mut self.followers {
            let records = follower.read()?;
            let own = records.iter().filter_map(|record| Span::of(process, record));
            spans.extend(own.filter(|span| span.request.starts_with(command)));
        }
        Ok(spans)
    }
}
