//! The contract of `log-collector`: `schema/log-collector.capnp` says what each method means.

mod client;
mod model;
mod server;
mod wire;

pub use client::{Client, Input};
pub use model::*;
pub use server::{InputServer, Server, serve};

/// The name of the service, its socket and its interface.
pub const SERVICE: &str = "log-collector";
