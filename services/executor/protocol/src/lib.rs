//! What the executor and the monitor of a sandbox (the shim) say to each other.
//!
//! Four small formats, all versioned, none of which needs memory to be allocated:
//!
//! * [`plan`]: the steps by which the first process of a container is made, written by the executor into the
//!   sandbox's directory and carried out by the monitor's child one after the other. All policy (what is
//!   mounted, masked, dropped, allowed) is in the plan; the monitor only knows how each step is done.
//! * [`control`]: requests and reports on `control.sock`, one fixed-size message each.
//! * [`adoption`]: what a monitor is told that takes over from one that was killed.
//! * [`exit`]: the record of how the process ended.
//!
//! [`turn`] is what monitor and log collector say to each other. [`layout`] names the files of a sandbox's directory, and how the monitor is started.
#![no_std]

pub mod adoption;
pub mod control;
mod decimal;
pub mod exit;
pub mod layout;
pub mod plan;
pub mod turn;
mod wire;

pub use wire::{Malformed, Strings};
