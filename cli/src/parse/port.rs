//! Published ports: `-p`.

use super::Parsed;
use schema::common::{PortBinding, Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

const EXPECTED: &str =
    "expected a port: [[ADDRESS:]HOST_PORT:]PORT[/tcp|/udp], such as 80, 8080:80, 127.0.0.1:8080:80/udp, [::1]:8080:80";

/// What one `-p` publishes: several ports where ranges are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published(pub(crate) Vec<PortBinding>);

/// `80` (a free port of the host), `8080:80`, `:80` (the same port of the host), with an address of the
/// host before it (of IPv6 in brackets), `/udp` after it, and ranges of equal length in place of ports. Without an
/// address, all of both families; `0.0.0.0` and `[::]` are all of one.
pub(crate) fn published(text: &str) -> Parsed<Published> {
    let (ports, protocol) = match text.rsplit_once('/') {
        None => (text, Protocol::Tcp),
        Some((ports, "tcp")) => (ports, Protocol::Tcp),
        Some((ports, "udp")) => (ports, Protocol::Udp),
        Some((_, other)) => return Err(format!("{other:?} is not a protocol: expected tcp or udp")),
    };
    let (address, ports) = match ports.strip_prefix('[') {
        Some(rest) => bracketed(rest)?,
        None => (None, ports),
    };
    let parts: Vec<&str> = ports.split(':').collect();
    let (address, host, container) = match (address, &parts[..]) {
        (None, [container]) => (None, None, range(container, 1)?),
        (None, ["", container]) => (None, Some(range(container, 1)?), range(container, 1)?),
        (None, [host, container]) => (None, Some(host_range(host)?), range(container, 1)?),
        (None, ["", _, _]) => return Err(EXPECTED.to_owned()),
        (None, [address, "", container]) => (Some(host_address(address)?), None, range(container, 1)?),
        (None, [address, host, container]) => {
            (Some(host_address(address)?), Some(range(host, 0)?), range(container, 1)?)
        }
        (address, ["", container]) => (address, None, range(container, 1)?),
        (address, [host, container]) => (address, Some(range(host, 0)?), range(container, 1)?),
        _ => return Err(EXPECTED.to_owned()),
    };
    let host = host.unwrap_or(0..=0);
    let chosen = host == (0..=0);
    if !chosen && host.len() != container.len() {
        return Err(format!("{} host ports for {} container ports", host.len(), container.len()));
    }
    let bindings = container.enumerate().map(|(index, container_port)| PortBinding {
        host_address: address,
        host_port: if chosen { 0 } else { host.clone().nth(index).unwrap_or(0) },
        container_port,
        protocol,
    });
    Ok(Published(bindings.collect()))
}

/// A port of a container as `port` takes it: `80` or `80/udp`.
pub(crate) fn private(text: &str) -> Parsed<(u16, Protocol)> {
    match published(text)?.0[..] {
        [PortBinding { host_address: None, host_port: 0, container_port, protocol }] => Ok((container_port, protocol)),
        _ => Err("expected PORT[/tcp|/udp]".to_owned()),
    }
}

fn host_range(text: &str) -> Parsed<RangeInclusive<u16>> {
    if text.parse::<Ipv4Addr>().is_ok() {
        return Err(format!("expected a host port after the address: {text}::PORT for a free one"));
    }
    range(text, 0)
}

fn host_address(text: &str) -> Parsed<IpAddr> {
    text.parse().map(IpAddr::V4).map_err(|_: std::net::AddrParseError| format!("{text:?} is not an IPv4 address"))
}

/// What follows an opening bracket: an IPv6 address, and the ports.
fn bracketed(rest: &str) -> Parsed<(Option<IpAddr>, &str)> {
    let Some((address, ports)) = rest.split_once("]:") else { return Err(EXPECTED.to_owned()) };
    match address.parse::<Ipv6Addr>() {
        Ok(address) if ports.contains(':') => Ok((Some(address.into()), ports)),
        Ok(_) => Err(format!("expected a host port after the address: [{address}]::PORT for a free one")),
        Err(_) => Err(format!("{address:?} is not an IPv6 address")),
    }
}

fn range(text: &str, least: u16) -> Parsed<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first, least)?, port(last, least)?);
    if first <= last { Ok(first..=last) } else { Err(format!("the range {text} ends before it begins")) }
}

