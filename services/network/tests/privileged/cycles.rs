//! What is given back is free again, however often.

use crate::host::{Sandbox, id, nft, on_a_host, on_all, pairs, plain, wait_until};
use schema::common::Protocol;
use std::collections::BTreeSet;
use std::fs;

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn many_containers_one_after_the_other_leave_nothing() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let mut spec = on_all(&[(0, 80), (0, 81)]);
        spec.ports.retain(|port| port.protocol == Protocol::Tcp);
        let cycle = |engine: &mut network::engine::Engine| {
            let attachment = engine.attach(&id(1), sandbox.reference, &spec).unwrap();
            engine.detach(&id(1)).unwrap();
            (attachment.address.unwrap(), attachment.ports[0].host_port)
        };
        let table = |name: &str| nft(&format!("list table inet {name}"));
        cycle(&mut engine);
        let before = table(&host.name());
        // More than there are addresses, so that each is given out again.
        let given: Vec<_> = (1..=300).map(|_| cycle(&mut engine)).collect();
        assert_eq!(given.iter().map(|(address, _)| address).collect::<BTreeSet<_>>().len(), 253);
        let ports: BTreeSet<_> = given.iter().map(|(_, port)| port).collect();
        assert_eq!(ports.len(), 300, "a freed port rests");
        assert_eq!((table(&host.name()), host.leases(), engine.info().unwrap().attached), (before, 0, 0));
        std::thread::sleep(std::time::Duration::from_millis(1100));
        engine.sweep_late().unwrap();
        wait_until("no pair is left", || pairs().is_empty());
        engine.tear_down().unwrap();
        assert_eq!(nft("list tables"), "");
    });
}

#[test]
fn a_subnet_has_room_for_253_containers_and_says_when_it_is_full() {
    on_a_host(|host| {
        let mut engine = host.engine();
        let sandboxes: Vec<_> = (0..253).map(|_| Sandbox::new()).collect();
        let attach = |engine: &mut network::engine::Engine, number: u8, sandbox: &Sandbox| {
            engine.attach(&id(number), sandbox.reference, &plain())
        };
        let files = open_files();
        let addresses: BTreeSet<_> = sandboxes
            .iter()
            .zip(0..)
            .map(|(sandbox, number)| attach(&mut engine, number, sandbox).unwrap())
            .map(|attachment| (attachment.address.unwrap(), attachment.address6.unwrap()))
            .collect();
        assert_eq!(addresses.len(), 253);
        let lasts: BTreeSet<_> = addresses.iter().map(|(address, _)| address.octets()[3]).collect();
        assert_eq!((lasts.first(), lasts.last()), (Some(&2), Some(&254)), "neither network, gateway nor broadcast");
        let one_more = Sandbox::new();
        let failure = attach(&mut engine, 253, &one_more).unwrap_err();
        assert!(failure.message.starts_with("no unallocated IP address available in "), "{failure}");
        engine.detach(&id(7)).unwrap();
        attach(&mut engine, 253, &one_more).unwrap();
        assert!(open_files() < files + 40, "a container without ports holds no descriptor");
    });
}
