//! What all containers of an instance stand on: the bridge, its subnet, the kernel's switches.

use crate::lease::parse_alias;
use crate::link::{Link, Links, Mac};
use crate::subnet::{Subnet, choose};
use crate::subnet6::{self, Subnet6};
use crate::subnets::Subnets;
use crate::sysctl;
use schema::{ContainerId, Failure};
use std::net::Ipv4Addr;

/// Where the host has no way to the world.
const USUAL_MTU: u32 = 1500;
/// The least that IPv6 can do with (RFC 8200), and the most that a pair takes.
const MTU: std::ops::RangeInclusive<u32> = 1280..=65535;
/// Two instances that start at the same time may clash; more often than this they do not.
const ATTEMPTS: u32 = 16;

/// The bridge of an instance.
pub(crate) struct Ground {
    name: String,
    links: Links,
}

impl Ground {
    /// The bridge of this name, whether it exists or not.
    pub(crate) fn new(name: &str) -> Result<Self, Failure> {
        Ok(Self { name: name.to_owned(), links: Links::open()? })
    }

    /// The name of the bridge.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The links of the host.
    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// Opens the way to the links again, if it failed. To be called before a piece of work begins.
    pub(crate) fn mend(&mut self) -> Result<(), Failure> {
        if self.links.is_broken() {
            self.links = Links::open()?;
        }
        Ok(())
    }

    /// The bridge, if it is there and complete: it is set up last.
    pub(crate) fn bridge(&self) -> Result<Option<Link>, Failure> {
        Ok(self.find()?.filter(|bridge| bridge.up))
    }

    /// Lets the host pass packets on between the bridge and the world.
    pub(crate) fn forward(&self, subnets: Subnets) -> Result<(), Failure> {
        sysctl::enable(sysctl::FORWARDING)?;
        if subnets.v6.is_some() { sysctl::enable_forwarding6() } else { Ok(()) }
    }

    /// The subnet of the bridge, if it is there.
    pub(crate) fn subnet(&self) -> Result<Option<Subnet>, Failure> {
        match self.find()? {
            Some(bridge) => Ok(self.links.subnet(bridge.index)?),
            None => Ok(None),
        }
    }

    /// The IPv6 subnet of the bridge, if it is there.
    pub(crate) fn subnet6(&self) -> Result<Option<Subnet6>, Failure> {
        match self.find()? {
            Some(bridge) => Ok(self.links.subnet6(bridge.index)?),
            None => Ok(None),
        }
    }

    /// The largest packet that a container sends, in bytes. Larger ones than the link to the world takes would only
    /// be cut up, or lost.
    pub(crate) fn mtu(&self) -> Result<u32, Failure> {
        Ok(self.links.uplink_mtu()?.unwrap_or(USUAL_MTU).clamp(*MTU.start(), *MTU.end()))
    }

    /// The containers that are connected to the bridge, by what their interfaces say: id, address, interface.
    pub(crate) fn connected(&self) -> Result<Vec<(ContainerId, Ipv4Addr, String)>, Failure> {
        let Some(bridge) = self.find()? else { return Ok(Vec::new()) };
        let ports = self.links.ports(bridge.index)?.into_iter();
        Ok(ports.filter_map(|port| parse_alias(&port.alias).map(|(id, address)| (id, address, port.name))).collect())
    }

    /// Makes the bridge on given subnets, or completes it.
    pub(crate) fn make_bridge(&self, subnets: Subnets) -> Result<Link, Failure> {
        let bridge = match self.find()? {
            Some(bridge) => bridge,
            None => self.add(subnets.v4)?,
        };
        self.address_bridge(&bridge, subnets)?;
        self.finish_bridge(&bridge, subnets)?;
        Ok(bridge)
    }

    /// Completes the bridge, if it is there.
    pub(crate) fn complete_bridge(&self, subnets: Subnets) -> Result<(), Failure> {
        match self.find()? {
            Some(_) => self.make_bridge(subnets).map(drop),
            None => Ok(()),
        }
    }

