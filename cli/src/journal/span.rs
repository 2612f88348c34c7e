//! Calls that a service has answered, by the lines that it has written of them.

use super::Record;
use jiff::Timestamp;
use schema::{containers, filesystem, image_store};
use serde_json::Value;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Hexadecimal digits of a request that all calls of one command have in common: `schema::call`.
pub(crate) const COMMAND: usize = 10;

/// A call that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) process: String,
    pub(crate) method: String,
    pub(crate) request: String,
    /// Nanoseconds since the Unix epoch.
    pub(crate) start: i128,
    pub(crate) end: i128,
    /// Why it failed.
    pub(crate) failure: Option<String>,
    /// Not zero.
    pub(crate) id: u64,
    /// The call that it was a part of.
    pub(crate) parent: Option<u64>,
}

impl Span {
    /// Of the line that a process has written when it had answered; none of other lines.
    pub(crate) fn of(process: &str, record: &Record) -> Option<Self> {
        let us = record.fields.get("us")?.as_u64()?;
        let of_call = |name: &str| Some(record.spans.last()?.get(name)?.as_str()?.to_owned());
        let (method, request) = (of_call("method")?, of_call("request")?);
        if request.len() < COMMAND || !request.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let end = record.timestamp.parse::<Timestamp>().ok()?.as_nanosecond();
        let failure = record.fields.get("failure").and_then(Value::as_str).map(str::to_owned);
        let mut hasher = DefaultHasher::new();
        (process, &method, &request, end, us).hash(&mut hasher);
        Some(Self {
            process: process.to_owned(),
            method,
            request,
            start: end - i128::from(us) * 1000,
            end,
            failure,
            // Zero is none.
            id: hasher.finish().max(1),
            parent: None,
        })
    }

    fn lasted(&self) -> i128 {
        self.end - self.start
    }
}

/// Whether a service calls another: what two do at the same time for the same request is no part of each other.
fn calls(outer: &str, inner: &str) -> bool {
    match outer {
        containers::SERVICE => inner != containers::SERVICE,
        filesystem::SERVICE => inner == image_store::SERVICE,
        _ => false,
    }
}

/// Finds for each the call that it was a part of: the shortest of the same request, in a process that calls its own, that
/// lasted from before it until after it.
pub(crate) fn with_parents(spans: &mut [Span]) {
    let mut of_request: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, span) in spans.iter().enumerate() {
        of_request.entry(&span.request).or_default().push(index);
    }
    let around = |inner: &Span| {
        let others = of_request.get(inner.request.as_str()).into_iter().flatten().filter_map(|index| spans.get(*index));
        others
            .filter(|outer| calls(&outer.process, &inner.process))
            .filter(|outer| outer.start <= inner.start && outer.end >= inner.end)
            .min_by_key(|outer| outer.lasted())
            .map(|outer| outer.id)
    };
    let parents: Vec<Option<u64>> = spans.iter().map(around).collect();
    for (span, parent) in spans.iter_mut().zip(parents) {
        span.parent = span.parent.or(parent);
    }
}
