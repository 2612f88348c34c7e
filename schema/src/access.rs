//! Who may do what: verbs, which methods each of them needs, and the policy that gives them to users.
//!
//! Pure: who a peer is, and what is done about it, is up to `kit`.

mod methods;
mod policy;
mod verb;

pub use methods::{AUDIT_RECORDS, HELLO, METHODS, Method, Recorded, method, verbs};
pub use policy::{CLOSED, Permit, Policy, Project, Rights};
pub use verb::{VIEWER, Verb};
