//! Published ports: who reaches them, and who reaches nothing else.

use crate::host::{
    HOST, HOST6, Host, LOCALHOST, LOCALHOST6, NEIGHBOUR, NEIGHBOUR6, Sandbox, bridge, id, ip, on_a_host, on_all, plain,
    serve, tcp, udp, wait_until,
};
use schema::Code;
use schema::common::Protocol;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::time::Duration;

#[test]
fn a_published_port_is_reached_from_everywhere() {
    on_a_host(|host| {
        let (mut engine, sandbox, other) = (host.engine(), Sandbox::new(), Sandbox::new());
        let attachment = engine.attach(&id(1), sandbox.reference, &on_all(&[(8080, 80)])).unwrap();
        engine.attach(&id(2), other.reference, &plain()).unwrap();
        let gateways = [IpAddr::from(attachment.gateway.unwrap()), attachment.gateway6.unwrap().into()];
        sandbox.serve(80);
        for to in [LOCALHOST, Ipv4Addr::new(127, 1, 2, 3), HOST].map(IpAddr::from).iter().chain(&gateways) {
            let to = *to;
            assert!(tcp(to, 8080).is_some(), "from the host to {to} by TCP");
            assert!(udp(to, 8080).is_some(), "from the host to {to} by UDP");
        }
        for to in [LOCALHOST6, HOST6] {
            assert!(tcp(to, 8080).is_some(), "from the host to {to} by TCP");
            assert!(udp(to, 8080).is_some(), "from the host to {to} by UDP");
        }
        assert_eq!(host.neighbour.tcp(HOST, 8080).unwrap().ip(), NEIGHBOUR, "the client's address is seen");
        assert_eq!(host.neighbour.udp(HOST, 8080).unwrap().ip(), NEIGHBOUR);
        assert_eq!(host.neighbour.tcp(HOST6, 8080).unwrap().ip(), NEIGHBOUR6);
        assert_eq!(host.neighbour.udp(HOST6, 8080).unwrap().ip(), NEIGHBOUR6);
        for to in [HOST.into(), HOST6.into(), gateways[0], gateways[1]] {
            assert!(other.tcp(to, 8080).is_some(), "from another container to {to} by TCP");
            assert!(other.udp(to, 8080).is_some(), "from another container to {to} by UDP");
            assert!(sandbox.tcp(to, 8080).is_some(), "from the container itself to {to} by TCP");
            assert!(sandbox.udp(to, 8080).is_some(), "from the container itself to {to} by UDP");
        }
        for to in [IpAddr::from(LOCALHOST), LOCALHOST6.into()] {
            assert!(sandbox.tcp(to, 8080).is_none(), "inside, loopback is the container's own");
        }
        for to in [IpAddr::from(NEIGHBOUR), NEIGHBOUR6.into()] {
            assert!(tcp(to, 8080).is_none(), "another host's port of the same number is its own");
        }
    });
}

#[test]
fn a_port_published_on_one_address_is_on_no_other() {
    on_a_host(|host| {
        let (mut engine, sandbox, other) = (host.engine(), Sandbox::new(), Sandbox::new());
        let ports = [(Some(LOCALHOST), 8080, 80), (Some(HOST), 8081, 80)];
        engine.attach(&id(1), sandbox.reference, &bridge(&ports)).unwrap();
        engine.attach(&id(2), other.reference, &bridge(&[(Some(HOST), 8080, 81)])).unwrap();
        sandbox.serve(80);
        other.serve(81);
        assert!(tcp(LOCALHOST, 8080).is_some() && tcp(HOST, 8081).is_some() && tcp(HOST, 8080).is_some());
        assert!(tcp(LOCALHOST, 8081).is_none());
        assert!(host.neighbour.tcp(HOST, 8081).is_some());
        engine.detach(&id(2)).unwrap();
        assert!(tcp(HOST, 8080).is_none());
        assert!(tcp(LOCALHOST, 8080).is_some());
    });
}

