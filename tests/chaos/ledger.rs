//! What happened, and what must not have: shared by everybody who takes part in a run.

use crate::plan::Step;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What must not happen, as the table counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wrong {
    /// A command's exit code or output is not the right one, or it does not end.
    Command,
    /// A container is not what it was, or ended as it should not have.
    Container,
    /// Lines that a reader never got.
    Lost,
    /// Lines that a reader got again.
    Repeated,
    /// A connection to a published port was reset, refused, or answered wrongly.
    Connection,
    /// A service did not come back.
    Recovery,
    /// Something is left on the host.
    Leak,
    /// A process of ours has grown.
    Memory,
}

/// Something went wrong, and is in the ledger: whoever sees this gives up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded;

/// The book of one run.
pub(crate) struct Ledger {
    started: Instant,
    step: AtomicUsize,
    stop: AtomicBool,
    commands: AtomicUsize,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    counts: BTreeMap<Wrong, usize>,
    complaints: Vec<String>,
    timeline: Vec<String>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            step: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            commands: AtomicUsize::new(0),
            book: Mutex::default(),
        }
    }

    /// A fault follows.
    pub(crate) fn begins(&self, step: &Step) {
        self.step.store(step.number, Ordering::Relaxed);
        self.note(format_args!("step {}: {step}", step.number));
    }

    /// A command of a user has ended.
    pub(crate) fn command(&self) {
        self.commands.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn commands(&self) -> usize {
        self.commands.load(Ordering::Relaxed)
    }

    /// Writes down what happens, for those who look for the cause of what went wrong.
    pub(crate) fn note(&self, what: impl Display) {
        let line = format!("{} {what}", self.now());
        self.book.lock().unwrap().timeline.push(line);
    }

    /// Something went wrong `count` times. Nothing more is begun after the first.
    pub(crate) fn wrong(&self, wrong: Wrong, count: usize, what: impl Display) -> Recorded {
        let line = format!("{} after step {}: {what}", self.now(), self.step.load(Ordering::Relaxed));
        let mut book = self.book.lock().unwrap();
        book.timeline.push(format!("{line} (WRONG: {wrong:?})"));
        *book.counts.entry(wrong).or_default() += count;
        book.complaints.push(line);
        self.end();
        Recorded
    }

    /// Everybody shall come to an end.
    pub(crate) fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, wrong: Wrong) -> usize {
        self.book.lock().unwrap().counts.get(&wrong).copied().unwrap_or_default()
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        self.book.lock().unwrap().complaints.clone()
    }

    pub(crate) fn timeline(&self) -> String {
        self.book.lock().unwrap().timeline.join("\n") + "\n"
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Seconds since the start, and the wall clock in seconds of the day, as in the logs of the services.
    fn now(&self) -> String {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let day = since.as_secs() % 86_400;
        let (hours, minutes, seconds) = (day / 3600, day / 60 % 60, day % 60);
        let elapsed = self.started.elapsed().as_secs_f64();
        format!("{hours:02}:{minutes:02}:{seconds:02}.{:03} {elapsed:9.3} s", since.subsec_millis())
    }
}
