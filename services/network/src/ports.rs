//! Which ports of the host are published, and which comes next.

use rustix::io::Errno;
use schema::common::{PortBinding, Protocol};
use schema::{ContainerId, Failure};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Ports that are chosen when none is asked for: above the registered ones.
pub const FIRST: u16 = 49153;
/// The highest of them.
pub const LAST: u16 = 65534;

/// On which address a port is published (none: all), and by whom.
type Owned = (Option<IpAddr>, ContainerId);

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

    /// Publishes ports for a container: each as requested, or chosen where the request says 0. `reserve` asks
    /// the host for a port and gives what holds it. All or nothing.
    pub fn publish<R>(
        &mut self,
        owner: &ContainerId,
        requested: &[PortBinding],
        mut reserve: impl FnMut(&PortBinding) -> Result<R, Errno>,
    ) -> Result<Vec<(PortBinding, R)>, Failure> {
        let mut published: Vec<(PortBinding, R)> = Vec::with_capacity(requested.len());
        for request in requested {
            let one = match request.host_port {
                0 => self.choose(request, &mut reserve),
                _ => self.take(request, &mut reserve),
            };
            match one {
                Ok((binding, held)) => {
                    self.claim(owner, &binding);
                    published.push((binding, held));
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
    /// one of the two for all addresses.
    pub fn published_by(&self, binding: &PortBinding) -> Option<&ContainerId> {
        let wanted = address_of(binding);
        self.bound
            .get(&(binding.protocol, binding.host_port))?
            .iter()
            .find(|(address, _)| address.is_none() || wanted.is_none() || *address == wanted)
            .map(|(_, owner)| owner)
    }

    fn take<R>(
        &self,
        request: &PortBinding,
        reserve: &mut impl FnMut(&PortBinding) -> Result<R, Errno>,
    ) -> Result<(PortBinding, R), Failure> {
        let binding = normal(request);
        if let Some(owner) = self.published_by(&binding) {
            return Err(Failure::conflict(format_args!(
                "port already in use: {} is published by container {}",
                shown(&binding),
                owner.short()
            ))
            .hint("publish another port of the host, or leave the choice to cctl: -p CONTAINER_PORT"));
        }
        reserve(&binding).map(|held| (binding, held)).map_err(|errno| refused(&binding, errno))
    }

    fn choose<R>(
        &mut self,
        request: &PortBinding,
        reserve: &mut impl FnMut(&PortBinding) -> Result<R, Errno>,
    ) -> Result<(PortBinding, R), Failure> {
        let start = self.next;
        for host_port in (start..=LAST).chain(FIRST..start) {
            let binding = PortBinding { host_port, ..normal(request) };
            if self.published_by(&binding).is_some() {
                continue;
            }
            match reserve(&binding) {
                Ok(held) => {
                    self.next = if host_port == LAST { FIRST } else { host_port + 1 };
                    return Ok((binding, held));
                }
                Err(Errno::ADDRINUSE | Errno::ACCESS) => {}
                Err(errno) => return Err(refused(&binding, errno)),
            }
        }
        Err(Failure::exhausted(format_args!("no free {} port from {FIRST} to {LAST}", request.protocol))
            .hint("remove containers that publish ports, or name a port: -p HOST_PORT:CONTAINER_PORT"))
    }
}

/// The same binding, with one way of saying "all addresses".
fn normal(binding: &PortBinding) -> PortBinding {
    PortBinding { host_address: address_of(binding), ..*binding }
}

fn address_of(binding: &PortBinding) -> Option<IpAddr> {
    binding.host_address.filter(|address| !address.is_unspecified())
}

/// A binding as people write it: `0.0.0.0:8080/tcp`.
fn shown(binding: &PortBinding) -> String {
    let address = binding.host_address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    format!("{address}:{}/{}", binding.host_port, binding.protocol)
}

fn refused(binding: &PortBinding, errno: Errno) -> Failure {
    let port = shown(binding);
    match errno {
        Errno::ADDRINUSE => Failure::conflict(format_args!(
            "port already in use: {port} by another process of the host"
        ))
        .hint(format_args!("`ss -lpn sport = :{}` shows which; publish another port or stop it", binding.host_port)),
        Errno::ADDRNOTAVAIL => {
            let address = binding.host_address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            Failure::invalid(format_args!("cannot publish {port}: {address} is not an address of this host"))
                .hint("`ip -4 address` shows this host's addresses; without an address, all are used")
        }
        Errno::ACCESS | Errno::PERM => Failure::permission_denied(format_args!(
            "cannot publish {port}: permission denied"
        ))
        .hint("for ports below 1024 the network service needs CAP_NET_BIND_SERVICE; see its entry in services.toml"),
        errno => Failure::io(format_args!("cannot publish {port}"), &errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schema::Code;
    use std::collections::BTreeSet;

    fn id(byte: u8) -> ContainerId {
        ContainerId::from_bytes([byte; 32])
    }

    fn port(address: Option<[u8; 4]>, host_port: u16, protocol: Protocol) -> PortBinding {
        PortBinding { host_address: address.map(IpAddr::from), host_port, container_port: 80, protocol }
    }

    fn publish(ports: &mut Ports, owner: u8, requested: &[PortBinding]) -> Result<Vec<PortBinding>, Failure> {
        let published = ports.publish(&id(owner), requested, |_| Ok(()))?;
        Ok(published.into_iter().map(|(binding, ())| binding).collect())
    }

    #[test]
    fn a_port_in_use_names_its_owner() {
        let mut ports = Ports::new(0);
        publish(&mut ports, 0xaa, &[port(None, 8080, Protocol::Tcp)]).unwrap();
        let failure = publish(&mut ports, 0xbb, &[port(None, 8080, Protocol::Tcp)]).unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert_eq!(failure.message, "port already in use: 0.0.0.0:8080/tcp is published by container aaaaaaaaaaaa");
        assert!(!failure.hint.is_empty());
    }

    #[test]
    fn a_refusal_of_the_host_is_explained() {
        for (errno, code, word) in [
            (Errno::ADDRINUSE, Code::Conflict, "by another process of the host"),
            (Errno::ADDRNOTAVAIL, Code::InvalidArgument, "192.0.2.9 is not an address of this host"),
            (Errno::ACCESS, Code::PermissionDenied, "192.0.2.9:80/udp"),
            (Errno::MFILE, Code::ResourceExhausted, "192.0.2.9:80/udp"),
        ] {
            let request = port(Some([192, 0, 2, 9]), 80, Protocol::Udp);
            let failure = Ports::new(0).publish(&id(1), &[request], |_| Err::<(), _>(errno)).unwrap_err();
            assert_eq!(failure.code, code);
            assert!(failure.message.contains(word), "{}", failure.message);
        }
    }

    #[test]
    fn overlap() {
        let (one, other) = (Some([127, 0, 0, 1]), Some([192, 0, 2, 1]));
        for (first, second, overlap) in [
            (None, None, true),
            (None, one, true),
            (one, None, true),
            (one, one, true),
            (one, other, false),
            (Some([0, 0, 0, 0]), one, true),
            (one, Some([0, 0, 0, 0]), true),
        ] {
            let mut ports = Ports::new(0);
            publish(&mut ports, 1, &[port(first, 53, Protocol::Udp)]).unwrap();
            assert_eq!(publish(&mut ports, 2, &[port(second, 53, Protocol::Udp)]).is_err(), overlap);
            assert!(publish(&mut ports, 2, &[port(second, 53, Protocol::Tcp)]).is_ok());
            assert!(publish(&mut ports, 2, &[port(second, 54, Protocol::Udp)]).is_ok());
        }
    }

    #[test]
    fn all_or_nothing() {
        let mut ports = Ports::new(0);
        let requested = [port(None, 1, Protocol::Tcp), port(None, 2, Protocol::Tcp), port(None, 1, Protocol::Tcp)];
        assert!(publish(&mut ports, 1, &requested).is_err());
        assert!(ports.bound.is_empty());
    }

    #[test]
    fn chosen_ports_go_round_and_skip_what_the_host_uses() {
        let mut ports = Ports::new(u64::from(LAST - FIRST));
        let request = [port(None, 0, Protocol::Tcp)];
        let first = publish(&mut ports, 1, &request).unwrap();
        assert_eq!(first[0].host_port, LAST);
        ports.release(&id(1), &first[0]);
        let second = ports
            .publish(
                &id(1),
                &request,
                |binding| if binding.host_port < FIRST + 3 { Err(Errno::ADDRINUSE) } else { Ok(()) },
            )
            .unwrap();
        assert_eq!(second[0].0.host_port, FIRST + 3);
    }

    #[test]
    fn the_whole_range_is_used_and_then_exhausted() {
        let mut ports = Ports::new(777);
        let mut seen = BTreeSet::new();
        for _ in FIRST..=LAST {
            seen.insert(publish(&mut ports, 1, &[port(None, 0, Protocol::Tcp)]).unwrap()[0].host_port);
        }
        assert_eq!(seen.len(), usize::from(LAST - FIRST) + 1);
        let failure = publish(&mut ports, 1, &[port(None, 0, Protocol::Tcp)]).unwrap_err();
        assert_eq!(failure.code, Code::ResourceExhausted);
        assert!(publish(&mut ports, 1, &[port(None, 0, Protocol::Udp)]).is_ok());
    }

    prop_compose! {
        fn any_port()(address in prop::option::of(1_u8..4), number in 0_u16..5, udp: bool) -> PortBinding {
            port(address.map(|last| [127, 0, 0, last]), number, if udp { Protocol::Udp } else { Protocol::Tcp })
        }
    }

    proptest! {
        #[test]
        fn what_is_published_never_overlaps(steps in prop::collection::vec((0_u8..6, prop::collection::vec(any_port(), 0..3), any::<bool>()), 0..60)) {
            let mut ports = Ports::new(3);
            let mut model: BTreeMap<u8, Vec<PortBinding>> = BTreeMap::new();
            for (owner, requested, release) in steps {
                if release {
                    for binding in model.remove(&owner).unwrap_or_default() {
                        ports.release(&id(owner), &binding);
                    }
                } else if let Ok(published) = publish(&mut ports, owner, &requested) {
                    model.entry(owner).or_default().extend(published);
                }
                let all: Vec<_> = model.values().flatten().collect();
                for (index, one) in all.iter().enumerate() {
                    prop_assert!(one.host_port != 0);
                    for other in &all[index + 1..] {
                        let apart = one.protocol != other.protocol
                            || one.host_port != other.host_port
                            || (one.host_address != other.host_address && one.host_address.is_some() && other.host_address.is_some());
                        prop_assert!(apart, "{one:?} and {other:?}");
                    }
                }
                prop_assert_eq!(ports.bound.values().map(Vec::len).sum::<usize>(), all.len());
            }
        }
    }
}
