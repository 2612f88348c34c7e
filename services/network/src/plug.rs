//! Connecting a sandbox to the bridge.

use crate::lease::{Lease, alias, interface_name, interface_stem};
use crate::link::{Link, Links, OtherEnd};
use crate::namespace::Namespace;
use crate::netlink::Refused;
use crate::subnets::Subnets;
use crate::sysctl;
use rustix::io::Errno;
use schema::common::SandboxRef;
use schema::{ContainerId, Failure};

/// The container's interface.
const INSIDE: &str = "eth0";

/// Sets loopback up in a sandbox, and nothing else.
pub(crate) fn loopback_only(sandbox: &SandboxRef) -> Result<(), Failure> {
    Ok(Namespace::of(sandbox)?.run(Links::open)??.loopback_up()?)
}

/// Connects a sandbox as its lease says: the pair of interfaces, addresses, route. What an earlier attempt has
/// done is kept. Answers with the name of the interface at the host's end.
pub(crate) fn connect(
    host: &Links,
    bridge: &Link,
    id: &ContainerId,
    lease: &Lease,
    subnets: Subnets,
    mtu: u32,
) -> Result<String, Failure> {
    let namespace = Namespace::of(&lease.sandbox)?;
    let inside = namespace.run(|| sysctl::prepare_container().and_then(|()| Ok(Links::open()?)))??;
    let (found, at_host) = pair(host, bridge, &inside, mtu, (id, lease), &namespace)?;
    join(host, bridge, id, lease, &at_host)?;
    inside.loopback_up()?;
    inside.add_address(found.index, lease.address.into(), subnets.v4.prefix())?;
    inside.set_up(found.index)?;
    inside.set_default_route(found.index, subnets.v4.gateway().into())?;
    if let (Some(address), Some(subnet)) = (lease.address6, subnets.v6) {
        inside.add_address(found.index, address.into(), subnet.prefix())?;
        inside.set_default_route(found.index, subnet.gateway().into())?;
    }
    inside.wait_until_running(found.index)?;
    host.wait_until_running(at_host.index)?;
    if !bridge.running {
        host.wait_until_running(bridge.index)?;
    }
    Ok(at_host.name)
}

/// Makes the pair, or finds the one that an earlier attempt has made. Another interface of the same name is a leftover: our
/// names belong to one run of one container, and that run has no interface yet.
fn pair(
    host: &Links,
    bridge: &Link,
    inside: &Links,
    mtu: u32,
    (id, lease): (&ContainerId, &Lease),
    namespace: &Namespace,
) -> Result<(Link, Link), Failure> {
    let interface = interface_name(id, &lease.sandbox);
    let other = OtherEnd { name: INSIDE, mac: lease.mac(), namespace: namespace.descriptor() };
    let make = || host.add_veth(&interface, bridge.index, mtu, &other);
    match make() {
        Err(refused) if refused.errno == Errno::EXIST => {
            if let Some(both) = standing(host, inside, id, lease)? {
                return Ok(both);
            }
            if let Some(leftover) = host.named(&interface)? {
                host.remove(leftover.index)?;
            }
            make()?;
        }
        answer => answer?,
    }
    let made = standing(host, inside, id, lease)?;
    Ok(made.ok_or_else(|| Refused::new("looking for the new pair", Errno::NODEV))?)
}

/// The pair that the sandbox has: the end inside, and the host's. It may be older than this attempt: an earlier
/// one was cut off, or another process of the same sandbox stands for it now. One that was made for another
/// address is removed.
fn standing(host: &Links, inside: &Links, id: &ContainerId, lease: &Lease) -> Result<Option<(Link, Link)>, Failure> {
    let Some(found) = inside.named(INSIDE)? else { return Ok(None) };
    let at_host = match found.peer {
        Some(index) => host.numbered(index)?,
        None => None,
    };
    match at_host.filter(|link| link.name.starts_with(&interface_stem(id))) {
        Some(link) if found.has(lease.mac()) => Ok(Some((found, link))),
        Some(link) => {
            host.remove(link.index)?;
            Ok(None)
        }
        None => Err(Failure::conflict(format_args!(
            "the sandbox with process {} has an interface {INSIDE} that is not of this container",
            lease.sandbox.pid
        ))),
    }
}

/// Makes sure that the host's end is up and a port of the bridge.
fn join(host: &Links, bridge: &Link, id: &ContainerId, lease: &Lease, link: &Link) -> Result<(), Failure> {
    sysctl::silence(&link.name)?;
    if link.bridge != Some(bridge.index) {
        host.set_bridge(link.index, Some(bridge.index))?;
    }
    host.set_port(link.index, &alias(id, lease.address))?;
    if !link.up {
        host.set_up(link.index)?;
    }
    Ok(())
}

/// The same for all leases, where the interface exists.
pub(crate) fn join_all<'a>(
    host: &Links,
    bridge: &Link,
    leases: impl Iterator<Item = (&'a ContainerId, &'a Lease)>,
) -> Result<(), Failure> {
    let mut running = false;
    for (id, lease) in leases {
        if let Some(link) = host.named(&lease.interface)? {
            join(host, bridge, id, lease, &link)?;
            running |= link.running;
        }
    }
    if running { Ok(host.wait_until_running(bridge.index)?) } else { Ok(()) }
}

/// Takes the host's end off the bridge; tells whether it is there. It is not removed, which is slow: it goes with
/// its namespace. But until then it must not answer for an address that may be another's.
pub(crate) fn unplug(host: &Links, interface: &str) -> Result<bool, Refused> {
    let Some(link) = host.named(interface)? else { return Ok(false) };
    if link.bridge.is_some() {
        match host.set_bridge(link.index, None) {
            Err(refused) if refused.is_missing() => return Ok(false),
            answer => answer?,
        }
    }
    Ok(true)
}
