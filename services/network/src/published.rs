//! Published ports as elements of the table's maps.

use crate::message::{Attributes, attribute, attributes};
use schema::common::{PortBinding, Protocol};
use std::net::{IpAddr, Ipv4Addr};

/// Ports published on all addresses: protocol and port → address and port.
pub(crate) const PORTS: &str = "ports";
/// Ports published on one address: address, protocol and port → address and port.
pub(crate) const ADDRESS_PORTS: &str = "address_ports";

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
    /// The container's address.
    pub(crate) to: Ipv4Addr,
}

/// An element as the kernel holds it.
pub(crate) type Element = (Vec<u8>, Vec<u8>);

impl Published {
    /// The map that it belongs to.
    pub(crate) fn map(&self) -> &'static str {
        if self.binding.host_address.is_some() { ADDRESS_PORTS } else { PORTS }
    }

    /// Key and value. Each part of a concatenation fills up four bytes.
    pub(crate) fn element(&self) -> Element {
        let PortBinding { host_address, host_port, container_port, protocol } = self.binding;
        let protocol = match protocol {
            Protocol::Tcp => libc::IPPROTO_TCP,
            Protocol::Udp => libc::IPPROTO_UDP,
        };
        let mut key = match host_address {
            None => Vec::new(),
            Some(IpAddr::V4(address)) => address.octets().to_vec(),
            Some(IpAddr::V6(address)) => address.octets().to_vec(),
        };
        key.extend([protocol as u8, 0, 0, 0]);
        key.extend(padded(host_port));
        let mut value = self.to.octets().to_vec();
        value.extend(padded(container_port));
        (key, value)
    }

    /// Writes the element as the list that a message has.
    pub(crate) fn write(&self, list: &mut Attributes) {
        let (key, value) = self.element();
        list.nested(nfta::ELEM_LIST_ELEMENTS, |elements| {
            elements.nested(nfta::LIST_ELEM, |element| {
                element.nested(nfta::SET_ELEM_KEY, |data| data.bytes(nfta::DATA_VALUE, &key));
                element.nested(nfta::SET_ELEM_DATA, |data| data.bytes(nfta::DATA_VALUE, &value));
            });
        });
    }
}

fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

/// The attributes that name a map.
pub(crate) fn map_named(list: &mut Attributes, table: &str, map: &str) {
    list.text(nfta::ELEM_LIST_TABLE, table);
    list.text(nfta::ELEM_LIST_SET, map);
}

/// The keys and values in a dumped list of elements.
pub(crate) fn elements(list: &[u8]) -> Vec<Element> {
    let value = |element, kind: u16| {
        attribute(element, kind).and_then(|data| attribute(data, nfta::DATA_VALUE)).map(<[u8]>::to_vec)
    };
    attributes(attribute(list, nfta::ELEM_LIST_ELEMENTS).unwrap_or_default())
        .filter_map(|(_, element)| Some((value(element, nfta::SET_ELEM_KEY)?, value(element, nfta::SET_ELEM_DATA)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn any_published()(address: Option<u32>, host_port: u16, container_port: u16, udp: bool, to: u32) -> Published {
            let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
            let host_address = address.map(Ipv4Addr::from).map(IpAddr::from);
            Published { binding: PortBinding { host_address, host_port, container_port, protocol }, to: to.into() }
        }
    }

    proptest! {
        #[test]
        fn elements_come_back(published in any_published()) {
            let mut list = crate::message::Message::new(0, 0, &[], "a test");
            list = list.with(|list| published.write(list));
            prop_assert_eq!(elements(&list.body), [published.element()]);
        }

        #[test]
        fn different_ports_have_different_keys(one in any_published(), other in any_published()) {
            let same = one.binding.host_address == other.binding.host_address
                && one.binding.host_port == other.binding.host_port
                && one.binding.protocol == other.binding.protocol;
            prop_assert_eq!(one.element().0 == other.element().0, same);
        }
    }
}
