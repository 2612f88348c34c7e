//! Resource limits: a cgroup for each container, in whatever hierarchies the host has.
//!
//! Below the root of each hierarchy that is visible, an instance has one directory of its own (its kernel name),
//! and in it one for each container, and one called `monitors` that keeps the monitors out of the executor's own
//! cgroup. On a pure v2 host the instance's directory is a child of the root, whose controllers can be enabled
//! for children whatever processes it has itself; so it does not matter in which cgroup the executor runs.

mod apply;
mod check;
mod freeze;
mod plan;
mod usage;

use kit::cgroup as layout;

pub(crate) use apply::{Cgroups, Entrances};
pub(crate) use check::check;
