//! Processes of the service come and go; containers do not notice.

use crate::host::{
    Conversation, HOST, NEIGHBOUR, Sandbox, bridge, exists, id, ip, nft, on_a_host, on_all, pairs, plain, tcp, udp,
    wait_until,
};
use std::fs;

#[test]
fn a_restart_changes_nothing() {
    on_a_host(|host| {
        let (one, other) = (Sandbox::new(), Sandbox::new());
        let spec = on_all(&[(8080, 80), (0, 81)]);
        let mut engine = host.engine();
        let before = engine.attach(&id(1), one.reference, &spec).unwrap();
        one.serve(80);
        host.neighbour.serve(700);
        let mut inward = Conversation::with(HOST, 8080).unwrap();
        let mut outward = one.inside(|| Conversation::with(NEIGHBOUR, 700)).unwrap();
        assert!(inward.ask().is_some() && outward.ask().is_some());
        let table = || nft(&format!("-a list table inet {}", host.name()));
        let listed = table();
        for _ in 0..3 {
            drop(engine);
            engine = host.engine();
        }
        assert_eq!(table(), listed, "the table was not touched: its handles are the same");
        assert!(inward.ask().is_some() && outward.ask().is_some(), "connections go on");
        assert!(tcp(HOST, 8080).is_some());
        assert_eq!(engine.attach(&id(1), one.reference, &spec).unwrap(), before);
        let second = engine.attach(&id(2), other.reference, &plain()).unwrap();
        assert_eq!(second.address.unwrap().octets()[3], 3);
        assert!(engine.attach(&id(3), other.reference, &on_all(&[(8080, 80)])).is_err());
        assert_eq!(engine.info().unwrap().attached, 2);
    });
}

#[test]
fn a_table_that_is_gone_or_changed_comes_back() {
    on_a_host(|host| {
        let sandbox = Sandbox::new();
        let mut engine = host.engine();
        engine.attach(&id(1), sandbox.reference, &bridge(&[(None, 8080, 80), (Some(HOST), 8081, 80)])).unwrap();
        sandbox.serve(80);
        host.neighbour.serve(700);
        let name = host.name();
        let damages = [
            "flush ruleset".to_owned(),
            format!("delete table inet {name}"),
            format!("flush table inet {name}"),
            format!("flush chain inet {name} postrouting"),
            format!("flush map inet {name} ports"),
            format!("delete element inet {name} address_ports {{ {HOST} . udp . 8081 }}"),
            format!("add element inet {name} ports {{ tcp . 9 : 10.0.0.1 . 9 }}"),
        ];
        let works = || {
            tcp(HOST, 8080).is_some()
                && udp(HOST, 8081).is_some()
                && sandbox.tcp(NEIGHBOUR, 700).is_some()
                && !nft(&format!("list table inet {name}")).contains("10.0.0.1")
        };
        for damage in &damages {
            nft(damage);
            drop(engine);
            engine = host.engine();
            assert!(works(), "a restart after: {damage}");
            nft(damage);
            engine.reconcile(&[id(1)]).unwrap();
            assert!(works(), "reconcile after: {damage}");
        }
        let other = Sandbox::new();
        nft("flush ruleset");
        engine.attach(&id(2), other.reference, &plain()).unwrap();
        assert!(works(), "another attach");
        nft(&format!("flush map inet {name} ports"));
        engine.detach(&id(1)).unwrap();
        assert!(!nft(&format!("list table inet {name}")).contains("8081"));
    });
}

#[test]
fn a_bridge_that_is_gone_comes_back() {
    on_a_host(|host| {
        let sandbox = Sandbox::new();
        let mut engine = host.engine();
        let attachment = engine.attach(&id(1), sandbox.reference, &on_all(&[(8080, 80)])).unwrap();
        sandbox.serve(80);
        ip(&format!("link delete {}", host.name()));
        assert!(tcp(HOST, 8080).is_none());
        engine.reconcile(&[id(1)]).unwrap();
        assert!(tcp(HOST, 8080).is_some());
        assert!(sandbox.tcp(attachment.gateway.unwrap(), 8080).is_some());
        ip(&format!("link set {} down", host.name()));
        ip(&format!("address flush dev {}", host.name()));
        ip(&format!("link set {} nomaster", pairs()[0]));
        drop(engine);
        let mut engine = host.engine();
        assert!(tcp(HOST, 8080).is_some());
        assert!(tcp(crate::host::LOCALHOST, 8080).is_some());
        fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        engine.reconcile(&[id(1)]).unwrap();
        assert!(host.neighbour.tcp(HOST, 8080).is_some());
    });
}