#[test]
fn what_is_not_published_is_out_of_reach() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let ports = [(Some(LOCALHOST), 8080, 80)];
        let attachment = engine.attach(&id(1), sandbox.reference, &bridge(&ports)).unwrap();
        let (address, gateway) = (attachment.address.unwrap(), attachment.gateway.unwrap());
        sandbox.serve(80);
        assert!(tcp(LOCALHOST, 8080).is_some());

        host.neighbour.ip(&format!("route add {address} via {HOST}"));
        assert!(host.neighbour.tcp(address, 80).is_none(), "a neighbour with a route to the container");
        assert!(host.neighbour.udp(address, 80).is_none());

        // A neighbour, and a container, that send packets for 127.0.0.1 to the host.
        serve(LOCALHOST, 700);
        for (from, by) in [(&host.neighbour, HOST), (&sandbox, gateway)] {
            let interface = if by == HOST { "uplink" } else { "eth0" };
            from.inside(|| std::fs::write(format!("/proc/sys/net/ipv4/conf/{interface}/route_localnet"), "1")).unwrap();
            from.ip("address del 127.0.0.1/8 dev lo");
            from.ip(&format!("route add 127.0.0.1 via {by} dev {interface}"));
            for port in [700, 8080] {
                assert!(from.tcp(LOCALHOST, port).is_none(), "the host's loopback, port {port}, by {by}");
                assert!(from.udp(LOCALHOST, port).is_none(), "the host's loopback, port {port}, by {by}");
            }
        }
        assert!(tcp(LOCALHOST, 700).is_some());
    });
}

#[test]
fn a_port_in_use_is_refused_and_named() {
    on_a_host(|host| {
        let (mut engine, one, other) = (host.engine(), Sandbox::new(), Sandbox::new());
        engine.attach(&id(0xaa), one.reference, &on_all(&[(8080, 80)])).unwrap();
        let failure = engine.attach(&id(2), other.reference, &on_all(&[(8080, 80)])).unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert_eq!(failure.message, "port already in use: 0.0.0.0:8080/tcp is published by container aaaaaaaaaaaa");
        let _listener = TcpListener::bind((LOCALHOST, 9090)).unwrap();
        let failure = engine.attach(&id(2), other.reference, &on_all(&[(9090, 80)])).unwrap_err();
        assert_eq!(failure.message, "port already in use: 0.0.0.0:9090/tcp by another process of the host");
        let _socket = UdpSocket::bind((HOST, 9091)).unwrap();
        let failure = engine.attach(&id(2), other.reference, &bridge(&[(Some(HOST), 9091, 80)])).unwrap_err();
        assert_eq!(failure.message, "port already in use: 192.0.2.2:9091/udp by another process of the host");
        let failure = engine.attach(&id(2), other.reference, &bridge(&[(Some(NEIGHBOUR), 80, 80)])).unwrap_err();
        assert_eq!(failure.code, Code::InvalidArgument);
        assert_eq!(host.leases(), 1);
        assert!(other.ip("-o link").lines().all(|line| !line.contains("eth0")), "nothing was begun");
    });
}

#[test]
fn a_published_port_is_held_against_others() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let attachment = engine.attach(&id(1), sandbox.reference, &on_all(&[(0, 80)])).unwrap();
        let of = |protocol| attachment.ports.iter().find(|port| port.protocol == protocol).unwrap().host_port;
        let (port, udp_port) = (of(Protocol::Tcp), of(Protocol::Udp));
        assert!((49153..=65534).contains(&port));
        assert!(TcpListener::bind((LOCALHOST, port)).is_err());
        assert!(UdpSocket::bind((LOCALHOST, udp_port)).is_err());
        assert!(TcpListener::bind((LOCALHOST6, port)).is_err());
        assert!(UdpSocket::bind((LOCALHOST6, udp_port)).is_err());
        let mut second = host.engine_named("cctl-second");
        let other = Sandbox::new();
        let failure = second.attach(&id(2), other.reference, &on_all(&[(port, 80)])).unwrap_err();
        assert!(failure.message.contains("by another process of the host"), "{failure}");
        engine.detach(&id(1)).unwrap();
        // Another test's child may have a copy of our sockets, until it executes its program.
        wait_until("the ports are free", || TcpListener::bind((LOCALHOST, port)).is_ok());
        wait_until("the ports are free", || UdpSocket::bind((LOCALHOST, udp_port)).is_ok());
    });
}

