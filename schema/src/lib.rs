//! The contracts between cctl's processes.
//!
//! `schema/*.capnp` say in prose what each method means. This crate turns them into Rust: the generated
//! [`bindings`], and for each service a module with its domain types (`model`), the conversions between
//! wire and domain (`wire`), a typed `client` that reconnects and retries, and a `server` trait that a
//! service implements without touching the wire.
//!
//! Everything here is `!Send`, as Cap'n Proto's RPC is: use it inside a `tokio::task::LocalSet` or an
//! actix `System`.

pub mod access;
pub mod audit;
pub mod bindings;
pub mod call;
pub mod calls;
pub mod capability;
pub mod common;
pub mod containers;
pub mod executor;
pub mod failure;
pub mod filesystem;
pub mod ids;
pub mod image_store;
pub mod instance;
pub mod link;
pub mod log_collector;
pub mod network;
pub mod passwd;
mod rpc;
pub mod security;
pub mod supervisor;
mod sys;
mod text_form;
pub mod transport;
pub mod wire;

/// The services of an instance, each with its contract `<name>.capnp`, in the order of their dependencies.
pub const SERVICES: [&str; 6] = [
    image_store::SERVICE,
    filesystem::SERVICE,
    network::SERVICE,
    executor::SERVICE,
    log_collector::SERVICE,
    containers::SERVICE,
];

pub use call::Call;
pub use failure::{Code, Failure};
pub use ids::{ContainerId, Digest};
pub use instance::Instance;
