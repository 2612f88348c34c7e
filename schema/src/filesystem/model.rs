//! Domain types of `filesystem.capnp`.

use crate::common::{Layer, Volume};

/// What makes a root filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSpec {
    /// Base first, at least one.
    pub layers: Vec<Layer>,
    /// Mounted over it, in this order.
    pub volumes: Vec<Volume>,
}

/// The contents of /etc/hostname and /etc/hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The container's own.
    pub hostname: String,
    /// Lines of /etc/hosts besides those of localhost.
    pub hosts: Vec<HostEntry>,
}

/// A line of /etc/hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// IP address.
    pub address: String,
    /// Name.
    pub hostname: String,
}