fn port(text: &str, least: u16) -> Parsed<u16> {
    if text.is_empty() {
        return Err(EXPECTED.to_owned());
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port >= least => Ok(port),
        _ => Err(format!("{text:?} is not a port: expected {least} to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> (Option<IpAddr>, u16, u16, Protocol) {
        let Published(bindings) = published(text).unwrap();
        assert_eq!(bindings.len(), 1, "{text}");
        let PortBinding { host_address, host_port, container_port, protocol } = bindings[0];
        (host_address, host_port, container_port, protocol)
    }

    #[test]
    fn every_form_of_one_port() {
        let local = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let local6 = Some(IpAddr::V6(Ipv6Addr::LOCALHOST));
        assert_eq!(one("80"), (None, 0, 80, Protocol::Tcp));
        assert_eq!(one("80/udp"), (None, 0, 80, Protocol::Udp));
        assert_eq!(one("8080:80"), (None, 8080, 80, Protocol::Tcp));
        assert_eq!(one("8080:80/udp"), (None, 8080, 80, Protocol::Udp));
        assert_eq!(one(":80"), (None, 80, 80, Protocol::Tcp));
        assert_eq!(one("0:80"), (None, 0, 80, Protocol::Tcp));
        assert_eq!(one("127.0.0.1:8080:80"), (local, 8080, 80, Protocol::Tcp));
        assert_eq!(one("127.0.0.1::80"), (local, 0, 80, Protocol::Tcp));
        assert_eq!(one("[::1]:8080:80/udp"), (local6, 8080, 80, Protocol::Udp));
        assert_eq!(one("[::1]::80"), (local6, 0, 80, Protocol::Tcp));
    }

    #[test]
    fn all_addresses_of_one_family() {
        let all = |address: IpAddr| (Some(address), 8080, 80, Protocol::Tcp);
        assert_eq!(one("0.0.0.0:8080:80"), all(Ipv4Addr::UNSPECIFIED.into()));
        assert_eq!(one("[::]:8080:80"), all(Ipv6Addr::UNSPECIFIED.into()));
    }

    #[test]
    fn ranges_pair_up() {
        let Published(bindings) = published("8000-8002:80-82").unwrap();
        let ports: Vec<_> = bindings.iter().map(|binding| (binding.host_port, binding.container_port)).collect();
        assert_eq!(ports, [(8000, 80), (8001, 81), (8002, 82)]);
        let local = published("[::1]:8000-8010:8000-8010").unwrap().0;
        assert!(local.len() == 11 && local.iter().all(|binding| binding.host_port == binding.container_port));
        assert_eq!(published("1-65535:1-65535").unwrap().0.len(), 65535);
    }

    #[test]
    fn bad_ports_are_named() {
        for bad in [
            "",
            ":",
            "::",
            "::80",
            "0",
            "65536",
            "-1",
            "80-79",
            "8000-8001:80",
            "a:80",
            "80:a",
            "80/sctp",
            "80/",
            "1:2:3:4",
            "127.0.0.1:80",
            "300.1.1.1:1:1",
            "[::1]:80",
            "[::1]",
            "[::1]80:80",
            "[::1:80:80",
            "[127.0.0.1]:80:80",
            "[fe80::1%eth0]:80:80",
            "[::1]:80:80:80",
            "::1:8080:80",
            "+80",
            "80:",
            "8000-8002:80",
        ] {
            assert!(published(bad).is_err(), "{bad:?}");
        }
        assert!(published("127.0.0.1:80").unwrap_err().contains("127.0.0.1::PORT"));
        assert!(published("[::1]:80").unwrap_err().contains("[::1]::PORT"));
    }

    #[test]
    fn private_ports_are_plain() {
        assert_eq!(private("80/udp"), Ok((80, Protocol::Udp)));
        assert!(private("80:80").is_err() && private("80-81").is_err());
    }

    proptest! {
        #[test]
        fn any_word_is_answered(text in "[0-9a-z:./\\[\\]-]{0,24}") {
            let _ = (published(&text), private(&text));
        }
    }
}
