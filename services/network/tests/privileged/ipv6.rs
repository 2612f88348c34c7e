//! IPv6: addresses, the way out, published ports, and a host that has none.

use crate::host::{
    HOST6, Host, LOCALHOST, LOCALHOST6, NEIGHBOUR6, Sandbox, bridge, exists, id, ip, on_a_host, on_all, pairs, plain,
    serve, tcp, udp, wait_until,
};
use kit::store::{Durability, Store};
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, TcpListener, TcpStream};
use std::thread;

fn switch(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{name}")).unwrap().trim().to_owned()
}

fn set(name: &str, value: &str) {
    fs::write(format!("/proc/sys/net/ipv6/conf/{name}"), value).unwrap();
}

#[test]
fn a_sandbox_has_an_ipv6_address_at_once_and_a_way_out() {
    on_a_host(|host| {
        let (mut engine, sandbox, other) = (host.engine(), Sandbox::new(), Sandbox::new());
        let attachment = engine.attach(&id(1), sandbox.reference, &plain()).unwrap();
        let (address, gateway) = (attachment.address6.unwrap(), attachment.gateway6.unwrap());
        let shown = sandbox.ip("-o -6 address show eth0 scope global");
        assert!(shown.contains(&format!("{address}/64")) && !shown.contains("tentative"), "{shown}");
        assert!(sandbox.ip("-6 route").contains(&format!("default via {gateway} dev eth0")));
        let info = engine.info().unwrap();
        assert_eq!((info.gateway6, attachment.prefix_length6), (gateway.to_string(), 64));
        assert!(info.subnet6.starts_with("fd") && info.subnet6.ends_with("::/64"), "{}", info.subnet6);

        serve(gateway, 700);
        host.neighbour.serve(700);
        sandbox.serve(700);
        // It takes the kernel up to a second to see that the neighbour's new interface runs.
        wait_until("the neighbour answers", || tcp(NEIGHBOUR6, 700).is_some());
        assert_eq!(sandbox.tcp(gateway, 700).unwrap().ip(), address, "from the container to the host");
        assert_eq!(tcp(address, 700).unwrap().ip(), gateway, "from the host to the container");
        assert_eq!(sandbox.tcp(NEIGHBOUR6, 700).unwrap().ip(), HOST6, "to the world under the host's address");
        assert_eq!(sandbox.udp(NEIGHBOUR6, 700).unwrap().ip(), HOST6);
        let of_other = engine.attach(&id(2), other.reference, &plain()).unwrap().address6.unwrap();
        // It may take the kernel a second as well, and another until a neighbour is asked for again.
        wait_until("containers reach each other", || other.tcp(address, 700).is_some());
        assert_eq!(other.tcp(address, 700).unwrap().ip(), of_other);
        assert_eq!(other.udp(address, 700).unwrap().ip(), of_other);
    });
}

#[test]
fn a_port_may_be_published_on_one_address_or_one_family() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let any = |address: &str| -> IpAddr { address.parse().unwrap() };
        let ports = [
            (Some(LOCALHOST6.into()), 8080, 80),
            (Some(HOST6.into()), 8081, 80),
            (Some(any("::")), 8082, 80),
            (Some(any("0.0.0.0")), 8083, 80),
        ];
        engine.attach(&id(1), sandbox.reference, &bridge(&ports)).unwrap();
        sandbox.serve(80);
        for (port, reached, not) in [
            (8080, [any("::1")].as_slice(), [any("2001:db8::2"), any("127.0.0.1")].as_slice()),
            (8081, &[any("2001:db8::2")], &[any("::1"), any("127.0.0.1")]),
            (8082, &[any("::1"), any("2001:db8::2")], &[any("127.0.0.1")]),
            (8083, &[any("127.0.0.1")], &[any("::1"), any("2001:db8::2")]),
        ] {
            for to in reached {
                assert!(tcp(*to, port).is_some() && udp(*to, port).is_some(), "{to} {port}");
            }
            assert!(not.iter().all(|to| tcp(*to, port).is_none()), "{port} is on no other address");
        }
        assert!(host.neighbour.tcp(HOST6, 8081).is_some() && host.neighbour.tcp(HOST6, 8082).is_some());
        assert!(host.neighbour.tcp(HOST6, 8080).is_none());
        engine.detach(&id(1)).unwrap();
        assert!(tcp(LOCALHOST6, 8080).is_none() && tcp(HOST6, 8081).is_none());
    });
}

#[test]
fn much_data_goes_by_the_loopback_address_both_ways() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        engine.attach(&id(1), sandbox.reference, &on_all(&[(8080, 80)])).unwrap();
        let listener = sandbox.inside(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, 80)).unwrap());
        let echo = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::copy(&mut stream.try_clone().unwrap(), &mut stream).unwrap()
        });
        let sent: Vec<u8> = (0..8_u32 << 20).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut stream = TcpStream::connect((LOCALHOST6, 8080)).unwrap();
        let (mut writer, copy) = (stream.try_clone().unwrap(), sent.clone());
        let writing = thread::spawn(move || {
            writer.write_all(&copy).unwrap();
            writer.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut received = Vec::with_capacity(sent.len());
        stream.read_to_end(&mut received).unwrap();
        assert!(received == sent, "{} bytes came back", received.len());
        writing.join().unwrap();
        assert_eq!(echo.join().unwrap(), sent.len() as u64);
    });
}

