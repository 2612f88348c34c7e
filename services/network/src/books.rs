//! Who has which address and which ports: decisions only, no effects.

use crate::ipam::Pool;
use crate::lease::{Lease, interface_name};
use crate::ports::Ports;
use crate::published::Published;
use crate::subnet6::Subnet6;
use crate::subnets::Subnets;
use rustix::io::Errno;
use schema::common::{PortBinding, SandboxRef};
use schema::network::{AttachSpec, Mode};
use schema::{ContainerId, Failure};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The leases of an instance, and what is left to give.
#[derive(Debug)]
pub(crate) struct Books {
    boot: String,
    subnets: Subnets,
    pool: Pool,
    ports: Ports,
    leases: BTreeMap<ContainerId, Lease>,
}

impl Books {
    /// Books of a subnet with the leases that exist. `seed` says where the search for ports begins. A lease
    /// whose address is not in the subnet, or taken, keeps its ports and its place; its address is not given
    /// out again.
    pub(crate) fn new(boot: String, subnets: Subnets, leases: BTreeMap<ContainerId, Lease>, seed: u64) -> Self {
        let mut books = Self {
            boot,
            subnets,
            pool: Pool::new(subnets.v4, subnets.v4.gateway()),
            ports: Ports::new(seed),
            leases: BTreeMap::new(),
        };
        for (id, lease) in leases {
            if !books.pool.claim(lease.address) {
                tracing::error!(container = id.short(), address = %lease.address, subnet = %subnets.v4, "a lease does not fit");
            }
            for binding in &lease.ports {
                books.ports.claim(&id, binding);
            }
            books.leases.insert(id, lease);
        }
        if let Some(latest) = books.leases.values().max_by_key(|lease| lease.order) {
            books.pool.resume_after(latest.address);
        }
        books
    }

    /// The addresses that are given out.
    pub(crate) fn subnets(&self) -> Subnets {
        self.subnets
    }

    /// From now on, addresses of IPv6 are given out, or not any more.
    pub(crate) fn set_v6(&mut self, subnet: Option<Subnet6>) {
        self.subnets.v6 = subnet;
    }

    /// All leases.
    pub(crate) fn leases(&self) -> &BTreeMap<ContainerId, Lease> {
        &self.leases
    }

    /// All published ports.
    pub(crate) fn published(&self) -> Vec<Published> {
        self.leases.values().flat_map(Lease::published).collect()
    }

    /// Gives a container an address and its ports. `reserve` asks the host for a port. All or nothing.
    pub(crate) fn grant<R>(
        &mut self,
        id: &ContainerId,
        sandbox: SandboxRef,
        spec: &AttachSpec,
        reserve: impl FnMut(&PortBinding) -> Result<R, Errno>,
    ) -> Result<(Lease, Vec<R>), Failure> {
        let published = self.ports.publish(id, &spec.ports, &self.subnets.all_addresses(), reserve)?;
        let (ports, held): (Vec<_>, Vec<_>) = published.into_iter().unzip();
        let Some(address) = self.pool.allocate() else {
            ports.iter().for_each(|binding| self.ports.release(id, binding));
            return Err(Failure::exhausted(format_args!("no unallocated IP address available in {}", self.subnets.v4))
                .hint("stop containers that are not needed, or run them with --network none or host"));
        };
        let lease = Lease {
            boot: self.boot.clone(),
            order: self.next_order(),
            sandbox,
            spec: spec.clone(),
            address,
            address6: self.subnets.beside(address),
            ports,
            interface: interface_name(id, &sandbox),
        };
        self.leases.insert(id.clone(), lease.clone());
        Ok((lease, held))
    }

    /// Adds the lease of a container whose record is lost: what is left of it in the kernel, its interface, says
    /// that the address is in use. Its ports are not published any more.
    pub(crate) fn adopt(&mut self, id: ContainerId, address: Ipv4Addr, interface: String) {
        if self.leases.contains_key(&id) || !self.pool.claim(address) {
            return;
        }
        let lease = Lease {
            boot: self.boot.clone(),
            order: self.next_order(),
            sandbox: SandboxRef { pid: 0, start_time: 0 },
            spec: AttachSpec { mode: Mode::Bridge, ports: Vec::new() },
            address,
            address6: self.subnets.beside(address),
            ports: Vec::new(),
            interface,
        };
        self.leases.insert(id, lease);
    }

    /// Replaces a lease by one with the same address and ports.
    pub(crate) fn update(&mut self, id: &ContainerId, lease: Lease) {
        self.leases.insert(id.clone(), lease);
    }

    fn next_order(&self) -> u64 {
        self.leases.values().map(|lease| lease.order + 1).max().unwrap_or(0)
    }

