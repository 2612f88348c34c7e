//! The one table of an instance, and the tables of others.

use crate::host::{HOST, Sandbox, bridge, exists, id, nft, on_a_host, on_all, plain};
use std::net::Ipv4Addr;

const EXPECTED: &str = include_str!("table.nft");

const FOREIGN: &str = "add table ip foreign
add set ip foreign bad { type ipv4_addr ; elements = { 203.0.113.7 } ; }
add chain ip foreign input { type filter hook input priority 0 ; }
add rule ip foreign input ip saddr @bad counter drop
add table inet cctl-else
add chain inet cctl-else output { type filter hook output priority 10 ; }
";

#[test]
fn the_table_is_as_documented() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let ports = [(None, 8080, 80), (Some(HOST), 5353, 53)];
        let attachment = engine.attach(&id(1), sandbox.reference, &bridge(&ports)).unwrap();
        let info = engine.info().unwrap();
        let listed = nft(&format!("-y list table inet {}", host.name()));
        let fingerprint = listed.split("rules ").nth(1).unwrap().split('"').next().unwrap();
        let listed = listed
            .replace(fingerprint, "FINGERPRINT")
            .replace(&host.name(), "BRIDGE")
            .replace(&attachment.address.unwrap().to_string(), "ADDRESS")
            .replace(&attachment.address6.unwrap().to_string(), "ADDRESS6")
            .replace(&info.subnet, "SUBNET")
            .replace(&info.subnet6, "SUBNET6")
            .replace(&format!("{}\n", info.gateway6), "GATEWAY6\n")
            .replace(&format!("{} ", info.gateway6), "GATEWAY6 ");
        assert_eq!(sorted_elements(&listed), sorted_elements(EXPECTED), "{listed}");
    });
}

/// The kernel lists elements in an order of its own.
fn sorted_elements(listing: &str) -> String {
    let joined = listing.replace(",\n", ",").replace('\t', " ");
    let lines = joined.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let line = words.join(" ");
        match line.strip_prefix("elements = { ").and_then(|rest| rest.strip_suffix(" }")) {
            Some(elements) => {
                let mut elements: Vec<_> = elements.split(", ").collect();
                elements.sort_unstable();
                elements.join("\n")
            }
            None => line,
        }
    });
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_tables_of_others_stay_byte_for_byte() {
    on_a_host(|host| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), FOREIGN).unwrap();
        nft(&format!("-f {}", file.path().display()));
        let listed = || (nft("-a list table ip foreign"), nft("-a list table inet cctl-else"));
        let before = listed();
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        engine.attach(&id(1), sandbox.reference, &on_all(&[(8080, 80)])).unwrap();
        nft(&format!("delete table inet {}", host.name()));
        engine.reconcile(&[id(1)]).unwrap();
        engine.detach(&id(1)).unwrap();
        engine.tear_down().unwrap();
        assert_eq!(listed(), before);
    });
}

#[test]
fn tear_down_leaves_nothing_and_only_when_nothing_is_attached() {
    on_a_host(|host| {
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        engine.tear_down().unwrap();
        let info = engine.info().unwrap();
        assert_eq!((info.bridge.clone(), info.table.clone(), info.attached), (host.name(), host.name(), 0));
        engine.attach(&id(1), sandbox.reference, &plain()).unwrap();
        let failure = engine.tear_down().unwrap_err();
        assert_eq!(failure.code, schema::Code::Conflict);
        engine.detach(&id(1)).unwrap();
        for _ in 0..2 {
            engine.tear_down().unwrap();
            assert!(!exists(&host.name()));
            assert_eq!(nft("list tables"), "");
        }
        engine.attach(&id(1), sandbox.reference, &plain()).unwrap();
        assert_eq!(engine.info().unwrap().subnet, info.subnet);
    });
}

#[test]
fn a_subnet_in_use_is_not_taken() {
    on_a_host(|host| {
        let wanted = host.engine().info().unwrap();
        let gateway: Ipv4Addr = wanted.gateway.parse().unwrap();
        // The choice is recorded, and then another takes it.
        crate::host::ip("link add other type bridge");
        crate::host::ip(&format!("address add {gateway}/26 dev other"));
        let (mut engine, sandbox) = (host.engine(), Sandbox::new());
        let attachment = engine.attach(&id(1), sandbox.reference, &plain()).unwrap();
        assert_ne!(attachment.gateway, Some(gateway));
        assert_eq!(host.engine().info().unwrap().gateway, attachment.gateway.unwrap().to_string());
    });
}
