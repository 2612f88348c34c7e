//! Connections of UDP that the kernel remembers, and must forget when a port changes hands.
//!
//! Where a packet goes is decided at the first one of a connection. A client that goes on sending to a port of
//! UDP keeps that decision alive for ever: his packets would go on to a container that is gone, or to whoever
//! got its address; or, if he sent before the port was published, never to the container at all.

use crate::family::Family;
use crate::message::{Message, attribute};
use crate::netfilter::Netfilter;
use crate::netlink::Refused;
use crate::published::Published;
use schema::common::Protocol;
use std::net::IpAddr;

/// Messages of linux/netfilter/nfnetlink_conntrack.h.
const GET: u16 = 1;
const DELETE: u16 = 2;

/// Attributes of the same.
mod cta {
    pub(super) const TUPLE_ORIG: u16 = 1;
    pub(super) const TUPLE_REPLY: u16 = 2;
    pub(super) const ZONE: u16 = 18;
    pub(super) const FILTER: u16 = 25;
    pub(super) const FILTER_ORIG_FLAGS: u16 = 1;
    pub(super) const TUPLE_IP: u16 = 1;
    pub(super) const TUPLE_PROTO: u16 = 2;
    pub(super) const IP_V4_SRC: u16 = 1;
    pub(super) const IP_V4_DST: u16 = 2;
    pub(super) const IP_V6_SRC: u16 = 3;
    pub(super) const IP_V6_DST: u16 = 4;
    pub(super) const PROTO_NUM: u16 = 1;
    pub(super) const PROTO_DST_PORT: u16 = 3;
}

/// A filter's flag: only connections of the protocol that is given.
const BY_PROTOCOL: u32 = 1 << 3;
const UDP: u8 = libc::IPPROTO_UDP as u8;
/// Length of `struct nfgenmsg`.
const HEADER: usize = 4;

/// Forgets the connections that were made to ports of this host before they were published. `host` has the
/// host's addresses, those of loopback apart. Costs nothing where no port of UDP is published.
pub(crate) fn forget_earlier(
    netfilter: &mut Netfilter,
    published: &[Published],
    host: &[IpAddr],
) -> Result<(), Refused> {
    forget(netfilter, published, |connection, one| {
        let (to, address) = (connection.to, one.address());
        let is_there = match address.is_unspecified() {
            true => to.is_ipv4() == address.is_ipv4() && (to.is_loopback() || host.contains(&to)),
            false => to == address,
        };
        connection.port == one.binding.host_port && is_there
    })
}

/// Forgets the connections that lead to containers by their published ports, which are published no longer.
pub(crate) fn forget_translated(netfilter: &mut Netfilter, published: &[Published]) -> Result<(), Refused> {
    forget(netfilter, published, |connection, one| connection.answered_by == one.to)
}

fn forget(
    netfilter: &mut Netfilter,
    published: &[Published],
    concerns: impl Fn(&Connection, &Published) -> bool,
) -> Result<(), Refused> {
    let of_udp = |one: &&Published| one.binding.protocol == Protocol::Udp;
    for family in [Family::V4, Family::V6] {
        let ports: Vec<_> = published.iter().filter(of_udp).filter(|one| Family::of(one.to) == family).collect();
        if ports.is_empty() {
            continue;
        }
        for object in netfilter.dump(&all_of_udp(family))? {
            let attributes = object.get(HEADER..).unwrap_or_default();
            let Some(connection) = parse(family, attributes) else { continue };
            if ports.iter().any(|one| concerns(&connection, one)) {
                netfilter.ask(deletion(family, attributes))?;
            }
        }
    }
    Ok(())
}

/// A connection of UDP.
struct Connection {
    /// Whom the client sends to.
    to: IpAddr,
    /// And at which port.
    port: u16,
    /// Who answers.
    answered_by: IpAddr,
}

fn parse(family: Family, connection: &[u8]) -> Option<Connection> {
    let within = |direction, part, which| attribute(attribute(attribute(connection, direction)?, part)?, which);
    let address = |direction, v4, v6| match family {
        Family::V4 => <[u8; 4]>::try_from(within(direction, cta::TUPLE_IP, v4)?).ok().map(IpAddr::from),
        Family::V6 => <[u8; 16]>::try_from(within(direction, cta::TUPLE_IP, v6)?).ok().map(IpAddr::from),
    };
    let port = within(cta::TUPLE_ORIG, cta::TUPLE_PROTO, cta::PROTO_DST_PORT)?;
    Some(Connection {
        to: address(cta::TUPLE_ORIG, cta::IP_V4_DST, cta::IP_V6_DST)?,
        port: u16::from_be_bytes(port.try_into().ok()?),
        answered_by: address(cta::TUPLE_REPLY, cta::IP_V4_SRC, cta::IP_V6_SRC)?,
    })
}

fn message(family: Family, kind: u16, doing: &'static str) -> Message {
    let header = [family.number(), libc::NFNETLINK_V0 as u8, 0, 0];
    Message::new((libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | kind, 0, &header, doing)
}

fn all_of_udp(family: Family) -> Message {
    message(family, GET, "reading the connections of UDP").with(|list| {
        list.nested(cta::TUPLE_ORIG, |tuple| {
            tuple.nested(cta::TUPLE_PROTO, |protocol| protocol.bytes(cta::PROTO_NUM, &[UDP]));
        });
        list.nested(cta::FILTER, |filter| filter.bytes(cta::FILTER_ORIG_FLAGS, &BY_PROTOCOL.to_ne_bytes()));
    })
}

fn deletion(family: Family, connection: &[u8]) -> Message {
    message(family, DELETE, "forgetting a connection of UDP").with(|list| {
        if let Some(tuple) = attribute(connection, cta::TUPLE_ORIG) {
            list.nested_bytes(cta::TUPLE_ORIG, tuple);
        }
        if let Some(zone) = attribute(connection, cta::ZONE) {
            list.bytes(cta::ZONE, zone);
        }
    })
}
