//! Which ports of the host are published, and which comes next.

use rustix::io::Errno;
use schema::common::{PortBinding, Protocol};
use schema::{ContainerId, Failure};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Ports that are chosen when none is asked for: above the registered ones.
pub const FIRST: u16 = 49153;
/// The highest of them.
pub const LAST: u16 = 65534;

/// On which address a port is published, and by whom.
type Owned = (IpAddr, ContainerId);

/// The published ports of all containers. Chosen ports ascend, round and round, so that a port that was given
/// back rests as long as possible.
#[derive(Clone, Debug)]
pub struct Ports {
    bound: BTreeMap<(Protocol, u16), Vec<Owned>>,
    /// Where the next search begins.
    next: u16,
}

impl Ports {
    /// Nothing is published. The first search begins at a port that depends on `seed`.
    pub fn new(seed: u64) -> Self {
        let count = u64::from(LAST - FIRST) + 1;
        Self { bound: BTreeMap::new(), next: FIRST + (seed % count) as u16 }
    }

    /// Publishes ports for a container: each as requested, or chosen where the request says 0. `all` is what stands
    /// for all addresses, one for each version of IP that the host has; a request for all becomes one for each of
    /// them, with the same port. `reserve` asks the host for a port and gives what holds it. All or nothing.
    pub fn publish<R>(
        &mut self,
        owner: &ContainerId,
        requested: &[PortBinding],
        all: &[IpAddr],
        mut reserve: impl FnMut(&PortBinding) -> Result<R, Errno>,
    ) -> Result<Vec<(PortBinding, R)>, Failure> {
        let mut published: Vec<(PortBinding, R)> = Vec::with_capacity(requested.len());
        for request in requested {
            let found = addresses(request, all).and_then(|addresses| match request.host_port {
                0 => self.choose(request, &addresses, &mut reserve),
                _ => self.take(request, &addresses, &mut reserve),
            });
            match found {
                Ok(found) => {
                    for (binding, held) in found {
                        self.claim(owner, &binding);
                        published.push((binding, held));
                    }
                }
                Err(failure) => {
                    for (binding, _) in &published {
                        self.release(owner, binding);
                    }
                    return Err(failure);
                }
            }
        }
        Ok(published)
    }

    /// Publishes a port that was published before.
    pub fn claim(&mut self, owner: &ContainerId, binding: &PortBinding) {
        let bound = self.bound.entry((binding.protocol, binding.host_port)).or_default();
        bound.push((address_of(binding), owner.clone()));
    }

    /// Gives a port back.
    pub fn release(&mut self, owner: &ContainerId, binding: &PortBinding) {
        let key = (binding.protocol, binding.host_port);
        if let Some(bound) = self.bound.get_mut(&key) {
            bound.retain(|(address, by)| !(by == owner && *address == address_of(binding)));
            if bound.is_empty() {
                self.bound.remove(&key);
            }
        }
    }

    /// Who has published a port that this one overlaps: the same protocol and number, and the same address or
    /// one that stands for all of the same version of IP.
    pub fn published_by(&self, binding: &PortBinding) -> Option<&ContainerId> {
        let wanted = address_of(binding);
        self.bound
            .get(&(binding.protocol, binding.host_port))?
            .iter()
            .find(|(address, _)| overlap(*address, wanted))
            .map(|(_, owner)| owner)
    }

    fn take<R>(
        &self,
        request: &PortBinding,
        addresses: &[IpAddr],
        reserve: &mut impl FnMut(&PortBinding) -> Result<R, Errno>,
    ) -> Result<Vec<(PortBinding, R)>, Failure> {
        let one = |address: &IpAddr| {
            let binding = PortBinding { host_address: Some(*address), ..*request };
            if let Some(owner) = self.published_by(&binding) {
                return Err(Failure::conflict(format_args!(
                    "port already in use: {} is published by container {}",
                    shown(&binding),
                    owner.short()
                ))
                .hint("publish another port of the host, or leave the choice to cctl: -p CONTAINER_PORT"));
            }
            reserve(&binding).map(|held| (binding, held)).map_err(|errno| refused(&binding, errno))
        };
        addresses.iter().map(one).collect()
    }

    fn choose<R>(
        &mut self,
        request: &PortBinding,
        addresses: &[IpAddr],
        reserve: &mut impl FnMut(&PortBinding) -> Result<R, Errno>,
    ) -> Result<Vec<(PortBinding, R)>, Failure> {
        let start = self.next;
        'ports: for host_port in (start..=LAST).chain(FIRST..start) {
            let mut found = Vec::with_capacity(addresses.len());
            for address in addresses {
                let binding = PortBinding { host_address: Some(*address), host_port, ..*request };
                if self.published_by(&binding).is_some() {
                    continue 'ports;
                }
                match reserve(&binding) {
                    Ok(held) => found.push((binding, held)),
                    Err(Errno::ADDRINUSE | Errno::ACCESS) => continue 'ports,
                    Err(errno) => return Err(refused(&binding, errno)),
                }
            }
            self.next = if host_port == LAST { FIRST } else { host_port + 1 };
            return Ok(found);
        }
        Err(Failure::exhausted(format_args!("no free {} port from {FIRST} to {LAST}", request.protocol))
            .hint("remove containers that publish ports, or name a port: -p HOST_PORT:CONTAINER_PORT"))
    }
}

/// The addresses that a request is for.
fn addresses(request: &PortBinding, all: &[IpAddr]) -> Result<Vec<IpAddr>, Failure> {
    let Some(address) = request.host_address.map(|address| address.to_canonical()) else { return Ok(all.to_vec()) };
    if all.iter().any(|one| one.is_ipv4() == address.is_ipv4()) {
        return Ok(vec![address]);
    }
    let binding = PortBinding { host_address: Some(address), ..*request };
    Err(Failure::invalid(format_args!("cannot publish {}: this host has no IPv6", shown(&binding)))
        .hint("`sysctl net.ipv6.conf.all.disable_ipv6` tells whether it is switched off"))
}

/// Where a published port is listened on. Those that were published when there was only IPv4 have no address
/// if they are for all.
pub(crate) fn address_of(binding: &PortBinding) -> IpAddr {
    binding.host_address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4() && (one.is_unspecified() || other.is_unspecified() || one == other)
}

/// A binding as people write it: `0.0.0.0:8080/tcp`.
fn shown(binding: &PortBinding) -> String {
    format!("{}/{}", SocketAddr::new(address_of(binding), binding.host_port), binding.protocol)
}

fn refused(binding: &PortBinding, errno: Errno) -> Failure {
    let port = shown(binding);
    match errno {
        Errno::ADDRINUSE => Failure::conflict(format_args!(
            "port already in use: {port} by another process of the host"
        ))
        .hint(format_args!("`ss -lpn sport = :{}` shows which; publish another port or stop it", binding.host_port)),
        Errno::ADDRNOTAVAIL => {
            let address = address_of(binding);
            Failure::invalid(format_args!("cannot publish {port}: {address} is not an address of this host"))
                .hint("`ip address` shows this host's addresses; without an address, all are used")
        }
        Errno::INVAL => Failure::invalid(format_args!("cannot publish {port}: a link-local address is not enough"))
            .hint("name another address of the host, or none for all"),
        Errno::ACCESS | Errno::PERM => Failure::permission_denied(format_args!(
            "cannot publish {port}: permission denied"
        ))
        .hint("for ports below 1024 the network service needs CAP_NET_BIND_SERVICE; see its entry in services.toml"),
        errno => Failure::io(format_args!("cannot publish {port}"), &errno.into()),
    }
}

#[cfg(test)]
mod tests;