#[test]
fn the_loopback_address_of_ipv6_is_for_the_host_alone() {
    on_a_host(|host| {
        let (mut engine, sandbox, other) = (host.engine(), Sandbox::new(), Sandbox::new());
        let ports = [(Some(LOCALHOST6), 8080, 80)];
        let attachment = engine.attach(&id(1), sandbox.reference, &bridge(&ports)).unwrap();
        engine.attach(&id(2), other.reference, &plain()).unwrap();
        sandbox.serve(80);
        serve(LOCALHOST6, 700);
        assert!(tcp(LOCALHOST6, 8080).is_some() && tcp(LOCALHOST6, 700).is_some());
        let address = attachment.address6.unwrap();
        host.neighbour.ip(&format!("-6 route add {address} via {HOST6}"));
        assert!(host.neighbour.tcp(address, 80).is_none(), "a neighbour with a route to the container");
        for (from, by, interface) in
            [(&host.neighbour, HOST6, "uplink"), (&other, attachment.gateway6.unwrap(), "eth0")]
        {
            from.ip("-6 address del ::1/128 dev lo");
            from.ip(&format!("-6 route add ::1 via {by} dev {interface}"));
            for port in [700, 8080] {
                assert!(from.tcp(LOCALHOST6, port).is_none(), "the host's loopback, port {port}, by {by}");
                assert!(from.udp(LOCALHOST6, port).is_none(), "the host's loopback, port {port}, by {by}");
            }
        }
        // What the host itself says on its loopback, on other ports, is not touched.
        assert_eq!(tcp(LOCALHOST6, 700).unwrap().ip(), LOCALHOST6);
        assert_eq!(udp(LOCALHOST6, 700).unwrap().ip(), LOCALHOST6);
    });
}

#[test]
fn a_host_without_ipv6_has_containers_with_ipv4() {
    on_a_host(|host| {
        set("all/disable_ipv6", "1");
        set("default/disable_ipv6", "1");
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let attachment = engine.attach(&id(1), sandbox.reference, &on_all(&[(8080, 80)])).unwrap();
        assert_eq!((attachment.address6, attachment.prefix_length6, attachment.gateway6), (None, 0, None));
        assert!(attachment.ports.iter().all(|port| port.host_address.unwrap().is_ipv4()));
        let info = engine.info().unwrap();
        assert_eq!((info.subnet6, info.gateway6), (String::new(), String::new()));
        assert_eq!(switch("all/forwarding"), "0");
        sandbox.serve(80);
        assert!(tcp(LOCALHOST, 8080).is_some());
        let other = Sandbox::new();
        let failure = engine.attach(&id(2), other.reference, &bridge(&[(Some(LOCALHOST6), 8081, 80)])).unwrap_err();
        assert_eq!(failure.message, "cannot publish [::1]:8081/tcp: this host has no IPv6");
    });
}

#[test]
fn ipv6_may_be_switched_on_and_off_while_containers_run() {
    on_a_host(|host| {
        set("default/disable_ipv6", "1");
        let (mut engine, one, other, third) = (host.engine(), Sandbox::new(), Sandbox::new(), Sandbox::new());
        engine.attach(&id(1), one.reference, &on_all(&[(8080, 80)])).unwrap();
        one.serve(80);
        set("default/disable_ipv6", "0");
        set(&format!("{}/disable_ipv6", host.name()), "0");
        let attachment = engine.attach(&id(2), other.reference, &on_all(&[(8081, 80)])).unwrap();
        other.serve(80);
        assert!(attachment.address6.is_some());
        assert!(tcp(LOCALHOST6, 8081).is_some() && tcp(LOCALHOST, 8081).is_some() && tcp(LOCALHOST, 8080).is_some());
        let subnet = engine.info().unwrap().subnet6;
        set("default/disable_ipv6", "1");
        drop(engine);
        let mut engine = host.engine();
        assert_eq!(engine.attach(&id(3), third.reference, &plain()).unwrap().address6, None);
        assert!(tcp(LOCALHOST, 8081).is_some() && tcp(LOCALHOST, 8080).is_some());
        set("default/disable_ipv6", "0");
        assert_eq!(engine.info().unwrap().subnet6, subnet, "the choice is remembered");
    });
}

