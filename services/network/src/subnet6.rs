//! IPv6 subnets, and which one an instance takes.

use crate::hash::fnv1a;
use crate::subnet::Subnet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The half of the unique local addresses that everybody may take from (RFC 4193).
const UNIQUE_LOCAL: u128 = 0xfd << 120;
/// The prefix length of a link's subnet (RFC 4291).
const PREFIX: u8 = 64;
/// One in 2^56 is taken; so many are tried.
const TRIES: u32 = 64;

/// A range of IPv6 addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Subnet6 {
    network: u128,
    prefix: u8,
}

impl Subnet6 {
    /// The subnet that an address with a prefix length lies in. None if the length is above 128.
    pub(crate) fn new(address: Ipv6Addr, prefix: u8) -> Option<Self> {
        (prefix <= 128).then(|| Self { network: address.to_bits() & mask(prefix), prefix })
    }

    /// One address: that by which a host reaches itself.
    pub(crate) const fn loopback() -> Self {
        Self { network: 1, prefix: 128 }
    }

    /// The lowest address.
    pub(crate) fn first(&self) -> Ipv6Addr {
        self.network.into()
    }

    /// Length of the common prefix in bits.
    pub(crate) fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The common prefix as an address.
    pub(crate) fn mask(&self) -> Ipv6Addr {
        mask(self.prefix).into()
    }

    /// The first address of a host: the bridge's.
    pub(crate) fn gateway(&self) -> Ipv6Addr {
        (self.network | 1).into()
    }

    /// The address that goes with an address of an IPv4 subnet: of the same number in the subnet. So it is given
    /// out exactly when the other one is.
    pub(crate) fn beside(&self, address: Ipv4Addr, subnet: Subnet) -> Ipv6Addr {
        (self.network | u128::from(address.to_bits() - subnet.first().to_bits())).into()
    }

    /// Whether they have an address in common.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let common = mask(self.prefix.min(other.prefix));
        self.network & common == other.network & common
    }
}

/// The first bits set, as many as the prefix is long.
fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Subnet6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.prefix)
    }
}

impl FromStr for Subnet6 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('/')
            .and_then(|(address, prefix)| Self::new(address.parse().ok()?, prefix.parse().ok()?))
            .ok_or_else(|| format!("{text:?} is not an IPv6 subnet: address/prefix length"))
    }
}

schema::text_form!(Subnet6);

/// Chooses a subnet that overlaps none that the host uses, as `subnet::choose` does for IPv4. None if the host
/// has a route for so many unique local addresses that none is free.
pub(crate) fn choose(name: &str, attempt: u32, used: &[Subnet6]) -> Option<Subnet6> {
    (0..TRIES)
        .map(|step| fnv1a(format!("{name}/{attempt}/{step}").as_bytes()))
        .map(|hash| Subnet6 { network: UNIQUE_LOCAL | u128::from(hash >> 8) << 64, prefix: PREFIX })
        .find(|candidate| !used.iter().any(|other| other.overlaps(candidate)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subnet(text: &str) -> Subnet6 {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_have_first_and_gateway() {
        for (text, first, gateway) in [
            ("fd12::5/64", "fd12::", "fd12::1"),
            ("fd12:0:0:1::/64", "fd12:0:0:1::", "fd12:0:0:1::1"),
            ("::1/128", "::1", "::1"),
            ("fd12::/0", "::", "::1"),
        ] {
            assert_eq!(subnet(text).first().to_string(), first);
            assert_eq!(subnet(text).gateway().to_string(), gateway);
        }
        for bad in ["", "fd12::", "fd12::/129", "10.0.0.0/8", "x/8"] {
            assert!(bad.parse::<Subnet6>().is_err(), "{bad}");
        }
        assert_eq!(Subnet6::loopback(), subnet("::1/128"));
    }

    #[test]
    fn addresses_go_in_pairs() {
        let v4: Subnet = "10.88.7.0/24".parse().unwrap();
        let six = |last| subnet("fd12:3::/64").beside(Ipv4Addr::new(10, 88, 7, last), v4).to_string();
        assert_eq!((six(2), six(254)), ("fd12:3::2".to_owned(), "fd12:3::fe".to_owned()));
        assert_eq!(subnet("fd12:3::/64").beside(v4.gateway(), v4), subnet("fd12:3::/64").gateway());
    }

    #[test]
    fn the_choice_is_stable_and_the_instances_own() {
        let first = choose("cctl0", 0, &[]).unwrap();
        assert_eq!(Some(first), choose("cctl0", 0, &[]));
        assert_ne!(Some(first), choose("cctl0", 1, &[]));
        assert_ne!(Some(first), choose("cctl-000001", 0, &[]));
        assert_eq!(first.prefix(), 64);
        assert!(subnet("fd00::/8").overlaps(&first) && first.first().to_string().ends_with("::"));
    }

    #[test]
    fn what_the_host_uses_is_not_taken() {
        let first = choose("cctl0", 0, &[]).unwrap();
        let second = choose("cctl0", 0, &[subnet("fe80::/64"), first]).unwrap();
        assert!(!second.overlaps(&first));
        assert_eq!(choose("cctl0", 0, &[subnet("fd00::/8")]), None);
    }

    proptest! {
        #[test]
        fn text_comes_back(address: u128, prefix in 0_u8..=128) {
            let one = Subnet6::new(address.into(), prefix).unwrap();
            prop_assert_eq!(one.to_string().parse::<Subnet6>(), Ok(one));
        }
    }
}
