//! The real executor with real monitors on the real kernel. Needs root, `busybox` (Debian's busybox-static) and the
//! monitor's program: `cargo build --release --manifest-path services/executor/shim/Cargo.toml`, into the same
//! target directory.

// The allowance in clippy.toml covers test functions, not what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bench;
mod capture;
mod costs;
mod exec;
mod exec_faults;
mod faults;
mod freeze;
mod isolation;
mod limits;
mod replaced;
mod run;
mod set_up;
mod sys;
mod terminal;
mod usage;
mod users;
