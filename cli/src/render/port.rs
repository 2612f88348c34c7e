//! Published ports in words.

use schema::common::PortBinding;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The port of the container: `80/tcp`.
pub(crate) fn private(binding: &PortBinding) -> String {
    format!("{}/{}", binding.container_port, binding.protocol)
}

/// Where the host listens: `0.0.0.0:8080`, `[::]:8080`.
pub(crate) fn public(binding: &PortBinding) -> String {
    match binding.host_address {
        Some(address) => SocketAddr::new(address, binding.host_port).to_string(),
        // A network service without IPv6 published it.
        None => format!("0.0.0.0:{}", binding.host_port),
    }
}

/// The host's address: empty in a request for all.
pub(crate) fn address(binding: &PortBinding) -> String {
    binding.host_address.map_or_else(String::new, |address| address.to_string())
}

/// Both ends: `0.0.0.0:8080->80/tcp`.
pub(crate) fn arrows(bindings: &[PortBinding]) -> String {
    let one = |binding| format!("{}->{}", public(binding), private(binding));
    bindings.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// By the port of the container, in order.
pub(crate) fn by_private(bindings: &[PortBinding]) -> BTreeMap<String, Vec<&PortBinding>> {
    let mut ports: BTreeMap<String, Vec<&PortBinding>> = BTreeMap::new();
    for binding in bindings {
        ports.entry(private(binding)).or_default().push(binding);
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::common::Protocol;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    #[test]
    fn both_ends() {
        let on = |address: IpAddr, protocol| PortBinding {
            host_address: Some(address),
            host_port: 8080,
            container_port: 80,
            protocol,
        };
        let v4 = on(Ipv4Addr::UNSPECIFIED.into(), Protocol::Tcp);
        let v6 = on(Ipv6Addr::UNSPECIFIED.into(), Protocol::Tcp);
        assert_eq!(arrows(&[v4, v6]), "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp");
        assert_eq!(arrows(&[on(Ipv4Addr::LOCALHOST.into(), Protocol::Udp)]), "127.0.0.1:8080->80/udp");
        assert_eq!((public(&v6), address(&v6)), ("[::]:8080".to_owned(), "::".to_owned()));
        let earlier = PortBinding { host_address: None, ..v4 };
        assert_eq!((public(&earlier), address(&earlier)), ("0.0.0.0:8080".to_owned(), String::new()));
        assert_eq!(by_private(&[v4, v6, on(Ipv4Addr::LOCALHOST.into(), Protocol::Udp)])["80/tcp"], [&v4, &v6]);
    }
}
