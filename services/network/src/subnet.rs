//! IPv4 subnets, and which one an instance takes.

use crate::hash::fnv1a;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Where the /24 subnets lie that an instance may take, and how many: the first range that has a free one. A
/// host may have all of 10.0.0.0/8 routed to a private network.
const RANGES: [(Ipv4Addr, u32); 3] = [
    (Ipv4Addr::new(10, 88, 0, 0), 32 * 256),
    (Ipv4Addr::new(172, 16, 0, 0), 16 * 256),
    (Ipv4Addr::new(192, 168, 0, 0), 256),
];
const PREFIX: u8 = 24;

/// A range of addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    network: u32,
    prefix: u8,
}

impl Subnet {
    /// The subnet that an address with a prefix length lies in. None if the length is above 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32).then(|| Self { network: address.to_bits() & mask(prefix), prefix })
    }

    /// The addresses by which a host reaches itself: 127.0.0.0/8.
    pub const fn loopback() -> Self {
        Self { network: 0x7f00_0000, prefix: 8 }
    }

    /// The lowest address: the network's own.
    pub fn first(&self) -> Ipv4Addr {
        self.network.into()
    }

    /// The highest address: broadcast.
    pub fn last(&self) -> Ipv4Addr {
        (self.network | !mask(self.prefix)).into()
    }

    /// How many addresses it has.
    pub fn size(&self) -> u64 {
        1 << (32 - self.prefix)
    }

    /// Length of the common prefix in bits.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The common prefix as an address.
    pub fn mask(&self) -> Ipv4Addr {
        mask(self.prefix).into()
    }

    /// The first address of a host: the bridge's.
    pub fn gateway(&self) -> Ipv4Addr {
        (self.network | 1).into()
    }

    /// Whether they have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let common = mask(self.prefix.min(other.prefix));
        self.network & common == other.network & common
    }
}

/// The first bits set, as many as the prefix is long.
fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('/')
            .and_then(|(address, prefix)| Self::new(address.parse().ok()?, prefix.parse().ok()?))
            .ok_or_else(|| format!("{text:?} is not a subnet: address/prefix length"))
    }
}

schema::text_form!(Subnet);

/// Chooses a subnet that overlaps none that the host uses. Where the search begins depends on the instance's
/// name, so that instances differ and one instance tends to keep its subnet; and on the attempt, so that two
/// that clash do not clash again. None if there is none.
pub(crate) fn choose(name: &str, attempt: u32, used: &[Subnet]) -> Option<Subnet> {
    let start = fnv1a(format!("{name}/{attempt}").as_bytes()) as u32;
    RANGES
        .iter()
        .flat_map(|(first, count)| (0..*count).map(move |step| first.to_bits() + (start % count + step) % count * 256))
        .map(|network| Subnet { network, prefix: PREFIX })
        .find(|candidate| !used.iter().any(|other| other.overlaps(candidate)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_have_first_last_and_size() {
        for (text, first, last, size) in [
            ("192.168.0.1/24", "192.168.0.0", "192.168.0.255", 256),
            ("10.0.0.1/8", "10.0.0.0", "10.255.255.255", 16_777_216),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.3", 1),
            ("10.1.2.3/31", "10.1.2.2", "10.1.2.3", 2),
            ("10.1.2.3/26", "10.1.2.0", "10.1.2.63", 64),
            ("10.1.2.3/0", "0.0.0.0", "255.255.255.255", 1 << 32),
        ] {
            let subnet = subnet(text);
            assert_eq!(subnet.first().to_string(), first);
            assert_eq!(subnet.last().to_string(), last);
            assert_eq!(subnet.size(), size);
        }
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/-1"] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_default_is_stable() {
        let first = choose("cctl0", 0, &[]);
        assert_eq!(first, choose("cctl0", 0, &[]));
        assert_ne!(first, choose("cctl0", 1, &[]));
        assert_ne!(first, choose("cctl-000001", 0, &[]));
    }

    #[test]
    fn a_host_that_uses_much_leaves_the_rest() {
        let used = |texts: &[&str]| texts.iter().map(|text| subnet(text)).collect::<Vec<_>>();
        let private = used(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]);
        assert_eq!(choose("cctl0", 0, &private), None);
        assert_eq!(choose("cctl0", 0, &used(&["0.0.0.0/0"])), None);
        let within = |outer: &str, inner: Option<Subnet>| inner.is_some_and(|inner| subnet(outer).overlaps(&inner));
        assert!(within("172.16.0.0/12", choose("cctl0", 0, &private[..1])));
        assert!(within("192.168.0.0/16", choose("cctl0", 0, &private[..2])));
    }

    prop_compose! {
        fn any_subnet()(address: u32, prefix in 8_u8..=32) -> Subnet {
            Subnet::new(address.into(), prefix).unwrap()
        }
    }

    proptest! {
        #[test]
        fn overlap_is_a_common_address(one in any_subnet(), other in any_subnet()) {
            let common = one.first() <= other.last() && other.first() <= one.last();
            prop_assert_eq!(one.overlaps(&other), common);
            prop_assert_eq!(other.overlaps(&one), common);
        }

        #[test]
        fn the_chosen_is_free_and_within(attempt: u32, used in prop::collection::vec((0_u32..32, any::<u16>(), 12_u8..=32), 0..40)) {
            let used: Vec<_> = used
                .into_iter()
                .map(|(second, rest, prefix)| Subnet::new((0x0a58_0000 + (second << 16) + u32::from(rest)).into(), prefix).unwrap())
                .collect();
            if let Some(chosen) = choose("cctl-abcdef", attempt, &used) {
                prop_assert!(used.iter().all(|other| !other.overlaps(&chosen)));
                let ranges = ["10.88.0.0/13", "10.96.0.0/12", "10.112.0.0/13", "172.16.0.0/12", "192.168.0.0/16"];
                prop_assert!(ranges.iter().any(|range| subnet(range).overlaps(&chosen)), "{chosen}");
            }
        }

        #[test]
        fn an_address_comes_back_from_its_number(number: u32) {
            prop_assert_eq!(Ipv4Addr::from(number).to_bits(), number);
            prop_assert_eq!(Subnet::new(number.into(), 32).map(|subnet| subnet.first()), Some(number.into()));
        }

        #[test]
        fn text_comes_back(one in any_subnet()) {
            prop_assert_eq!(one.to_string().parse::<Subnet>(), Ok(one));
        }
    }
}