    /// Takes back what a container has.
    pub(crate) fn release(&mut self, id: &ContainerId) {
        if let Some(lease) = self.leases.remove(id) {
            self.pool.release(lease.address);
            for binding in &lease.ports {
                self.ports.release(id, binding);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schema::Code;
    use schema::common::Protocol;
    use std::collections::BTreeSet;

    fn id(byte: u8) -> ContainerId {
        ContainerId::from_bytes([byte; 32])
    }

    fn sandbox(pid: i32) -> SandboxRef {
        SandboxRef { pid, start_time: 1 }
    }

    fn spec(host_ports: &[u16]) -> AttachSpec {
        let port = |host_port: &u16| PortBinding {
            host_address: None,
            host_port: *host_port,
            container_port: 80,
            protocol: Protocol::Tcp,
        };
        AttachSpec { mode: Mode::Bridge, ports: host_ports.iter().map(port).collect() }
    }

    fn books(subnet: &str, leases: BTreeMap<ContainerId, Lease>) -> Books {
        let subnets = Subnets { v4: subnet.parse().unwrap(), v6: "fd12::/64".parse().ok() };
        Books::new("boot".to_owned(), subnets, leases, 0)
    }

    fn grant(books: &mut Books, owner: u8, host_ports: &[u16]) -> Result<Lease, Failure> {
        books.grant(&id(owner), sandbox(9), &spec(host_ports), |_| Ok(())).map(|(lease, _)| lease)
    }

    #[test]
    fn an_exhausted_subnet_takes_no_ports() {
        let mut books = books("10.0.0.0/30", BTreeMap::new());
        grant(&mut books, 1, &[]).unwrap();
        let failure = grant(&mut books, 2, &[80]).unwrap_err();
        assert_eq!(failure.code, Code::ResourceExhausted);
        assert_eq!(failure.message, "no unallocated IP address available in 10.0.0.0/30");
        books.release(&id(1));
        assert_eq!(grant(&mut books, 3, &[80]).unwrap().address.to_string(), "10.0.0.2");
    }

    #[test]
    fn a_port_in_use_takes_no_address() {
        let mut books = books("10.0.0.0/29", BTreeMap::new());
        grant(&mut books, 1, &[80]).unwrap();
        assert_eq!(grant(&mut books, 2, &[80]).unwrap_err().code, Code::Conflict);
        assert_eq!(grant(&mut books, 2, &[81]).unwrap().address.to_string(), "10.0.0.3");
    }

    #[test]
    fn a_lease_has_both_addresses_and_ports_on_both() {
        let mut books = books("10.0.0.0/24", BTreeMap::new());
        let lease = grant(&mut books, 1, &[80]).unwrap();
        assert_eq!(lease.address6, "fd12::2".parse().ok());
        let published = lease.published();
        assert_eq!(published.iter().map(|one| one.to.to_string()).collect::<Vec<_>>(), ["10.0.0.2", "fd12::2"]);
        books.set_v6(None);
        let lease = grant(&mut books, 2, &[81]).unwrap();
        assert_eq!((lease.address6, lease.published().len()), (None, 1));
    }

    #[test]
    fn a_new_process_goes_on_after_the_latest_lease() {
        let mut first = books("10.0.0.0/24", BTreeMap::new());
        for owner in [3, 2, 1] {
            grant(&mut first, owner, &[]).unwrap();
        }
        let mut second = books("10.0.0.0/24", first.leases().clone());
        assert_eq!(grant(&mut second, 4, &[]).unwrap().address.to_string(), "10.0.0.5");
    }

    #[test]
    fn a_lost_lease_keeps_its_address() {
        let mut books = books("10.0.0.0/29", BTreeMap::new());
        let two = Ipv4Addr::new(10, 0, 0, 2);
        books.adopt(id(1), two, "veth0".to_owned());
        books.adopt(id(2), two, "veth1".to_owned());
        books.adopt(id(3), Ipv4Addr::new(10, 9, 9, 9), "veth2".to_owned());
        assert_eq!(books.leases().len(), 1);
        assert_ne!(grant(&mut books, 4, &[]).unwrap().address, two);
        books.release(&id(1));
        assert!(!books.leases().contains_key(&id(1)));
    }

    proptest! {
        #[test]
        fn books_survive_any_death(steps in prop::collection::vec((0_u8..8, prop::collection::vec(0_u16..3, 0..3), 0_u8..4), 0..60)) {
            let mut books = books("10.0.0.0/29", BTreeMap::new());
            for (owner, ports, step) in steps {
                match step {
                    0 => books.release(&id(owner)),
                    1 => books = self::books("10.0.0.0/29", books.leases().clone()),
                    _ if books.leases().contains_key(&id(owner)) => {}
                    _ => drop(grant(&mut books, owner, &ports)),
                }
                let addresses: BTreeSet<_> = books.leases().values().map(|lease| lease.address).collect();
                prop_assert_eq!(addresses.len(), books.leases().len());
                let addresses: BTreeSet<_> = books.leases().values().map(|lease| lease.address6).collect();
                prop_assert_eq!(addresses.len(), books.leases().len());
                let elements: Vec<_> = books.published().iter().flat_map(Published::elements).collect();
                let keys: BTreeSet<_> = elements.iter().map(|(set, element)| (set, &element.key)).collect();
                prop_assert_eq!(keys.len(), elements.len());
                prop_assert_eq!(5 - books.leases().len() as u64, books.pool.free());
            }
        }
    }
}
