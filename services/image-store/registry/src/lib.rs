//! A client of registries, by the OCI distribution specification 1.1, and of plain web servers.
//!
//! * [`Configuration`]: `registries.toml`: certificate authorities, mirrors, proxies, timeouts.
//! * [`Location`]: which registry a name means, and what the repository is called there.
//! * [`Registry`]: one registry and who we are to it: manifests, blobs, tags, uploads, log-in.
//! * [`fetch`]: a file from a URL.
//!
//! What comes is hostile until its digest is known to be right: each document has a most size, no blob is
//! longer than announced, a connection that brings less than 4 KiB within the idle timeout is cut.
//! What can succeed later is tried again. An error names the registry, what was asked of it, what it answered,
//! and what to do.
//!
//! File contents are read and written where the future runs: give it a runtime of its own, whose threads
//! may wait for a disk.

mod auth;
mod blobs;
mod config;
mod error;
mod fetch;
mod http;
mod login;
mod manifests;
mod name;
mod platform;
mod progress;
mod proxy;
mod registry;
mod retry;
mod scheme;
mod tags;
mod tls;
mod uploads;

pub use auth::Credentials;
pub use blobs::Sink;
pub use config::{Configuration, Patience, Settings};
pub use fetch::{Fetch, Piece, fetch};
pub use manifests::{Document, LONGEST_MANIFEST, Wanted};
pub use name::Location;
pub use platform::Platform;
pub use progress::Progress;
pub use proxy::Proxies;
pub use registry::Registry;
pub use uploads::Sent;
