//! What a sandbox has after `attach`, and what is left after `detach`.

use crate::host::{
    HOST, NEIGHBOUR, Sandbox, exists, id, ip, nft, on_a_host, on_all, pairs, plain, serve, tcp, udp, wait_until,
};
use schema::Code;
use schema::network::{AttachSpec, Mode};
use std::net::Ipv4Addr;

#[test]
fn a_sandbox_has_an_address_and_a_way_out() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let attachment = engine.attach(&id(1), sandbox.reference, &plain()).unwrap();
        let (address, gateway) = (attachment.address.unwrap(), attachment.gateway.unwrap());
        assert_eq!((address.octets()[3], gateway.octets()[3], attachment.prefix_length), (2, 1, 24));
        let links = sandbox.ip("-o link");
        assert!(links.lines().all(|line| line.contains(",UP") || line.contains("<UP")), "{links}");
        assert!(sandbox.ip("link show eth0").contains(&attachment.mac));
        assert!(sandbox.ip("-o -4 address show eth0").contains(&format!("{address}/24")));
        assert!(sandbox.ip("route").contains(&format!("default via {gateway} dev eth0")));
        assert!(ip(&format!("-d link show {}", pairs()[0])).contains(&format!("master {}", host.name())));
        assert!(pairs()[0].starts_with("veth0101010"));

        serve(gateway, 700);
        host.neighbour.serve(700);
        sandbox.serve(700);
        assert_eq!(sandbox.tcp(gateway, 700).unwrap().ip(), address, "from the container to the host");
        assert_eq!(tcp(address, 700).unwrap().ip(), gateway, "from the host to the container");
        assert_eq!(udp(address, 700).unwrap().ip(), gateway);
        assert_eq!(sandbox.tcp(NEIGHBOUR, 700).unwrap().ip(), HOST, "to the world under the host's address");
        assert_eq!(sandbox.udp(NEIGHBOUR, 700).unwrap().ip(), HOST);
    });
}

#[test]
fn containers_reach_each_other_under_their_own_addresses() {
    on_a_host(|host| {
        let (mut engine, one, other) = (host.engine(), Sandbox::new(), Sandbox::new());
        let of_one = engine.attach(&id(1), one.reference, &plain()).unwrap().address.unwrap();
        let of_other = engine.attach(&id(2), other.reference, &plain()).unwrap().address.unwrap();
        one.serve(700);
        assert_eq!(other.tcp(of_one, 700).unwrap().ip(), of_other);
        assert_eq!(other.udp(of_one, 700).unwrap().ip(), of_other);
        assert_eq!(engine.info().unwrap().attached, 2);
    });
}

#[test]
fn again_is_the_same() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let spec = on_all(&[(0, 80)]);
        let first = engine.attach(&id(1), sandbox.reference, &spec).unwrap();
        assert_eq!(engine.attach(&id(1), sandbox.reference, &spec).unwrap(), first);
        assert_eq!((pairs().len(), host.leases()), (1, 1));
        let failure = engine.attach(&id(1), sandbox.reference, &plain()).unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert_eq!(engine.attach(&id(1), sandbox.reference, &spec).unwrap(), first);
    });
}

#[test]
fn every_half_done_attempt_is_finished() {
    on_a_host(|host| {
        let spec = on_all(&[(8080, 80)]);
        let undo: [&dyn Fn(&Sandbox); 6] = [
            &|sandbox| drop(sandbox.ip("route del default")),
            &|sandbox| drop(sandbox.ip("link set eth0 down")),
            &|sandbox| drop(sandbox.ip("address flush dev eth0")),
            &|sandbox| drop(sandbox.ip("link set lo down")),
            &|sandbox| drop(sandbox.ip("link delete eth0")),
            &|_| drop(nft(&format!("flush map inet {} ports", host.name()))),
        ];
        for undo in undo {
            let sandbox = Sandbox::new();
            let first = host.engine().attach(&id(1), sandbox.reference, &spec).unwrap();
            undo(&sandbox);
            let mut engine = host.engine();
            assert_eq!(engine.attach(&id(1), sandbox.reference, &spec).unwrap(), first);
            sandbox.serve(80);
            assert!(sandbox.tcp(first.gateway.unwrap(), 8080).is_some());
            assert!(tcp(HOST, 8080).is_some());
            engine.detach(&id(1)).unwrap();
        }
    });
}

