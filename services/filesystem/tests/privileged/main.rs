//! What needs root: owners, devices, trusted attributes, mounts. Fails where it cannot run.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests

mod archive;
mod engine;
mod hostile;
mod mounting;
mod sandbox;
mod unpacking;
mod volumes;
