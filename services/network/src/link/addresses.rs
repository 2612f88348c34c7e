//! Addresses of interfaces, and the subnets that a host uses.

use super::Links;
use crate::netlink::Refused;
use crate::subnet::Subnet;
use crate::subnet6::Subnet6;
use futures::TryStreamExt;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rustix::io::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl Links {
    /// The IPv4 subnet of an interface; none if it has no address.
    pub(crate) fn subnet(&self, index: u32) -> Result<Option<Subnet>, Refused> {
        let messages = self.address_messages()?;
        let own = messages.iter().filter(|message| message.header.index == index);
        Ok(own.filter_map(subnet).next())
    }

    /// The IPv6 subnet of an interface, of unique local addresses.
    pub(crate) fn subnet6(&self, index: u32) -> Result<Option<Subnet6>, Refused> {
        let messages = self.address_messages()?;
        let mut own = messages.iter().filter(|message| message.header.index == index).filter_map(subnet6);
        Ok(own.find(|subnet| subnet.first().is_unique_local()))
    }

    /// Gives an interface an address; done also if it has it. One of IPv6 can be used at once: that nobody else
    /// has it is known, and not asked for (IFA_F_NODAD).
    pub(crate) fn add_address(&self, index: u32, address: IpAddr, prefix: u8) -> Result<(), Refused> {
        let mut request = self.handle.address().add(index, address, prefix);
        if address.is_ipv6() {
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        }
        let doing = format_args!("giving interface {index} the address {address}/{prefix}");
        match self.run(doing, request.execute()) {
            Err(refused) if refused.errno == Errno::EXIST => Ok(()),
            answer => answer,
        }
    }

    /// All addresses.
    pub(crate) fn addresses(&self) -> Result<Vec<IpAddr>, Refused> {
        Ok(self.address_messages()?.iter().filter_map(address).collect())
    }

    /// The IPv4 subnets that are in use, by an address or by a route, but those of one interface.
    pub(crate) fn used_subnets(&self, but: Option<u32>) -> Result<Vec<Subnet>, Refused> {
        let mut used: Vec<Subnet> = self.messages_of_others(but)?.iter().filter_map(subnet).collect();
        used.extend(self.destinations::<Ipv4Addr>(but)?.into_iter().filter_map(|(to, prefix)| Subnet::new(to, prefix)));
        Ok(used)
    }

    /// The same for IPv6.
    pub(crate) fn used_subnets6(&self, but: Option<u32>) -> Result<Vec<Subnet6>, Refused> {
        let mut used: Vec<Subnet6> = self.messages_of_others(but)?.iter().filter_map(subnet6).collect();
        used.extend(
            self.destinations::<Ipv6Addr>(but)?.into_iter().filter_map(|(to, prefix)| Subnet6::new(to, prefix)),
        );
        Ok(used)
    }

    fn messages_of_others(&self, but: Option<u32>) -> Result<Vec<AddressMessage>, Refused> {
        let mut messages = self.address_messages()?;
        messages.retain(|message| Some(message.header.index) != but);
        Ok(messages)
    }

    fn address_messages(&self) -> Result<Vec<AddressMessage>, Refused> {
        self.run("reading the addresses", self.handle.address().get().execute().try_collect())
    }
}

fn subnet(message: &AddressMessage) -> Option<Subnet> {
    match address(message)? {
        IpAddr::V4(address) => Subnet::new(address, message.header.prefix_len),
        IpAddr::V6(_) => None,
    }
}

fn subnet6(message: &AddressMessage) -> Option<Subnet6> {
    match address(message)? {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Subnet6::new(address, message.header.prefix_len),
    }
}

fn address(message: &AddressMessage) -> Option<IpAddr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    })
}
