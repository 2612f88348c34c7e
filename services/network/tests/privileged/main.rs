//! The network on the real kernel. Needs root, and the programs `ip` and `nft` to look at what was made, and `strace`
//! to let system calls fail.
//!
//! Each test has a host of its own: a network namespace with a loopback, an uplink, and a neighbour beyond it.
//! Nothing of the machine's network is touched.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attach;
mod bench;
mod cycles;
mod faults;
mod host;
mod ipv6;
mod publish;
mod recover;
mod refuse;
mod service;
mod table;
