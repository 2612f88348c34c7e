//! What goes with every method: whose request it is, and how long the caller waits.

use crate::Failure;
use crate::bindings::common_capnp::call;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, hash::BuildHasher};

const UNBOUNDED: u32 = u32::MAX;

/// One user's request, on its way through the processes. Pass it on, unchanged, to every call that is made
/// for that request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Identifies the request in every trace line, and lets a method recognise its repetition.
    pub request: RequestId,
    /// When the caller stops waiting; none: never.
    pub deadline: Option<Instant>,
}

/// The number of a request, shown as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Digits that all requests of one command have in common.
const COMMAND_DIGITS: usize = 10;
/// Bits in which they differ.
const OWN_BITS: u32 = 24;

/// The command that this process carries out, in the upper bits, if it is one.
static COMMAND: OnceLock<u64> = OnceLock::new();
/// Requests that it has made.
static MADE: AtomicU64 = AtomicU64::new(0);

/// From now on, all requests of this process begin with the same ten digits: those of one command of a user. They are
/// random, or `digits`, up to ten hexadecimal ones, if the caller wants to find it again. Fails if they are not.
pub fn begin_command(digits: Option<&str>) -> Result<(), Failure> {
    let upper = match digits {
        None => RequestId::random().0 >> OWN_BITS,
        Some(digits) => u64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| digits.len() <= COMMAND_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or_else(|| {
                Failure::invalid(format_args!("{digits:?} is not the number of a request"))
                    .hint(format_args!("it has 1 to {COMMAND_DIGITS} hexadecimal digits"))
            })?,
    };
    // A process is one command only.
    let _ = COMMAND.set(upper << OWN_BITS);
    Ok(())
}

impl RequestId {
    /// A new one: of this process's command, if it has one, else random.
    pub fn fresh() -> Self {
        match COMMAND.get() {
            Some(command) => Self(command | (MADE.fetch_add(1, Ordering::Relaxed) & ((1 << OWN_BITS) - 1))),
            None => Self::random(),
        }
    }

    /// The digits that it has in common with all other requests of its command.
    pub fn command(self) -> String {
        let mut digits = self.to_string();
        digits.truncate(COMMAND_DIGITS);
        digits
    }

    /// A new random one.
    pub fn random() -> Self {
        // The standard library seeds each hasher state from the system's randomness.
        Self(std::hash::RandomState::new().hash_one(std::process::id()))
    }
}

impl Call {
    /// A new request that may take `limit`.
    pub fn within(limit: Duration) -> Self {
        Self { request: RequestId::fresh(), deadline: Instant::now().checked_add(limit) }
    }

    /// The same request, with nobody waiting in vain: for long polls and for work that must be finished.
    #[must_use]
    pub fn unbounded(self) -> Self {
        Self { deadline: None, ..self }
    }

    /// The same request, with a limit of its own.
    #[must_use]
    pub fn limited(self, limit: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(limit), ..self }
    }

    /// How long the caller still waits; none: without bound.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// A tracing span for work on this request: every line in it carries the request's id.
    pub fn span(&self, method: &'static str) -> tracing::Span {
        tracing::info_span!("call", request = %self.request, method)
    }

    pub(crate) fn read(reader: capnp::Result<call::Reader<'_>>) -> Result<Self, Failure> {
        let reader = reader?;
        let deadline = match reader.get_deadline_ms() {
            UNBOUNDED => None,
            ms => Instant::now().checked_add(Duration::from_millis(ms.into())),
        };
        Ok(Self { request: RequestId(reader.get_request()), deadline })
    }

    pub(crate) fn write(&self, mut builder: call::Builder<'_>) {
        builder.set_request(self.request.0);
        builder.set_deadline_ms(
            self.remaining().map_or(UNBOUNDED, |left| u32::try_from(left.as_millis()).unwrap_or(UNBOUNDED - 1)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_one_command_are_alike_and_differ() {
        assert_ne!(RequestId::fresh().command(), RequestId::fresh().command());
        for wrong in ["", "+1", "12345678901", "g", " 1"] {
            assert!(begin_command(Some(wrong)).is_err(), "{wrong:?}");
        }
        begin_command(Some("abc")).unwrap();
        let (first, second) = (RequestId::fresh(), RequestId::fresh());
        assert_ne!(first, second);
        assert_eq!((first.command(), second.command()), ("0000000abc".to_owned(), "0000000abc".to_owned()));
    }
}
