//! The contract of `containers`: `schema/containers.capnp` says what each method means.

mod client;
mod model;
mod server;
mod wire;

pub use client::Client;
pub use model::*;
pub use server::{Server, serve};

/// The name of the service, its socket and its interface.
pub const SERVICE: &str = "containers";
