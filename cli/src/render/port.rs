//! Published ports in words.

use schema::common::PortBinding;
use std::collections::BTreeMap;

/// The port of the container: `80/tcp`.
pub(crate) fn private(binding: &PortBinding) -> String {
    format!("{}/{}", binding.container_port, binding.protocol)
}

/// Where the host listens: `0.0.0.0:8080`.
pub(crate) fn public(binding: &PortBinding) -> String {
    format!("{}:{}", address(binding), binding.host_port)
}

/// The host's address: `0.0.0.0` for all.
pub(crate) fn address(binding: &PortBinding) -> String {
    binding.host_address.map_or_else(|| "0.0.0.0".to_owned(), |address| address.to_string())
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
    use std::net::Ipv4Addr;

    #[test]
    fn both_ends() {
        let tcp = PortBinding { host_address: None, host_port: 8080, container_port: 80, protocol: Protocol::Tcp };
        let udp = PortBinding { host_address: Some(Ipv4Addr::LOCALHOST.into()), protocol: Protocol::Udp, ..tcp };
        assert_eq!(arrows(&[tcp, udp]), "0.0.0.0:8080->80/tcp, 127.0.0.1:8080->80/udp");
        assert_eq!(by_private(&[tcp, udp, tcp])["80/tcp"].len(), 2);
    }
}
