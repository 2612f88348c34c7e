//! Events that are noted with the change that they tell of, until they are told.
//!
//! A change and its events are written in one record, so a crash loses neither or both; what was noted is told
//! to the event log after that, and again after a crash. The event log knows by the number whether it has it.

use schema::containers::Event;
use serde::{Deserialize, Serialize};

/// An event of one container or exec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Noted {
    /// Counts the events of its container or exec, from 1 on.
    pub(crate) number: u64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) at: i64,
    /// As the contract lists them.
    pub(crate) action: String,
    /// `key=value`.
    pub(crate) attributes: Vec<String>,
}

/// An event in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// As clients see it.
    pub(crate) event: Event,
    /// The container or exec that noted it.
    pub(crate) by: String,
    /// Its number there.
    pub(crate) number: u64,
}