#[test]
fn a_host_that_becomes_a_router_goes_on_listening_to_routers() {
    on_a_host(|host| {
        ip("link add quiet type bridge");
        set("uplink/accept_ra", "1");
        set("quiet/accept_ra", "0");
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        engine.attach(&id(1), sandbox.reference, &plain()).unwrap();
        assert_eq!(switch("all/forwarding"), "1");
        assert_eq!((switch("uplink/accept_ra"), switch("quiet/accept_ra")), ("2".to_owned(), "0".to_owned()));
        assert_eq!(switch(&format!("{}/accept_ra", host.name())), "0", "but not to containers");
        assert_eq!(switch(&format!("{}/disable_ipv6", pairs()[0])), "1");
        let inside = sandbox.inside(|| switch("eth0/accept_ra"));
        assert_eq!(inside, "0", "and containers not to each other");
        // Somebody's own choice, made later, is kept.
        set("uplink/accept_ra", "1");
        engine.attach(&id(1), sandbox.reference, &plain()).unwrap();
        assert_eq!(switch("uplink/accept_ra"), "1");
    });
}

#[test]
fn an_ipv6_subnet_in_use_is_not_taken() {
    on_a_host(|host| {
        let wanted = host.engine().info().unwrap();
        ip(&format!("-6 route add blackhole {}", wanted.subnet6));
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let attachment = engine.attach(&id(1), sandbox.reference, &plain()).unwrap();
        assert_ne!(attachment.gateway6.unwrap().to_string(), wanted.gateway6);
        assert_eq!(host.engine().info().unwrap().gateway6, attachment.gateway6.unwrap().to_string());
    });
}

#[test]
fn addresses_of_both_families_outlive_the_process() {
    on_a_host(|host| {
        let (one, other) = (Sandbox::new(), Sandbox::new());
        let mut engine = host.engine();
        let before = engine.attach(&id(1), one.reference, &on_all(&[(8080, 80)])).unwrap();
        one.serve(80);
        drop(engine);
        ip(&format!("link delete {}", host.name()));
        let mut engine = host.engine();
        // The first packets on a new bridge may be lost, until neighbours have found each other.
        wait_until("the bridge is back", || tcp(HOST6, 8080).is_some() && tcp(LOCALHOST6, 8080).is_some());
        assert_eq!(engine.attach(&id(1), one.reference, &on_all(&[(8080, 80)])).unwrap(), before);
        assert_ne!(engine.attach(&id(2), other.reference, &plain()).unwrap().address6, before.address6);
    });
}

#[test]
fn state_from_before_ipv6_goes_on_and_learns_it() {
    on_a_host(|host| {
        let (one, other) = (Sandbox::new(), Sandbox::new());
        let mut engine = host.engine();
        let before = engine.attach(&id(1), one.reference, &on_all(&[(8080, 80)])).unwrap();
        one.serve(80);
        drop(engine);
        forget_ipv6(&host);
        ip(&format!("-6 address flush dev {} scope global", host.name()));
        let mut engine = host.engine();
        assert!(tcp(LOCALHOST, 8080).is_some());
        let again = engine.attach(&id(1), one.reference, &on_all(&[(8080, 80)])).unwrap();
        assert_eq!((again.address, again.address6), (before.address, None));
        let attachment = engine.attach(&id(2), other.reference, &on_all(&[(8081, 80)])).unwrap();
        other.serve(80);
        assert!(attachment.address6.is_some() && tcp(LOCALHOST6, 8081).is_some());
    });
}

/// Rewrites the records as a version without IPv6 wrote them.
fn forget_ipv6(host: &Host) {
    let state = host.instance().state("network").join(host.name());
    for (directory, kind) in [(state.clone(), "network"), (state.join("leases"), "lease")] {
        let store: Store<serde_json::Value> = Store::open(directory, kind, 1).unwrap();
        for (name, mut record) in store.load().unwrap().0 {
            let object = record.as_object_mut().unwrap();
            object.remove("subnet6");
            object.remove("address6");
            if let Some(ports) = object.get_mut("ports").and_then(|ports| ports.as_array_mut()) {
                ports.retain(|port| port["host_address"] == "0.0.0.0");
                ports.iter_mut().for_each(|port| port["host_address"] = serde_json::Value::Null);
            }
            store.put(&name, &record, Durability::Process).unwrap();
        }
    }
    assert!(exists(&host.name()));
}

#[test]
fn packets_are_as_large_as_the_way_to_the_world_takes() {
    on_a_host(|host| {
        let link = |sandbox: &Sandbox| sandbox.ip("link show eth0");
        let mut engine = host.engine();
        for (byte, mtu) in [(1, 1400), (2, 1500), (3, 9000), (4, 1420)] {
            ip(&format!("link set uplink mtu {mtu}"));
            let sandbox = Sandbox::new();
            engine.attach(&id(byte), sandbox.reference, &plain()).unwrap();
            assert!(link(&sandbox).contains(&format!("mtu {mtu} ")), "{}", link(&sandbox));
            engine.detach(&id(byte)).unwrap();
        }
        ip("route del default");
        ip("-6 route del default");
        let sandbox = Sandbox::new();
        engine.attach(&id(5), sandbox.reference, &plain()).unwrap();
        assert!(link(&sandbox).contains("mtu 1500 "), "no way to the world");
    });
}
