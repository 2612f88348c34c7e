//! The subnets of an instance.

use crate::family::Family;
use crate::subnet::Subnet;
use crate::subnet6::Subnet6;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 subnet, and one of IPv6 where the host has that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subnets {
    /// Of IPv4.
    pub(crate) v4: Subnet,
    /// Of IPv6; none where the host has no IPv6.
    pub(crate) v6: Option<Subnet6>,
}

impl Subnets {
    /// The IPv6 address that goes with an IPv4 address.
    pub(crate) fn beside(&self, address: Ipv4Addr) -> Option<Ipv6Addr> {
        self.v6.map(|v6| v6.beside(address, self.v4))
    }

    /// What stands for all addresses of the host.
    pub(crate) fn all_addresses(&self) -> Vec<IpAddr> {
        let v6 = self.v6.map(|_| Family::V6.all_addresses());
        std::iter::once(Family::V4.all_addresses()).chain(v6).collect()
    }
}
