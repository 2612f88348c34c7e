//! What things cost. Run with `--nocapture` to see it.

use crate::host::{Conversation, HOST, Sandbox, bridge, id, on_a_host, on_all, plain};
use schema::common::Protocol;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = run();
    (start.elapsed(), value)
}

fn show(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let median = times[times.len() / 2];
    println!("{what}: min {:?}, median {median:?}, max {:?}", times[0], times[times.len() - 1]);
    median
}

#[test]
fn attaching_costs_milliseconds_at_most() {
    on_a_host(|host| {
        let mut engine = host.engine();
        let sandboxes: Vec<_> = (0..40).map(|_| Sandbox::new()).collect();
        let first = timed(|| engine.attach(&id(200), sandboxes[39].reference, &plain()).unwrap()).0;
        println!("first attach, with bridge and table: {first:?}");
        let mut times = Vec::new();
        let mut again = Vec::new();
        for (byte, sandbox) in sandboxes[..39].iter().enumerate() {
            // Two ports, so that TCP and UDP can be told apart: UDP looks through the kernel's connections.
            let (id, mut spec) = (id(byte as u8), on_all(&[(0, 80), (0, 81)]));
            let protocol = if byte < 20 { Protocol::Tcp } else { Protocol::Udp };
            spec.ports.retain(|port| port.protocol == protocol);
            times.push(timed(|| engine.attach(&id, sandbox.reference, &spec).unwrap()).0);
            again.push(timed(|| engine.attach(&id, sandbox.reference, &spec).unwrap()).0);
        }
        show("attach with two ports of UDP", times.split_off(20));
        let attach = show("attach with two ports of TCP", times);
        show("attach again", again);
        let mut detach =
            |bytes: std::ops::Range<u8>| bytes.map(|byte| timed(|| engine.detach(&id(byte)).unwrap()).0).collect();
        show("detach with two ports of TCP", detach(0..20));
        show("detach with two ports of UDP", detach(20..39));
        assert!(attach < Duration::from_millis(100));
    });
}

#[test]
fn the_first_connection_need_not_wait() {
    on_a_host(|host| {
        let mut engine = host.engine();
        let mut times = Vec::new();
        for byte in 0..10 {
            let sandbox = Sandbox::new();
            sandbox.serve(80);
            // Another port each time: another test's child may have a copy of the socket, until it executes.
            let port = 8080 + u16::from(byte);
            let spec = on_all(&[(port, 80)]);
            engine.attach(&id(byte), sandbox.reference, &spec).unwrap();
            times.push(timed(|| assert!(Conversation::with(HOST, port).unwrap().ask().is_some())).0);
            engine.detach(&id(byte)).unwrap();
        }
        let slowest = times.iter().copied().max().unwrap();
        show("first answer after attach", times);
        assert!(slowest < Duration::from_millis(900), "a first packet was lost, and sent again after a second");
    });
}

#[test]
fn publishing_costs_the_same_whatever_is_published() {
    on_a_host(|host| {
        let _ = rustix::process::setrlimit(
            rustix::process::Resource::Nofile,
            rustix::process::Rlimit {
                current: Some(30_000),
                maximum: rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum,
            },
        );
        let mut engine = host.engine();
        let sandbox = Sandbox::new();
        let many: Vec<(Option<Ipv4Addr>, u16, u16)> = (20_000..22_500).map(|port| (None, port, port)).collect();
        let (time, _) = timed(|| engine.attach(&id(1), sandbox.reference, &bridge(&many)).unwrap());
        println!("attach with {} ports on both families: {time:?}", 2 * many.len());
        let mut times = Vec::new();
        for byte in 2..12 {
            let sandbox = Sandbox::new();
            times.push(timed(|| engine.attach(&id(byte), sandbox.reference, &on_all(&[(0, 80)])).unwrap()).0);
        }
        show("attach beside them", times);
        let (time, ()) = timed(|| drop(host.engine()));
        println!("recovery with them: {time:?}");
        let (time, ()) = timed(|| engine.detach(&id(1)).unwrap());
        println!("detach of them: {time:?}");
    });
}