#[test]
fn instances_live_side_by_side_and_apart() {
    on_a_host(|host| {
        let (mut one, mut other) = (host.engine_named("cctl-one"), host.engine_named("cctl-other"));
        let (in_one, in_other) = (Sandbox::new(), Sandbox::new());
        let of_one = one.attach(&id(1), in_one.reference, &on_all(&[(8080, 80)])).unwrap();
        let of_other = other.attach(&id(1), in_other.reference, &plain()).unwrap();
        assert_ne!(of_one.gateway, of_other.gateway);
        in_one.serve(80);
        in_one.serve(81);
        assert!(in_other.tcp(HOST, 8080).is_some(), "what is published is for all");
        assert!(in_other.tcp(of_other.gateway.unwrap(), 8080).is_some());
        assert!(in_other.tcp(of_one.address.unwrap(), 81).is_none(), "what is not is for none");
        one.detach(&id(1)).unwrap();
        one.tear_down().unwrap();
        assert!(ip("-o link").contains("cctl-other"));
        host.neighbour.serve(700);
        assert!(in_other.tcp(NEIGHBOUR, 700).is_some());
    });
}

/// Clients of UDP that always send from the same socket.
fn clients(host: &Host) -> Vec<UdpSocket> {
    let client = |local: Ipv4Addr, to: Ipv4Addr| {
        let socket = UdpSocket::bind((local, 0)).unwrap();
        socket.connect((to, 8080)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket
    };
    vec![host.neighbour.inside(|| client(NEIGHBOUR, HOST)), client(HOST, HOST), client(LOCALHOST, LOCALHOST)]
}

fn asks(client: &UdpSocket) -> bool {
    let _ = client.send(b"?");
    client.recv(&mut [0; 64]).is_ok()
}

#[test]
fn who_sent_before_a_port_was_published_is_heard_after() {
    on_a_host(|host| {
        let mut engine = host.engine();
        let (other, sandbox) = (Sandbox::new(), Sandbox::new());
        // From now on, the kernel tracks connections.
        engine.attach(&id(1), other.reference, &plain()).unwrap();
        let clients = clients(&host);
        // Whoever takes what is sent without an answer keeps the clients from being refused.
        let sink = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 8080)).unwrap();
        assert!(!clients.iter().any(asks));
        drop(sink);
        sandbox.serve(80);
        engine.attach(&id(2), sandbox.reference, &on_all(&[(8080, 80)])).unwrap();
        assert!(clients.iter().all(asks));
    });
}

#[test]
fn who_goes_on_sending_does_not_reach_who_has_the_address_now() {
    on_a_host(|host| {
        let mut engine = host.engine();
        let (one, other) = (Sandbox::new(), Sandbox::new());
        one.serve(80);
        other.serve(80);
        let before = engine.attach(&id(1), one.reference, &on_all(&[(8080, 80)])).unwrap();
        let clients = clients(&host);
        assert!(clients.iter().all(asks));
        engine.detach(&id(1)).unwrap();
        drop(engine);
        // A new process begins at the first address again.
        let mut engine = host.engine();
        let after = engine.attach(&id(2), other.reference, &on_all(&[(9090, 80)])).unwrap();
        assert_eq!(after.address, before.address);
        assert!(!clients.iter().any(asks));
    });
}