#[test]
fn reconcile_releases_what_no_live_container_has() {
    on_a_host(|host| {
        let (one, other) = (Sandbox::new(), Sandbox::new());
        let mut engine = host.engine();
        engine.attach(&id(1), one.reference, &on_all(&[(8080, 80)])).unwrap();
        engine.attach(&id(2), other.reference, &on_all(&[(8081, 80)])).unwrap();
        other.serve(80);
        drop(engine);
        let mut engine = host.engine();
        engine.reconcile(&[id(2), id(7)]).unwrap();
        assert_eq!((host.leases(), engine.info().unwrap().attached), (1, 1));
        assert!(!nft(&format!("list table inet {}", host.name())).contains("8080"));
        assert!(tcp(HOST, 8081).is_some());
        engine.reconcile(&[]).unwrap();
        engine.tear_down().unwrap();
        assert!(!exists(&host.name()));
    });
}

#[test]
fn leases_of_another_boot_mean_nothing() {
    on_a_host(|host| {
        let sandbox = Sandbox::new();
        let mut engine = host.engine();
        engine.attach(&id(1), sandbox.reference, &on_all(&[(8080, 80)])).unwrap();
        drop(engine);
        sandbox.end();
        wait_until("the interface is gone, as after a boot", || pairs().is_empty());
        rewrite_boot(&host.lease_file(&id(1)));
        let mut engine = host.engine();
        assert_eq!((host.leases(), engine.info().unwrap().attached), (0, 0));
        assert!(!nft(&format!("list table inet {}", host.name())).contains("8080"));
        engine.tear_down().unwrap();
    });
}

/// Gives a lease the id of another boot, as the service itself would have written it then.
fn rewrite_boot(path: &std::path::Path) {
    let boot = kit::process::boot_id().unwrap();
    let directory = path.parent().unwrap().to_owned();
    let store: kit::store::Store<serde_json::Value> = kit::store::Store::open(directory, "lease", 1).unwrap();
    let (records, _) = store.load().unwrap();
    for (name, lease) in records {
        let text = lease.to_string().replace(&boot, "00000000-0000-0000-0000-000000000000");
        let other: serde_json::Value = serde_json::from_str(&text).unwrap();
        store.put(&name, &other, kit::store::Durability::Process).unwrap();
    }
}

#[test]
fn a_damaged_record_harms_one_container_and_nobody_gets_its_address() {
    on_a_host(|host| {
        let (one, other, third) = (Sandbox::new(), Sandbox::new(), Sandbox::new());
        let mut engine = host.engine();
        let of_one = engine.attach(&id(1), one.reference, &on_all(&[(8080, 80)])).unwrap();
        let of_other = engine.attach(&id(2), other.reference, &on_all(&[(8081, 80)])).unwrap();
        one.serve(80);
        other.serve(80);
        drop(engine);
        fs::write(host.lease_file(&id(1)), "nonsense").unwrap();
        // The subnet's record too, and with it where the search for addresses goes on.
        fs::write(host.instance().state("network").join(host.name()).join("bridge.json"), "").unwrap();
        let mut engine = host.engine();
        assert!(tcp(HOST, 8081).is_some() && tcp(HOST, 8080).is_none());
        assert!(other.tcp(of_one.address.unwrap(), 80).is_some(), "it is still connected");
        assert_eq!((engine.info().unwrap().attached, host.leases()), (2, 2));
        let of_third = engine.attach(&id(3), third.reference, &on_all(&[(8080, 80)])).unwrap();
        assert!(![of_one.address, of_other.address].contains(&of_third.address));
        assert_eq!(of_third.gateway, of_one.gateway);
        engine.detach(&id(1)).unwrap();
        engine.reconcile(&[id(2)]).unwrap();
        assert_eq!(engine.info().unwrap().attached, 1);
    });
}