#[test]
fn the_next_run_of_a_container_takes_its_lease_over() {
    on_a_host(|host| {
        let (mut engine, first) = (host.engine(), Sandbox::new());
        let spec = on_all(&[(0, 80)]);
        let before = engine.attach(&id(1), first.reference, &spec).unwrap();
        // The first sandbox is still there, as that of a run that has just ended may be.
        let second = Sandbox::new();
        let after = engine.attach(&id(1), second.reference, &spec).unwrap();
        assert_eq!(before, after);
        second.serve(80);
        assert!(tcp(after.address.unwrap(), 80).is_some());
        assert!(tcp(HOST, after.ports[0].host_port).is_some());
        first.end();
        wait_until("the pair of the first run is gone", || pairs().len() == 1);
        assert!(tcp(HOST, after.ports[0].host_port).is_some());

        let third = Sandbox::new();
        let otherwise = engine.attach(&id(1), third.reference, &plain()).unwrap();
        assert!(otherwise.ports.is_empty());
        assert_eq!(host.leases(), 1);
    });
}

#[test]
fn another_process_of_the_same_sandbox_may_stand_for_it() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let first = engine.attach(&id(1), sandbox.reference, &plain()).unwrap();
        let replacement = sandbox.inside(|| std::process::Command::new("sleep").arg("600").spawn().unwrap());
        let pid = i32::try_from(replacement.id()).unwrap();
        let reference = schema::common::SandboxRef { pid, start_time: kit::process::start_time(pid).unwrap() };
        let mut replacement = scopeguard(replacement);
        assert_eq!(engine.attach(&id(1), reference, &plain()).unwrap(), first);
        assert_eq!(pairs().len(), 1);
        engine.detach(&id(1)).unwrap();
        assert!(ip(&format!("link show {}", pairs()[0])).lines().all(|line| !line.contains("master")));
        replacement.end();
    });
}

struct Guard(std::process::Child);

impl Guard {
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

fn scopeguard(child: std::process::Child) -> Guard {
    Guard(child)
}

#[test]
fn detach_gives_back() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let spec = on_all(&[(8080, 80)]);
        let address = engine.attach(&id(1), sandbox.reference, &spec).unwrap().address.unwrap();
        sandbox.serve(80);
        assert!(tcp(HOST, 8080).is_some());
        engine.detach(&id(1)).unwrap();
        engine.detach(&id(1)).unwrap();
        assert_eq!(host.leases(), 0);
        assert!(tcp(HOST, 8080).is_none());
        assert!(tcp(address, 80).is_none(), "an address that was given back is not answered for");
        serve(HOST, 8080);
    });
}

#[test]
fn a_sandbox_may_be_attached_again_after_detach() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let addresses: Vec<_> = (0..3)
            .map(|_| {
                let address = engine.attach(&id(1), sandbox.reference, &plain()).unwrap().address.unwrap();
                engine.detach(&id(1)).unwrap();
                address
            })
            .collect();
        let last = engine.attach(&id(1), sandbox.reference, &plain()).unwrap();
        assert!(!addresses.contains(&last.address.unwrap()), "addresses rest");
        assert_eq!(sandbox.ip("-o -4 address show eth0").lines().count(), 1);
        sandbox.serve(80);
        std::thread::sleep(std::time::Duration::from_millis(1100));
        engine.sweep_late().unwrap();
        assert!(tcp(last.address.unwrap(), 80).is_some());
    });
}

#[test]
fn an_interface_whose_namespace_stays_is_removed_after_a_moment() {
    on_a_host(|host| {
        let (mut engine, one, other) = (host.engine(), Sandbox::new(), Sandbox::new());
        engine.attach(&id(1), one.reference, &plain()).unwrap();
        engine.attach(&id(2), other.reference, &plain()).unwrap();
        engine.detach(&id(1)).unwrap();
        engine.sweep_late().unwrap();
        assert_eq!(pairs().len(), 2, "it gets a moment");
        std::thread::sleep(std::time::Duration::from_millis(1100));
        engine.sweep_late().unwrap();
        assert_eq!(pairs().len(), 1);
        engine.detach(&id(2)).unwrap();
        drop(engine);
        drop(host.engine());
        assert!(pairs().is_empty(), "the next process does what is left");
    });
}

#[test]
fn the_pair_goes_with_the_namespace() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        engine.attach(&id(1), sandbox.reference, &plain()).unwrap();
        assert_eq!(pairs().len(), 1);
        sandbox.end();
        wait_until("the pair is gone", || pairs().is_empty());
        engine.detach(&id(1)).unwrap();
    });
}

#[test]
fn none_is_only_loopback() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let spec = AttachSpec { mode: Mode::None, ports: Vec::new() };
        for _ in 0..2 {
            let attachment = engine.attach(&id(1), sandbox.reference, &spec).unwrap();
            assert_eq!(attachment, schema::network::Attachment::default());
        }
        sandbox.serve(700);
        assert!(sandbox.tcp(Ipv4Addr::LOCALHOST, 700).is_some());
        assert_eq!(sandbox.ip("-o link").lines().filter(|line| line.contains("eth0")).count(), 0);
        assert_eq!((host.leases(), exists(&host.name())), (0, false));
        engine.detach(&id(1)).unwrap();
    });
}
