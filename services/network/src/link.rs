//! Links of one network namespace, by rtnetlink; `addresses` and `routes` have the rest.
//!
//! The kernel carries such a request out inside `sendmsg`, under one lock of the whole system, also if the
//! socket does not block. So this is blocking work and shows it: the methods are synchronous, and belong on a
//! thread that may wait.

mod addresses;
mod driver;
mod routes;

use crate::netlink::Refused;
use driver::Driver;
use futures::TryStreamExt;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rtnetlink::{Handle, LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth};
use rustix::io::Errno;
use std::fmt;
use std::future::Future;
use std::net::Ipv4Addr;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// The kernel's own limit for noticing that an interface runs.
const RUNNING_AT_LAST: Duration = Duration::from_secs(1);
/// The interface that every namespace is born with.
const LOOPBACK: u32 = 1;

/// A hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mac([u8; 6]);

impl Mac {
    /// The one that goes with an IPv4 address: locally administered, and unique where the address is.
    pub(crate) fn of(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What we want to know of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its number in its namespace.
    pub(crate) index: u32,
    /// Its name.
    pub(crate) name: String,
    /// Whether it is set up.
    pub(crate) up: bool,
    /// Whether it passes packets, which it does a moment after it is set up.
    pub(crate) running: bool,
    /// Largest packet, bytes.
    pub(crate) mtu: u32,
    /// Hardware address.
    pub(crate) mac: Option<[u8; 6]>,
    /// Whether it is a bridge.
    pub(crate) is_bridge: bool,
    /// What was said of it when it was made.
    pub(crate) alias: String,
    /// The bridge that it is a port of.
    pub(crate) bridge: Option<u32>,
    /// The number of the other end, in that one's namespace.
    pub(crate) peer: Option<u32>,
}

impl Link {
    /// Whether it has this hardware address.
    pub(crate) fn has(&self, mac: Mac) -> bool {
        self.mac == Some(mac.0)
    }
}

/// An rtnetlink socket in one network namespace.
pub(crate) struct Links {
    /// Drives the socket, and closes it when it is dropped: an open one would keep the namespace alive.
    driver: Driver,
    handle: Handle,
}

/// The end of a pair that is in another namespace.
#[derive(Debug)]
pub(crate) struct OtherEnd<'a> {
    /// Its name there.
    pub(crate) name: &'a str,
    /// Its hardware address.
    pub(crate) mac: Mac,
    /// The open namespace.
    pub(crate) namespace: RawFd,
}

impl Links {
    /// Opens a socket in the namespace of this thread. It stays there, wherever it is used.
    pub(crate) fn open() -> Result<Self, Refused> {
        let opened = Driver::open().map_err(|error| Refused::failed("opening an rtnetlink socket", &error));
        opened.map(|(driver, handle)| Self { driver, handle })
    }

    /// The interface of this name.
    pub(crate) fn named(&self, name: &str) -> Result<Option<Link>, Refused> {
        let request = self.handle.link().get().match_name(name);
        self.one(format_args!("looking for {name}"), request.execute().try_next())
    }

    /// The interface of this number.
    pub(crate) fn numbered(&self, index: u32) -> Result<Option<Link>, Refused> {
        let request = self.handle.link().get().match_index(index);
        self.one(format_args!("looking for interface {index}"), request.execute().try_next())
    }

    /// Makes a bridge, not yet up.
    pub(crate) fn add_bridge(&self, name: &str, mac: Mac, mtu: u32) -> Result<(), Refused> {
        let bridge = LinkBridge::new(name).address(mac.0.to_vec()).mtu(mtu).build();
        self.run(format_args!("making the bridge {name}"), self.handle.link().add(bridge).execute())
    }

    /// Makes a pair: this end a port of the bridge and up, the other born in another namespace.
    pub(crate) fn add_veth(&self, name: &str, bridge: u32, mtu: u32, other: &OtherEnd<'_>) -> Result<(), Refused> {
        let peer = LinkMessageBuilder::<LinkUnspec>::default()
            .name(other.name)
            .address(other.mac.0.to_vec())
            .mtu(mtu)
            .setns_by_fd(other.namespace)
            .build();
        let pair = LinkVeth::new(name, other.name)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .controller(bridge)
            .mtu(mtu)
            .up()
            .build();
        let doing = format_args!("making the pair {name} and {}", other.name);
        self.run(doing, self.handle.link().add(pair).execute())
    }

