//! What a container has of the network.

use crate::hash::fnv1a;
use crate::link::Mac;
use crate::ports::address_of;
use crate::published::Published;
use crate::subnets::Subnets;
use schema::ContainerId;
use schema::common::{PortBinding, SandboxRef};
use schema::network::{AttachSpec, Attachment};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A container's address and ports, as recorded before anything is done for it.
///
/// A lease describes what is in the kernel until the next boot. So it is written to survive the process, not a
/// power cut; and one of another boot is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The boot that it belongs to.
    pub(crate) boot: String,
    /// Leases are numbered in the order of their making.
    pub(crate) order: u64,
    /// Whose namespace was connected.
    pub(crate) sandbox: SandboxRef,
    /// What was asked for.
    pub(crate) spec: AttachSpec,
    /// The container's address.
    pub(crate) address: Ipv4Addr,
    /// The container's IPv6 address; none where the host had no IPv6 when it was attached.
    #[serde(default)]
    pub(crate) address6: Option<Ipv6Addr>,
    /// Ports as bound: no host port is 0.
    pub(crate) ports: Vec<PortBinding>,
    /// The interface at the host's end.
    pub(crate) interface: String,
}

impl Lease {
    /// Hardware address of the container's interface.
    pub(crate) fn mac(&self) -> Mac {
        Mac::of(self.address)
    }

    /// The ports with their destination.
    pub(crate) fn published(&self) -> Vec<Published> {
        let one = |binding: &PortBinding| {
            let to = if address_of(binding).is_ipv4() {
                Some(IpAddr::V4(self.address))
            } else {
                self.address6.map(IpAddr::V6)
            };
            to.map(|to| Published { binding: *binding, to })
        };
        self.ports.iter().filter_map(one).collect()
    }

    /// The answer to whoever asked for it.
    pub(crate) fn attachment(&self, subnets: Subnets) -> Attachment {
        let v6 = subnets.v6.filter(|_| self.address6.is_some());
        Attachment {
            address: Some(self.address),
            prefix_length: subnets.v4.prefix(),
            gateway: Some(subnets.v4.gateway()),
            mac: self.mac().to_string(),
            ports: self.ports.clone(),
            address6: self.address6,
            prefix_length6: v6.map_or(0, |subnet| subnet.prefix()),
            gateway6: v6.map(|subnet| subnet.gateway()),
        }
    }
}

/// The name of the host's end of a container's pair: 15 bytes, the most that an interface may have. It shows
/// the container's id to people; and it differs from sandbox to sandbox, because that of an earlier run may
/// still be there, on its way out with its namespace.
pub(crate) fn interface_name(id: &ContainerId, sandbox: &SandboxRef) -> String {
    let run = fnv1a(format!("{id} {} {}", sandbox.pid, sandbox.start_time).as_bytes()) & 0xffff;
    format!("{}{run:04x}", interface_stem(id))
}

/// What the names of all interfaces of a container begin with.
pub(crate) fn interface_stem(id: &ContainerId) -> String {
    format!("veth{}", &id.as_str()[..7])
}

/// What the host's end of a pair says of itself: whose it is, and the address at the other end. It is there for
/// people, and for a lease whose record is lost.
pub(crate) fn alias(id: &ContainerId, address: Ipv4Addr) -> String {
    format!("cctl {id} {address}")
}

/// Reads an alias; none if it is not one of ours.
pub(crate) fn parse_alias(alias: &str) -> Option<(ContainerId, Ipv4Addr)> {
    let (id, address) = alias.strip_prefix("cctl ")?.split_once(' ')?;
    Some((id.parse().ok()?, address.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_come_back() {
        let (id, address) = (ContainerId::from_bytes([7; 32]), Ipv4Addr::new(10, 88, 1, 2));
        assert_eq!(parse_alias(&alias(&id, address)), Some((id, address)));
        for bad in ["", "cctl", "cctl x 10.0.0.1", "uplink to somewhere"] {
            assert_eq!(parse_alias(bad), None);
        }
    }

    #[test]
    fn a_lease_from_before_ipv6_loads() {
        let text = r#"{"boot":"b","order":3,"sandbox":{"pid":9,"start_time":1},"spec":{"mode":"bridge","ports":[]},
            "address":"10.88.1.2","ports":[{"host_address":null,"host_port":8080,"container_port":80,"protocol":"tcp"}],
            "interface":"veth0"}"#;
        let lease: Lease = serde_json::from_str(text).unwrap();
        let published = lease.published();
        assert_eq!((lease.address6, published.len()), (None, 1));
        assert_eq!(published[0].address().to_string(), "0.0.0.0");
        let subnets = Subnets { v4: "10.88.1.0/24".parse().unwrap(), v6: "fd12::/64".parse().ok() };
        assert_eq!(lease.attachment(subnets).gateway6, None);
        let lease = Lease { address6: subnets.beside(lease.address), ..lease };
        let attachment = lease.attachment(subnets);
        assert_eq!((attachment.address6, attachment.prefix_length6), ("fd12::2".parse().ok(), 64));
    }

    #[test]
    fn interface_names_fit_and_differ_from_run_to_run() {
        let id = ContainerId::from_bytes([0xab; 32]);
        let name = |pid| interface_name(&id, &SandboxRef { pid, start_time: 7 });
        assert_eq!(name(100).len(), 15);
        assert!(name(100).starts_with("vethabababa"));
        assert_eq!(name(100), name(100));
        assert_ne!(name(100), name(101));
    }
}