    /// Makes the bridge on subnets that nothing else on the host uses: the given ones, if it may be. It is not
    /// yet up: [`finish_bridge`](Self::finish_bridge) does that, when the choice is recorded.
    pub(crate) fn make_bridge_on_free_subnets(&self, wanted: Option<Subnets>) -> Result<(Link, Subnets), Failure> {
        self.remove_bridge()?;
        for attempt in 0..ATTEMPTS {
            let subnets = match wanted {
                Some(wanted) if attempt == 0 && !self.are_used(wanted, None)? => wanted,
                _ => self.choose_subnets(attempt)?,
            };
            let bridge = self.add(subnets.v4)?;
            self.address_bridge(&bridge, subnets)?;
            // Whoever took the same subnet at the same moment: of two, the later one sees the earlier one here.
            if !self.are_used(subnets, Some(bridge.index))? {
                return Ok((bridge, subnets));
            }
            tracing::info!(?subnets, attempt, "another took the same subnet; choosing again");
            self.links.remove(bridge.index)?;
        }
        Err(no_free_subnet())
    }

    /// Sets the kernel's switches, and the bridge up.
    pub(crate) fn finish_bridge(&self, bridge: &Link, subnets: Subnets) -> Result<(), Failure> {
        self.forward(subnets)?;
        sysctl::enable(&sysctl::route_localnet(&self.name))?;
        if !bridge.up {
            self.links.set_up(bridge.index)?;
        }
        Ok(())
    }

    fn address_bridge(&self, bridge: &Link, subnets: Subnets) -> Result<(), Failure> {
        self.links.add_address(bridge.index, subnets.v4.gateway().into(), subnets.v4.prefix())?;
        if let Some(subnet) = subnets.v6 {
            sysctl::trust_nobody(&self.name)?;
            self.links.add_address(bridge.index, subnet.gateway().into(), subnet.prefix())?;
        }
        Ok(())
    }

    /// Subnets that nothing on the host uses.
    pub(crate) fn choose_subnets(&self, attempt: u32) -> Result<Subnets, Failure> {
        let v4 = choose(&self.name, attempt, &self.links.used_subnets(None)?).ok_or_else(no_free_subnet)?;
        let v6 = if sysctl::has_ipv6()? { self.choose_subnet6(attempt)? } else { None };
        Ok(Subnets { v4, v6 })
    }

    /// An IPv6 subnet that nothing on the host uses. None if there is none, which is said and no more: containers
    /// do with IPv4 alone.
    pub(crate) fn choose_subnet6(&self, attempt: u32) -> Result<Option<Subnet6>, Failure> {
        let chosen = subnet6::choose(&self.name, attempt, &self.links.used_subnets6(None)?);
        if chosen.is_none() {
            tracing::warn!("the host's routes cover the unique local addresses: containers have no IPv6");
        }
        Ok(chosen)
    }

    /// Removes the bridge; done also if there is none.
    pub(crate) fn remove_bridge(&self) -> Result<(), Failure> {
        match self.find()? {
            Some(bridge) => Ok(self.links.remove(bridge.index)?),
            None => Ok(()),
        }
    }

    fn find(&self) -> Result<Option<Link>, Failure> {
        match self.links.named(&self.name)? {
            Some(link) if !link.is_bridge => {
                Err(Failure::conflict(format_args!("there is an interface {} that is no bridge", self.name))
                    .hint("rename or remove it: `ip link delete`"))
            }
            found => Ok(found),
        }
    }

    fn add(&self, subnet: Subnet) -> Result<Link, Failure> {
        self.links.add_bridge(&self.name, Mac::of(subnet.gateway()), self.mtu()?)?;
        self.find()?.ok_or_else(|| Failure::internal(format_args!("the bridge {} vanished", self.name)))
    }

    fn are_used(&self, Subnets { v4, v6 }: Subnets, but: Option<u32>) -> Result<bool, Failure> {
        let v4_is = self.links.used_subnets(but)?.iter().any(|used| used.overlaps(&v4));
        let Some(v6) = v6.filter(|_| !v4_is) else { return Ok(v4_is) };
        Ok(self.links.used_subnets6(but)?.iter().any(|used| used.overlaps(&v6)))
    }
}

fn no_free_subnet() -> Failure {
    Failure::exhausted("no free subnet: the host's routes cover all private addresses that containers may have")
        .hint("`ip -4 route` shows them")
}
