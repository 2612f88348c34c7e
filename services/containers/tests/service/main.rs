//! The service as a process of its own, with fake workers behind the real contract: what it asks of whom, what
//! it undoes, and what is left when it, or a worker, fails at any step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod auto_remove;
mod committing;
mod crashes;
mod damage;
mod disk;
mod execs;
mod files;
mod life;
mod naming;
mod pausing;
mod policies;
mod recovering;
mod requests;
mod spares;
mod stopping;
mod support;
mod undo;