    /// Sets an interface up.
    pub(crate) fn set_up(&self, index: u32) -> Result<(), Refused> {
        let link = LinkUnspec::new_with_index(index).up().build();
        self.run(format_args!("setting interface {index} up"), self.handle.link().set(link).execute())
    }

    /// Makes an interface a port of a bridge, or of none.
    pub(crate) fn set_bridge(&self, index: u32, bridge: Option<u32>) -> Result<(), Refused> {
        let link = LinkUnspec::new_with_index(index).controller(bridge.unwrap_or(0)).build();
        self.run(format_args!("changing the bridge of interface {index}"), self.handle.link().set(link).execute())
    }

    /// The ports of a bridge.
    pub(crate) fn ports(&self, bridge: u32) -> Result<Vec<Link>, Refused> {
        let links = self.run("reading the interfaces", self.handle.link().get().execute().try_collect::<Vec<_>>())?;
        Ok(links.iter().map(parse_link).filter(|link| link.bridge == Some(bridge)).collect())
    }

    /// Names a port of a bridge, and lets it send back what came by it. Where br_netfilter is loaded, a packet of a container to
    /// its own published port is translated in the bridge and must go out where it came in.
    pub(crate) fn set_port(&self, index: u32, alias: &str) -> Result<(), Refused> {
        let port = LinkBridgePort::new(index).hairpin(true).alias(alias).build();
        self.run(format_args!("setting up interface {index} as a port"), self.handle.link().set_port(port).execute())
    }

    /// Waits until an interface passes packets. The kernel gets to it within milliseconds; a first packet that
    /// is lost meanwhile would cost a client a second. Newer kernels (6.8) see to it when they are asked.
    pub(crate) fn wait_until_running(&self, index: u32) -> Result<(), Refused> {
        let start = Instant::now();
        while start.elapsed() < RUNNING_AT_LAST {
            if self.numbered(index)?.is_none_or(|link| link.running) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        tracing::warn!(interface = index, "an interface that is up does not run");
        Ok(())
    }

    /// Removes an interface; done also if there is none. Slow: tens of milliseconds.
    pub(crate) fn remove(&self, index: u32) -> Result<(), Refused> {
        match self.run(format_args!("removing interface {index}"), self.handle.link().del(index).execute()) {
            Err(refused) if refused.is_missing() => Ok(()),
            answer => answer,
        }
    }

    /// Sets loopback up.
    pub(crate) fn loopback_up(&self) -> Result<(), Refused> {
        self.set_up(LOOPBACK)
    }

    fn one(
        &self,
        doing: impl fmt::Display,
        answer: impl Future<Output = Result<Option<LinkMessage>, rtnetlink::Error>>,
    ) -> Result<Option<Link>, Refused> {
        match self.run(doing, answer) {
            Ok(link) => Ok(link.as_ref().map(parse_link)),
            Err(refused) if refused.is_missing() => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    fn run<T>(
        &self,
        doing: impl fmt::Display,
        request: impl Future<Output = Result<T, rtnetlink::Error>>,
    ) -> Result<T, Refused> {
        let answer = self.driver.run(request);
        if self.is_broken() {
            // What waits for an answer then is told that there are no more: as if nothing existed, or all was done.
            return Err(Refused::new(doing, Errno::NOBUFS));
        }
        answer.map_err(|error| match error {
            rtnetlink::Error::NetlinkError(error) => {
                Refused::new(doing, Errno::from_raw_os_error(error.raw_code().saturating_abs()))
            }
            error => Refused { words: error.to_string(), ..Refused::new(doing, Errno::PROTO) },
        })
    }

    /// Whether the socket failed, for want of memory for one, and is of no use any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.driver.is_broken()
    }
}

fn parse_link(message: &LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::Running),
        ..Link::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::IfAlias(alias) => link.alias.clone_from(alias),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(address) => link.mac = address.as_slice().try_into().ok(),
            LinkAttribute::Controller(index) => link.bridge = Some(*index),
            LinkAttribute::Link(index) => link.peer = Some(*index),
            LinkAttribute::LinkInfo(infos) => link.is_bridge = infos.contains(&LinkInfo::Kind(InfoKind::Bridge)),
            _ => {}
        }
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_follow_the_address() {
        assert_eq!(Mac::of(Ipv4Addr::new(10, 88, 1, 2)).to_string(), "02:42:0a:58:01:02");
    }
}
