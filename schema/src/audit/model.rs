//! Domain types of the audit log.

use serde::{Deserialize, Serialize};

/// One call that changes something, or that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When it was answered, nanoseconds since the Unix epoch.
    pub at: i64,
    /// That was called.
    pub service: String,
    /// `containers.stop`.
    pub method: String,
    /// Of the caller, by the kernel's word.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
    /// Its process id.
    pub pid: i32,
    /// `admin`, `viewer`, `project web`, `none`.
    pub role: String,
    /// What was named: a container, an image, a service; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// `key=value`: parameters that matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// Of the user's request.
    pub request: u64,
    /// `ok`, the code of the failure, `begun` or `unknown`.
    pub outcome: String,
    /// Of the failure.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Calls just before this one that are not recorded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing: u64,
}

// By reference, as serde asks.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Which records are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// From this place on; 0: from the oldest that is kept.
    pub after: u64,
    /// Of this time or later, nanoseconds since the Unix epoch; 0: without bound.
    pub since: i64,
    /// Before this time; 0: without bound.
    pub until: i64,
    /// At most so many; 0: 1,000.
    pub max_count: u32,
}

/// A part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// Oldest first.
    pub records: Vec<AuditRecord>,
    /// The place after them; as it was asked for: there is nothing newer yet.
    pub next: u64,
    /// Records in this part that could not be read.
    pub damaged: u64,
}
