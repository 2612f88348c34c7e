//! What cannot be done says so, and leaves nothing behind.

use crate::host::{Sandbox, exists, id, ip, nft, on_a_host, on_all, pairs, plain};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use schema::Code;
use schema::common::SandboxRef;
use schema::network::{AttachSpec, Mode};

#[test]
fn a_sandbox_that_is_gone() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let other_start = SandboxRef { start_time: sandbox.reference.start_time + 1, ..sandbox.reference };
        let reference = sandbox.reference;
        for (spec, reference) in [(on_all(&[(8080, 80)]), other_start), (none(), other_start)] {
            let failure = engine.attach(&id(1), reference, &spec).unwrap_err();
            assert_eq!(failure.code, Code::NotFound, "{failure}");
            assert!(failure.message.contains(&reference.pid.to_string()));
        }
        sandbox.end();
        // Another port: another test's child may have a copy of the socket, until it executes its program.
        let failure = engine.attach(&id(1), reference, &on_all(&[(8081, 80)])).unwrap_err();
        assert_eq!(failure.code, Code::NotFound, "{failure}");
        assert_eq!((host.leases(), pairs().len(), engine.info().unwrap().attached), (0, 0, 0));
        let table = nft(&format!("list table inet {}", host.name()));
        assert!(!table.contains("8080") && !table.contains("8081"), "{table}");
    });
}

fn none() -> AttachSpec {
    AttachSpec { mode: Mode::None, ports: Vec::new() }
}

#[test]
fn specs_that_make_no_sense() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let ports = on_all(&[(0, 80)]).ports;
        for spec in [AttachSpec { mode: Mode::Host, ports: Vec::new() }, AttachSpec { mode: Mode::None, ports }] {
            assert_eq!(engine.attach(&id(1), sandbox.reference, &spec).unwrap_err().code, Code::InvalidArgument);
        }
    });
}

#[test]
fn a_sandbox_with_an_interface_of_another() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        sandbox.ip("link add eth0 type bridge");
        let failure = engine.attach(&id(1), sandbox.reference, &plain()).unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert!(failure.message.contains("eth0"));
        assert_eq!(host.leases(), 0);
    });
}

#[test]
fn an_interface_with_the_name_of_the_bridge() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        ip(&format!("link add {} type veth peer name other", host.name()));
        let failure = engine.attach(&id(1), sandbox.reference, &plain()).unwrap_err();
        assert_eq!(failure.code, Code::Conflict);
        assert!(failure.message.contains(&host.name()) && !failure.hint.is_empty());
        assert!(engine.tear_down().is_err());
        assert!(exists(&host.name()), "what is not ours is not removed");
    });
}

#[test]
fn a_kernel_that_refuses() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        engine.attach(&id(1), sandbox.reference, &plain()).unwrap();
        nft("flush ruleset");
        let other = Sandbox::new();
        let mut capabilities = capabilities(None).unwrap();
        capabilities.effective.remove(CapabilitySet::NET_ADMIN);
        set_capabilities(None, capabilities).unwrap();
        let failure = engine.attach(&id(2), other.reference, &on_all(&[(8080, 80)])).unwrap_err();
        assert!(failure.message.starts_with("nftables: "), "{failure}");
        assert!(failure.message.contains("Operation not permitted"), "{failure}");
        assert!(failure.hint.contains("CAP_NET_ADMIN"), "{}", failure.hint);
        assert_eq!(host.leases(), 1);
        capabilities.effective.insert(CapabilitySet::NET_ADMIN);
        set_capabilities(None, capabilities).unwrap();
        engine.attach(&id(2), other.reference, &on_all(&[(8080, 80)])).unwrap();
    });
}
