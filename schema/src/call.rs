//! What goes with every method: whose request it is, and how long the caller waits.

use crate::bindings::common_capnp::call;
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

impl RequestId {
    /// A new random one.
    pub fn random() -> Self {
        // The standard library seeds each hasher state from the system's randomness.
        Self(std::hash::RandomState::new().hash_one(std::process::id()))
    }
}

impl Call {
    /// A new request that may take `limit`.
    pub fn within(limit: Duration) -> Self {
        Self { request: RequestId::random(), deadline: Instant::now().checked_add(limit) }
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

    pub(crate) fn read(reader: capnp::Result<call::Reader<'_>>) -> Result<Self, crate::Failure> {
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
