//! What needs root: owners, devices, trusted attributes, mounts. Fails where it cannot run.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests

mod archive;
mod changes;
mod copying;
mod corpus;
mod engine;
mod foreign;
mod hostile;
mod keeping;
mod mounting;
mod sandbox;
mod tools;
mod unpacking;
mod volumes;
mod worker;
