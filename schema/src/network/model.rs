//! Domain types of `network.capnp`.

use crate::common::PortBinding;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};

/// How a container is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// To the instance's bridge.
    #[default]
    Bridge,
    /// Only loopback.
    None,
    /// In the host's own namespace.
    Host,
}

/// What to connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachSpec {
    /// How.
    pub mode: Mode,
    /// Ports to publish.
    pub ports: Vec<PortBinding>,
}

/// How a sandbox is connected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// None without a bridge.
    pub address: Option<Ipv4Addr>,
    /// Of the address.
    pub prefix_length: u8,
    /// The bridge's address; none without a bridge.
    pub gateway: Option<Ipv4Addr>,
    /// Of eth0; empty without a bridge.
    pub mac: String,
    /// Ports as bound: no host port is 0.
    pub ports: Vec<PortBinding>,
    /// None without a bridge, or where the host has no IPv6.
    #[serde(default)]
    pub address6: Option<Ipv6Addr>,
    /// Of the IPv6 address.
    #[serde(default)]
    pub prefix_length6: u8,
    /// The IPv6 address of the bridge.
    #[serde(default)]
    pub gateway6: Option<Ipv6Addr>,
}

/// What an instance uses on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInfo {
    /// Interface name.
    pub bridge: String,
    /// CIDR.
    pub subnet: String,
    /// The bridge's address.
    pub gateway: String,
    /// Name of the nftables table, family inet.
    pub table: String,
    /// Containers with an address.
    pub attached: u32,
    /// CIDR; empty where the host has no IPv6.
    pub subnet6: String,
    /// The IPv6 address of the bridge; may be empty.
    pub gateway6: String,
}
