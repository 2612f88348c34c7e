//! What all containers of an instance stand on: the bridge, its subnet, the kernel's switches.

use crate::lease::parse_alias;
use crate::link::{Link, Links, Mac};
use crate::subnet::{Subnet, choose};
use crate::sysctl;
use schema::{ContainerId, Failure};
use std::net::Ipv4Addr;

/// Larger packets than the link to the world takes would only be cut up.
const USUAL_MTU: u32 = 1500;
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

    /// The bridge, if it is there and complete: it is set up last.
    pub(crate) fn bridge(&self) -> Result<Option<Link>, Failure> {
        sysctl::enable(sysctl::FORWARDING)?;
        Ok(self.find()?.filter(|bridge| bridge.up))
    }

    /// The subnet of the bridge, if it is there.
    pub(crate) fn subnet(&self) -> Result<Option<Subnet>, Failure> {
        match self.find()? {
            Some(bridge) => Ok(self.links.subnet(bridge.index)?),
            None => Ok(None),
        }
    }

    /// The containers that are connected to the bridge, by what their interfaces say: id, address, interface.
    pub(crate) fn connected(&self) -> Result<Vec<(ContainerId, Ipv4Addr, String)>, Failure> {
        let Some(bridge) = self.find()? else { return Ok(Vec::new()) };
        let ports = self.links.ports(bridge.index)?.into_iter();
        Ok(ports.filter_map(|port| parse_alias(&port.alias).map(|(id, address)| (id, address, port.name))).collect())
    }

    /// Makes the bridge on a given subnet, or completes it.
    pub(crate) fn make_bridge(&self, subnet: Subnet) -> Result<Link, Failure> {
        let bridge = match self.find()? {
            Some(bridge) => bridge,
            None => self.add(subnet)?,
        };
        self.links.add_address(bridge.index, subnet.gateway(), subnet)?;
        self.finish_bridge(&bridge)?;
        Ok(bridge)
    }

    /// Makes the bridge on a subnet that nothing else on the host uses: the given one, if it may be. It is not
    /// yet up: [`finish_bridge`](Self::finish_bridge) does that, when the choice is recorded.
    pub(crate) fn make_bridge_on_free_subnet(&self, wanted: Option<Subnet>) -> Result<(Link, Subnet), Failure> {
        self.remove_bridge()?;
        for attempt in 0..ATTEMPTS {
            let subnet = match wanted {
                Some(wanted) if attempt == 0 && !self.is_used(wanted, None)? => wanted,
                _ => self.choose_subnet(attempt)?,
            };
            let bridge = self.add(subnet)?;
            self.links.add_address(bridge.index, subnet.gateway(), subnet)?;
            // Whoever took the same subnet at the same moment: of two, the later one sees the earlier one here.
            if !self.is_used(subnet, Some(bridge.index))? {
                return Ok((bridge, subnet));
            }
            tracing::info!(%subnet, attempt, "another took the same subnet; choosing again");
            self.links.remove(bridge.index)?;
        }
        Err(no_free_subnet())
    }

    /// Sets the kernel's switches, and the bridge up.
    pub(crate) fn finish_bridge(&self, bridge: &Link) -> Result<(), Failure> {
        sysctl::enable(sysctl::FORWARDING)?;
        sysctl::enable(&sysctl::route_localnet(&self.name))?;
        if !bridge.up {
            self.links.set_up(bridge.index)?;
        }
        Ok(())
    }

    /// A subnet that nothing on the host uses.
    pub(crate) fn choose_subnet(&self, attempt: u32) -> Result<Subnet, Failure> {
        choose(&self.name, attempt, &self.links.used_subnets(None)?).ok_or_else(no_free_subnet)
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
        let mtu = self.links.uplink_mtu()?.map_or(USUAL_MTU, |mtu| mtu.min(USUAL_MTU));
        self.links.add_bridge(&self.name, Mac::of(subnet.gateway()), mtu)?;
        self.find()?.ok_or_else(|| Failure::internal(format_args!("the bridge {} vanished", self.name)))
    }

    fn is_used(&self, subnet: Subnet, but: Option<u32>) -> Result<bool, Failure> {
        Ok(self.links.used_subnets(but)?.iter().any(|used| used.overlaps(&subnet)))
    }
}

fn no_free_subnet() -> Failure {
    Failure::exhausted("no free subnet: the host's routes cover all private addresses that containers may have")
        .hint("`ip -4 route` shows them")
}
