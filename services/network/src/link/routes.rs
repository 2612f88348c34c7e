//! Routes: the container's way out, and what the host's tell.

use super::Links;
use crate::netlink::Refused;
use futures::TryStreamExt;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::RouteMessageBuilder;
use rustix::io::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses of a root name server: whatever a host's way to the world is, it leads there. Nothing is sent to it.
const WORLD: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(198, 41, 0, 4)), IpAddr::V6(Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30))];

/// An address of a family whose routes can be asked for.
pub(super) trait Destination: Sized {
    /// The question for all routes of the family.
    fn all() -> RouteMessage;
    /// The address, if it is of the family.
    fn of(address: &RouteAddress) -> Option<Self>;
}

impl Destination for Ipv4Addr {
    fn all() -> RouteMessage {
        RouteMessageBuilder::<Self>::new().build()
    }

    fn of(address: &RouteAddress) -> Option<Self> {
        if let RouteAddress::Inet(address) = address { Some(*address) } else { None }
    }
}

impl Destination for Ipv6Addr {
    fn all() -> RouteMessage {
        RouteMessageBuilder::<Self>::new().build()
    }

    fn of(address: &RouteAddress) -> Option<Self> {
        if let RouteAddress::Inet6(address) = address { Some(*address) } else { None }
    }
}

impl Links {
    /// Sets the default route of a version of IP; done also if there is one.
    pub(crate) fn set_default_route(&self, index: u32, gateway: IpAddr) -> Result<(), Refused> {
        let route = match gateway {
            IpAddr::V4(by) => RouteMessageBuilder::<Ipv4Addr>::new().gateway(by).output_interface(index).build(),
            IpAddr::V6(by) => RouteMessageBuilder::<Ipv6Addr>::new().gateway(by).output_interface(index).build(),
        };
        let request = self.handle.route().add(route).replace();
        self.run(format_args!("setting the default route by {gateway}"), request.execute())
    }

    /// The largest packet that every way to the world takes, in bytes; none without such a way.
    pub(crate) fn uplink_mtu(&self) -> Result<Option<u32>, Refused> {
        let mut least = None;
        for address in WORLD {
            if let Some(index) = self.interface_to(address)? {
                least = least.into_iter().chain(self.numbered(index)?.map(|link| link.mtu)).min();
            }
        }
        Ok(least)
    }

    /// The interface by which packets to an address leave; none if there is no route.
    fn interface_to(&self, address: IpAddr) -> Result<Option<u32>, Refused> {
        let question = match address {
            IpAddr::V4(to) => RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(to, 32).build(),
            IpAddr::V6(to) => RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(to, 128).build(),
        };
        let request = self.handle.route().get(question);
        match self.run("looking for the way to the world", request.execute().try_next()) {
            Ok(route) => Ok(route.as_ref().and_then(interface)),
            // What a route answers that is made to forbid, and what the kernel does where a family is switched off.
            Err(Refused {
                errno: Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ACCESS | Errno::INVAL | Errno::OPNOTSUPP,
                ..
            }) => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// Where the routes of a family lead, the default route apart, but those by one interface.
    pub(super) fn destinations<A: Destination>(&self, but: Option<u32>) -> Result<Vec<(A, u8)>, Refused> {
        let request = self.handle.route().get(A::all());
        let routes = self.run("reading the routes", request.execute().try_collect::<Vec<_>>())?;
        let of_others = routes.iter().filter(|route| but.is_none() || interface(route) != but);
        Ok(of_others.filter_map(destination).collect())
    }
}

fn interface(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

fn destination<A: Destination>(route: &RouteMessage) -> Option<(A, u8)> {
    let to = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(address) => A::of(address),
        _ => None,
    });
    to.map(|to| (to, route.header.destination_prefix_length))
}
