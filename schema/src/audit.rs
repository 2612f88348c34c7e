//! The audit log: who has changed something, and who was refused. Any service may keep one (`common.capnp`).

mod client;
mod describe;
mod model;
mod wire;

pub use client::Client;
pub use describe::{Subject, outcome, outcome_of, refuse, request, subject};
pub use model::{AuditPage, AuditQuery, AuditRecord};
