//! What rules look at in the header of IP.

use crate::family::Family;
use crate::subnet::Subnet;
use crate::subnet6::Subnet6;
use std::net::{IpAddr, Ipv6Addr};

/// Addresses with a common prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// The lowest of them.
    pub(crate) first: IpAddr,
    /// The common prefix.
    pub(crate) mask: IpAddr,
}

impl From<Subnet> for Range {
    fn from(subnet: Subnet) -> Self {
        Self { first: subnet.first().into(), mask: subnet.mask().into() }
    }
}

impl From<Subnet6> for Range {
    fn from(subnet: Subnet6) -> Self {
        Self { first: subnet.first().into(), mask: subnet.mask().into() }
    }
}

impl From<Ipv6Addr> for Range {
    fn from(address: Ipv6Addr) -> Self {
        Self { first: address.into(), mask: Ipv6Addr::from_bits(u128::MAX).into() }
    }
}

/// An address in the header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Whom it comes from.
    Source,
    /// Whom it goes to.
    Destination,
}

impl End {
    /// Where it stands in the header of IP, in bytes.
    pub(crate) fn offset(self, family: Family) -> u32 {
        match (family, self) {
            (Family::V4, Self::Source) => 12,
            (Family::V4, Self::Destination) => 16,
            (Family::V6, Self::Source) => 8,
            (Family::V6, Self::Destination) => 24,
        }
    }
}
