//! Tests of [`super::Ports`].

use super::*;
use proptest::prelude::*;
use schema::Code;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

const ALL: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
const V4: [IpAddr; 1] = [ALL[0]];

fn id(byte: u8) -> ContainerId {
    ContainerId::from_bytes([byte; 32])
}

fn port(address: Option<[u8; 4]>, host_port: u16, protocol: Protocol) -> PortBinding {
    PortBinding { host_address: address.map(IpAddr::from), host_port, container_port: 80, protocol }
}

fn publish(ports: &mut Ports, owner: u8, requested: &[PortBinding]) -> Result<Vec<PortBinding>, Failure> {
    publish_on(&V4, ports, owner, requested)
}

fn publish_on(
    all: &[IpAddr],
    ports: &mut Ports,
    owner: u8,
    requested: &[PortBinding],
) -> Result<Vec<PortBinding>, Failure> {
    let published = ports.publish(&id(owner), requested, all, |_| Ok(()))?;
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
        let failure = Ports::new(0).publish(&id(1), &[request], &ALL, |_| Err::<(), _>(errno)).unwrap_err();
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
            &V4,
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

#[test]
fn all_addresses_are_those_of_both_families_and_one_port() {
    let mut ports = Ports::new(0);
    let both = publish_on(&ALL, &mut ports, 1, &[port(None, 0, Protocol::Tcp)]).unwrap();
    assert_eq!(both.iter().map(|binding| binding.host_address).collect::<Vec<_>>(), ALL.map(Some));
    assert_eq!(both[0].host_port, both[1].host_port);
    let next = publish_on(&ALL, &mut ports, 2, &[port(None, 0, Protocol::Tcp)]).unwrap();
    assert_eq!(next[0].host_port, both[0].host_port + 1);
}

#[test]
fn a_port_that_one_family_lacks_is_passed_over() {
    let used = |binding: &PortBinding| match binding.host_address {
        Some(IpAddr::V6(_)) if binding.host_port == FIRST => Err(Errno::ADDRINUSE),
        _ => Ok(()),
    };
    let mut ports = Ports::new(0);
    let found = ports.publish(&id(1), &[port(None, 0, Protocol::Tcp)], &ALL, used).unwrap();
    assert!(found.iter().all(|(binding, ())| binding.host_port == FIRST + 1));
    let failure = ports.publish(&id(1), &[port(None, FIRST, Protocol::Tcp)], &ALL, used).unwrap_err();
    assert_eq!(failure.message, "port already in use: [::]:49153/tcp by another process of the host");
}

#[test]
fn a_host_without_ipv6_says_so() {
    let on = |address: &str| PortBinding { host_address: address.parse().ok(), ..port(None, 80, Protocol::Tcp) };
    for address in ["::1", "::"] {
        let failure = publish(&mut Ports::new(0), 1, &[on(address)]).unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        assert_eq!(failure.message, format!("cannot publish [{address}]:80/tcp: this host has no IPv6"));
    }
    let mapped = publish(&mut Ports::new(0), 1, &[on("::ffff:127.0.0.1")]).unwrap();
    assert_eq!(mapped[0].host_address, Some(Ipv4Addr::LOCALHOST.into()));
}

#[test]
fn the_families_are_apart() {
    let mut ports = Ports::new(0);
    let on = |address: IpAddr| PortBinding { host_address: Some(address), ..port(None, 80, Protocol::Tcp) };
    publish_on(&ALL, &mut ports, 1, &[on(ALL[0])]).unwrap();
    publish_on(&ALL, &mut ports, 2, &[on(Ipv6Addr::LOCALHOST.into())]).unwrap();
    assert!(publish_on(&ALL, &mut ports, 3, &[on(ALL[1])]).is_err());
    assert!(publish_on(&ALL, &mut ports, 3, &[on(Ipv4Addr::LOCALHOST.into())]).is_err());
}

#[test]
fn a_freed_port_rests_until_the_round_is_over() {
    let mut ports = Ports::new(0);
    let mut chosen = || publish(&mut ports, 1, &[port(None, 0, Protocol::Tcp)]).unwrap()[0];
    let first: Vec<_> = (0..3).map(|_| chosen()).collect();
    ports.release(&id(1), &first[0]);
    let after = publish(&mut ports, 1, &[port(None, 0, Protocol::Tcp)]).unwrap()[0];
    assert_eq!(after.host_port, first[2].host_port + 1);
    for _ in after.host_port + 1..=LAST {
        publish(&mut ports, 1, &[port(None, 0, Protocol::Tcp)]).unwrap();
    }
    assert_eq!(publish(&mut ports, 1, &[port(None, 0, Protocol::Tcp)]).unwrap()[0], first[0]);
}

prop_compose! {
    fn any_port()(address in 0_usize..6, number in 0_u16..5, udp: bool) -> PortBinding {
        let address = ["", "0.0.0.0", "::", "127.0.0.1", "::1", "127.0.0.2"][address];
        let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
        PortBinding { host_address: address.parse().ok(), ..port(None, number, protocol) }
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
            } else if let Ok(published) = publish_on(&ALL, &mut ports, owner, &requested) {
                model.entry(owner).or_default().extend(published);
            }
            let all: Vec<_> = model.values().flatten().collect();
            for (index, one) in all.iter().enumerate() {
                prop_assert!(one.host_port != 0);
                for other in &all[index + 1..] {
                    let apart = one.protocol != other.protocol
                        || one.host_port != other.host_port
                        || !super::overlap(one.host_address.unwrap(), other.host_address.unwrap());
                    prop_assert!(apart, "{one:?} and {other:?}");
                }
            }
            prop_assert_eq!(ports.bound.values().map(Vec::len).sum::<usize>(), all.len());
        }
    }
}
