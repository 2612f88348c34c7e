//! Published ports as elements of the table's maps.

use crate::family::{Family, octets};
use crate::message::{Attributes, attribute, attributes};
use crate::ports::address_of;
use schema::common::{PortBinding, Protocol};
use std::net::IpAddr;

/// The sets of the table that have an element for each published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Set {
    /// Ports published on all addresses: protocol and port → address and port.
    Ports(Family),
    /// Ports published on one address: address, protocol and port → address and port.
    AddressPorts(Family),
    /// Ports that are reached by `::1`: protocol and port.
    LoopbackPorts,
}

impl Set {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Ports(Family::V4),
        Self::AddressPorts(Family::V4),
        Self::Ports(Family::V6),
        Self::AddressPorts(Family::V6),
        Self::LoopbackPorts,
    ];

    /// Its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ports(Family::V4) => "ports",
            Self::AddressPorts(Family::V4) => "address_ports",
            Self::Ports(Family::V6) => "ports6",
            Self::AddressPorts(Family::V6) => "address_ports6",
            Self::LoopbackPorts => "loopback_ports6",
        }
    }
}

/// Attributes of linux/netfilter/nf_tables.h.
mod nfta {
    pub(super) const ELEM_LIST_TABLE: u16 = 1;
    pub(super) const ELEM_LIST_SET: u16 = 2;
    pub(super) const ELEM_LIST_ELEMENTS: u16 = 3;
    pub(super) const LIST_ELEM: u16 = 1;
    pub(super) const SET_ELEM_KEY: u16 = 1;
    pub(super) const SET_ELEM_DATA: u16 = 2;
    pub(super) const DATA_VALUE: u16 = 1;
}

/// A port of the host and where its traffic goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Published {
    /// The port.
    pub(crate) binding: PortBinding,
    /// The container's address, of the same version of IP.
    pub(crate) to: IpAddr,
}

/// An element as the kernel holds it: key and value, which a mere set has not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Element {
    /// What it is found by.
    pub(crate) key: Vec<u8>,
    /// What is found; empty in a set.
    pub(crate) value: Vec<u8>,
}

impl Published {
    /// Where the host listens.
    pub(crate) fn address(&self) -> IpAddr {
        address_of(&self.binding)
    }

    /// The elements that it has, and where. Each part of a concatenation fills up four bytes.
    pub(crate) fn elements(&self) -> Vec<(Set, Element)> {
        let PortBinding { host_port, container_port, protocol, .. } = self.binding;
        let (address, family) = (self.address(), Family::of(self.to));
        let protocol = match protocol {
            Protocol::Tcp => libc::IPPROTO_TCP,
            Protocol::Udp => libc::IPPROTO_UDP,
        };
        let port = [&[protocol as u8, 0, 0, 0], padded(host_port).as_slice()].concat();
        let value = [octets(self.to), padded(container_port).to_vec()].concat();
        let map = if address.is_unspecified() {
            (Set::Ports(family), Element { key: port.clone(), value })
        } else {
            (Set::AddressPorts(family), Element { key: [octets(address), port.clone()].concat(), value })
        };
        let is_on_loopback = family == Family::V6 && (address.is_unspecified() || address.is_loopback());
        let loopback = is_on_loopback.then(|| (Set::LoopbackPorts, Element { key: port, value: Vec::new() }));
        std::iter::once(map).chain(loopback).collect()
    }
}

impl Element {
    /// Writes the element as the list that a message has.
    pub(crate) fn write(&self, list: &mut Attributes) {
        list.nested(nfta::ELEM_LIST_ELEMENTS, |elements| {
            elements.nested(nfta::LIST_ELEM, |element| {
                element.nested(nfta::SET_ELEM_KEY, |data| data.bytes(nfta::DATA_VALUE, &self.key));
                if !self.value.is_empty() {
                    element.nested(nfta::SET_ELEM_DATA, |data| data.bytes(nfta::DATA_VALUE, &self.value));
                }
            });
        });
    }
}

fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

/// The attributes that name a set.
pub(crate) fn set_named(list: &mut Attributes, table: &str, set: Set) {
    list.text(nfta::ELEM_LIST_TABLE, table);
    list.text(nfta::ELEM_LIST_SET, set.name());
}

/// The keys and values in a dumped list of elements.
pub(crate) fn elements(list: &[u8]) -> Vec<Element> {
    let value = |element, kind: u16| {
        attribute(element, kind).and_then(|data| attribute(data, nfta::DATA_VALUE)).map(<[u8]>::to_vec)
    };
    attributes(attribute(list, nfta::ELEM_LIST_ELEMENTS).unwrap_or_default())
        .filter_map(|(_, element)| {
            let value_or_none = value(element, nfta::SET_ELEM_DATA).unwrap_or_default();
            Some(Element { key: value(element, nfta::SET_ELEM_KEY)?, value: value_or_none })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn any_published()(v6: bool, address: u128, any: bool, host_port: u16, container_port: u16, udp: bool, to: u128) -> Published {
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            let ip = |bits: u128| if v6 { IpAddr::V6(bits.into()) } else { IpAddr::V4((bits as u32).into()) };
            let host_address = Some(ip(if any { 0 } else { address }));
            Published { binding: PortBinding { host_address, host_port, container_port, protocol }, to: ip(to) }
        }
    }

    fn map_element(published: &Published) -> (Set, Vec<u8>) {
        let (set, element) = published.elements().swap_remove(0);
        (set, element.key)
    }

    #[test]
    fn what_is_reached_by_the_loopback_address_of_ipv6() {
        let on = |address: &str, to: &str| {
            let binding = PortBinding {
                host_address: address.parse().ok(),
                host_port: 8080,
                container_port: 80,
                protocol: Protocol::Tcp,
            };
            let elements = Published { binding, to: to.parse().unwrap() }.elements();
            elements.into_iter().map(|(set, _)| set.name()).collect::<Vec<_>>()
        };
        assert_eq!(on("", "10.0.0.2"), ["ports"]);
        assert_eq!(on("127.0.0.1", "10.0.0.2"), ["address_ports"]);
        assert_eq!(on("::", "fd12::2"), ["ports6", "loopback_ports6"]);
        assert_eq!(on("::1", "fd12::2"), ["address_ports6", "loopback_ports6"]);
        assert_eq!(on("fd00::2", "fd12::2"), ["address_ports6"]);
    }

    proptest! {
        #[test]
        fn elements_come_back(published in any_published()) {
            for (_, element) in published.elements() {
                let mut list = crate::message::Message::new(0, 0, &[], "a test");
                list = list.with(|list| element.write(list));
                prop_assert_eq!(elements(&list.body), [element]);
            }
        }

        #[test]
        fn different_ports_have_different_keys(one in any_published(), other in any_published()) {
            let same = one.address() == other.address()
                && one.binding.host_port == other.binding.host_port
                && one.binding.protocol == other.binding.protocol;
            prop_assert_eq!(map_element(&one) == map_element(&other), same);
        }
    }
}
