//! How often each method of this process was called, how its answers ended, and how long they took.
//!
//! The supervisor hears of it by the messages of sd_notify(3) in which a service says that it is alive: [`note`] is one
//! of their lines, and [`read_note`] reads it.

use crate::access::{METHODS, Recorded};
use crate::{Code, Failure};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Calls that took at most so many milliseconds are counted together; longer ones are, too.
pub const BOUNDS_MS: [u64; 7] = [1, 4, 16, 64, 256, 1024, 4096];
const BUCKETS: usize = BOUNDS_MS.len() + 1;

/// The assignment of sd_notify(3) that tells of one method.
pub const NOTE: &str = "X_CCTL_CALLS";
/// The assignment that tells how many connections are served.
pub const CONNECTIONS: &str = "X_CCTL_CONNECTIONS";

/// Methods that change nothing, and those that carry a part of something: called again and again, and not worth a line each.
/// By the names that spans have.
static LOOKS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let all = METHODS.iter().flat_map(|(_, methods)| methods.iter());
    let looks = all.filter(|method| matches!(method.recorded, Recorded::No | Recorded::Beginning));
    looks.map(|method| spanned(method.name)).collect()
});

/// `containers.execWait` is `containers.exec_wait` in Rust.
fn spanned(name: &str) -> String {
    let mut spanned = String::with_capacity(name.len() + 2);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            spanned.push('_');
        }
        spanned.push(character.to_ascii_lowercase());
    }
    spanned
}

/// Calls of one method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Answered with what was asked for.
    pub answered: u64,
    /// Answered with a failure that is the caller's or the object's.
    pub refused: u64,
    /// Answered with any other failure.
    pub failed: u64,
    /// Not waited for by their callers.
    pub dropped: u64,
    /// How long they took together, nanoseconds.
    pub total_ns: u64,
    /// By how long they took: [`BOUNDS_MS`], and longer.
    pub durations: [u64; BUCKETS],
}

thread_local! {
    /// All methods are answered by the thread that serves.
    static COUNTS: RefCell<BTreeMap<&'static str, Count>> = const { RefCell::new(BTreeMap::new()) };
}

/// What was called so far on this thread, in the order of the names.
pub fn counts() -> Vec<(&'static str, Count)> {
    COUNTS.with_borrow(|counts| counts.iter().map(|(method, count)| (*method, *count)).collect())
}

/// One line about a method: see the head of this module.
pub fn note(method: &str, count: &Count) -> String {
    let Count { answered, refused, failed, dropped, total_ns, durations } = count;
    let mut line = format!("{NOTE}={method} {answered} {refused} {failed} {dropped} {total_ns}");
    for number in durations {
        line.push_str(&format!(" {number}"));
    }
    line
}

/// What [`note`] has written, without the name of the assignment; none if it is anything else.
pub fn read_note(text: &str) -> Option<(&str, Count)> {
    let mut words = text.split(' ');
    let method = words.next().filter(|method| is_name(method))?;
    let mut next = || words.next()?.parse().ok();
    let mut count = Count {
        answered: next()?,
        refused: next()?,
        failed: next()?,
        dropped: next()?,
        total_ns: next()?,
        durations: [0; BUCKETS],
    };
    for number in &mut count.durations {
        *number = next()?;
    }
    words.next().is_none().then_some((method, count))
}

/// The name of a method, as it is shown to people and to programs.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether a method is one of those.
pub(crate) fn looks(method: &str) -> bool {
    LOOKS.contains(method)
}

/// A call that is being answered; dropped before its end if nobody waits any more.
pub(crate) struct Running {
    method: &'static str,
    begun: Instant,
    outcome: fn(&mut Count) -> &mut u64,
}

impl Running {
    /// Begins to count.
    pub(crate) fn begin(method: &'static str) -> Self {
        Self { method, begun: Instant::now(), outcome: |count| &mut count.dropped }
    }

    /// There is an answer. How long it took.
    pub(crate) fn end<T>(mut self, answer: &Result<T, Failure>) -> Duration {
        self.outcome = match answer {
            Ok(_) => |count| &mut count.answered,
            Err(failure) if is_refusal(failure.code) => |count| &mut count.refused,
            Err(_) => |count| &mut count.failed,
        };
        self.begun.elapsed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        COUNTS.with_borrow_mut(|counts| {
            let count = counts.entry(self.method).or_default();
            *(self.outcome)(count) += 1;
            count.total_ns = count.total_ns.saturating_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            let bucket = BOUNDS_MS.iter().position(|bound| took <= Duration::from_millis(*bound));
            count.durations[bucket.unwrap_or(BUCKETS - 1)] += 1;
        });
    }
}

/// Whether a failure says something of the request or of its object, and nothing of the service.
fn is_refusal(code: Code) -> bool {
    match code {
        Code::NotFound
        | Code::AlreadyExists
        | Code::Conflict
        | Code::InvalidArgument
        | Code::PermissionDenied
        | Code::Unimplemented
        | Code::NotExecutable
        | Code::CommandNotFound => true,
        Code::Internal
        | Code::ResourceExhausted
        | Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Corrupt
        | Code::SandboxLost => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn end(answer: Result<(), Failure>) {
        Running::begin("a.b").end(&answer);
    }

    #[test]
    fn every_end_is_counted_once() {
        end(Ok(()));
        end(Ok(()));
        end(Err(Failure::not_found("x")));
        end(Err(Failure::internal("x")));
        drop(Running::begin("a.b"));
        let counts = counts();
        let [("a.b", count)] = counts[..] else { panic!("{counts:?}") };
        assert_eq!((count.answered, count.refused, count.failed, count.dropped), (2, 1, 1, 1));
        assert_eq!(count.durations.iter().sum::<u64>(), 5);
    }

    #[test]
    fn what_looks_follows_from_what_is_recorded() {
        for name in ["containers.list", "containers.exec_wait", "image-store.upload", "log-collector.input.write"] {
            assert!(looks(name), "{name}");
        }
        for name in ["containers.start", "image-store.pull", "log-collector.open_input", "containers.execWait"] {
            assert!(!looks(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_note_is_read_as_it_was_written(numbers: [u64; 13]) {
            let [answered, refused, failed, dropped, total_ns, durations @ ..] = numbers;
            let count = Count { answered, refused, failed, dropped, total_ns, durations };
            let line = note("log-collector.open_input", &count);
            let text = line.strip_prefix(NOTE).and_then(|rest| rest.strip_prefix('=')).unwrap();
            prop_assert_eq!(read_note(text), Some(("log-collector.open_input", count)));
        }

        #[test]
        fn any_text_is_read(text in ".*") {
            read_note(&text);
        }
    }
}
