//! Watching: `system top`, figures for Prometheus, and what one request did in all processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod exposition;
mod metrics;
mod otlp;
mod requests;
mod top;
