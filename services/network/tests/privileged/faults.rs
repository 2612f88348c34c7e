//! Whatever fails while a container is attached, nothing of it is left.

use crate::host::{HOST, Host, Sandbox, id, nft, on_a_host, on_all, pairs, tcp, wait_until};
use crate::service::{Service, block_on, call};
use schema::network::Client;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use tempfile::NamedTempFile;

/// The system calls by which attaching has an effect, with an error that each may give, and how often it may at
/// most be tried: the second setns is the way home, without which the service ends.
const CALLS: [(&str, &str, u32); 8] = [
    ("socket", "EMFILE", 99),
    ("bind", "EADDRINUSE", 99),
    ("listen", "EADDRINUSE", 99),
    ("setns", "EPERM", 1),
    ("openat", "ENFILE", 99),
    ("rename", "ENOSPC", 99),
    ("sendto", "ENOBUFS", 99),
    ("recvfrom", "ENOBUFS", 99),
];

/// Lets one system call of the threads that do the work fail, while this lives.
struct Fault {
    strace: Child,
    log: NamedTempFile,
}

impl Fault {
    fn at(service: u32, name: &str, error: &str, number: u32) -> Self {
        let log = NamedTempFile::new().unwrap();
        let threads: Vec<String> = fs::read_dir(format!("/proc/{service}/task"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|thread| *thread != service.to_string())
            .collect();
        let strace = Command::new("strace")
            .args(["-qq", "-o", log.path().to_str().unwrap(), "-e", &format!("trace={name}")])
            .args(["-e", &format!("inject={name}:error={error}:when={number}")])
            .args(threads.iter().flat_map(|thread| ["-p", thread.as_str()]))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let traced = |thread: &String| {
            let status = fs::read_to_string(format!("/proc/{service}/task/{thread}/status")).unwrap();
            !status.contains("TracerPid:\t0\n")
        };
        wait_until("the service is traced", || threads.iter().all(traced));
        Self { strace, log }
    }

    /// Whether the call was made so often that it could fail.
    fn end(mut self) -> bool {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.strace.id() as i32), nix::sys::signal::SIGTERM).unwrap();
        self.strace.wait().unwrap();
        fs::read_to_string(self.log.path()).unwrap().contains("(INJECTED)")
    }
}

#[test]
fn whatever_fails_nothing_is_left() {
    on_a_host(|host| {
        block_on(async {
            let service = Service::start(&host);
            let client = Client::new(&host.instance());
            // Bridge and table exist from here on.
            let first = Sandbox::new();
            client.attach(&call(), &id(1), &first.reference, &on_all(&[(9090, 80)])).await.unwrap();
            let mut failed = 0;
            for (name, error, most) in CALLS {
                for number in 1..=most {
                    let fault = Fault::at(service.process.id(), name, error, number);
                    let sandbox = Sandbox::new();
                    let outcome = client.attach(&call(), &id(2), &sandbox.reference, &on_all(&[(8080, 80)])).await;
                    let hit = fault.end();
                    println!("{name} {number}: {:?}", outcome.as_ref().map(|_| ()));
                    if outcome.is_err() {
                        failed += 1;
                        assert!(hit, "{name} {number}: {outcome:?}");
                        nothing_is_left(&host, &client).await;
                    } else {
                        client.detach(&call(), &id(2)).await.unwrap();
                    }
                    works(&client, number).await;
                    if !hit {
                        break;
                    }
                }
            }
            assert!(failed > 20, "{failed} attempts failed");
            drop(first);
            wait_until("no pair is left", || pairs().is_empty());
        })
    });
}

async fn nothing_is_left(host: &Host, client: &Client) {
    let info = client.info(&call()).await.unwrap();
    assert_eq!(info.attached, 1);
    let leases = fs::read_dir(host.instance().state("network").join("leases")).unwrap();
    // A store that is not synced remembers the boot.
    let names: Vec<_> = leases.map(|entry| entry.unwrap().file_name()).filter(|name| name != "boot").collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(!nft(&format!("list table inet {}", host.name())).contains("8080"));
    // Another test's child may have a copy of the sockets, until it executes its program.
    wait_until("the port is free", || {
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, 8080)).is_ok()
            && TcpListener::bind((Ipv6Addr::UNSPECIFIED, 8080)).is_ok()
    });
    // A pair goes with its namespace, and is on no bridge meanwhile.
    let all = crate::host::ip("-o link show type veth");
    let master = format!("master {}", host.name());
    let on_bridge: Vec<_> = all.lines().filter(|line| line.contains("veth0202020") && line.contains(&master)).collect();
    assert!(on_bridge.is_empty(), "{on_bridge:?}");
}

/// The service is none the worse for what happened.
async fn works(client: &Client, number: u32) {
    let sandbox = Sandbox::new();
    sandbox.serve(80);
    client.attach(&call(), &id(3), &sandbox.reference, &on_all(&[(8080, 80)])).await.unwrap();
    assert!(tcp(HOST, 8080).is_some(), "after failure {number}");
    client.detach(&call(), &id(3)).await.unwrap();
}
