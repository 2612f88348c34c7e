//! What every cctl service is made of.
//!
//! A service's `main` is one call of [`boot::run`]: it sets up tracing, takes the listening socket that the
//! supervisor holds, lets the service recover its state, serves its bootstrap capability to permitted
//! peers, and tells the supervisor that it is ready and, from its main loop, that it is alive.
//!
//! Nothing here knows what a container is.

pub mod access;
pub mod actor;
mod audit;
pub mod boot;
pub mod cgroup;
pub mod file;
mod format;
pub mod log;
pub mod notify;
pub mod orphans;
pub mod ownership;
pub mod passing;
pub mod peer;
pub mod process;
pub mod serve;
pub mod shelf;
pub mod soon;
pub mod store;
mod sys;
pub mod users;
pub mod vital;

pub use boot::{Context, Identity};
pub use schema::transport::{Watched, watch};
