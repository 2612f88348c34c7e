//! The service as a process, called over its socket, and killed at random moments.

use crate::host::{HOST, Host, Sandbox, exists, id, nft, on_a_host, on_all, tcp};
use futures::future::join_all;
use schema::common::SandboxRef;
use schema::network::Client;
use schema::{Call, Instance};
use std::fs;
use std::future::Future;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The socket that a supervisor would hold, and the process that serves on it.
pub(crate) struct Service {
    instance: Instance,
    socket: UnixListener,
    pub(crate) process: Child,
}

impl Service {
    pub(crate) fn start(host: &Host) -> Self {
        let instance = host.instance();
        fs::create_dir_all(instance.run()).unwrap();
        let socket = UnixListener::bind(instance.socket("network")).unwrap();
        let process = spawn(&instance, &socket);
        Self { instance, socket, process }
    }

    fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.process = spawn(&self.instance, &self.socket);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts the service with the socket as descriptor 3, by the protocol of sd_listen_fds(3).
fn spawn(instance: &Instance, socket: &UnixListener) -> Child {
    Command::new("sh")
        .args(["-c", "LISTEN_PID=$$ exec \"$0\" 3<&0 </dev/null", env!("CARGO_BIN_EXE_network")])
        .env("LISTEN_FDS", "1")
        .env("CCTL_ROOT", instance.root())
        .env("CCTL_RUN", instance.run())
        .stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())))
        .spawn()
        .unwrap()
}

pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    actix::System::new().block_on(work)
}

pub(crate) fn call() -> Call {
    Call::within(Duration::from_secs(30))
}

#[test]
fn the_service_answers_over_its_socket() {
    on_a_host(|host| {
        let _service = Service::start(&host);
        let sandbox = Sandbox::new();
        sandbox.serve(80);
        block_on(async {
            let client = Client::new(&host.instance());
            let spec = on_all(&[(8080, 80)]);
            let attachment = client.attach(&call(), &id(1), &sandbox.reference, &spec).await.unwrap();
            assert_eq!((attachment.ports.len(), attachment.address6.is_some()), (4, true));
            assert!(tcp(HOST, 8080).is_some());
            let info = client.info(&call()).await.unwrap();
            assert_eq!((info.attached, info.table), (1, host.name()));
            assert_eq!(client.tear_down(&call()).await.unwrap_err().code, schema::Code::Conflict);
            client.reconcile(&call(), &[]).await.unwrap();
            client.detach(&call(), &id(1)).await.unwrap();
            client.tear_down(&call()).await.unwrap();
        });
        assert!(!exists(&host.name()));
    });
}

#[test]
fn what_another_firewall_does_to_the_table_is_undone() {
    on_a_host(|host| {
        let _service = Service::start(&host);
        let sandbox = Sandbox::new();
        sandbox.serve(80);
        block_on(async {
            let client = Client::new(&host.instance());
            client.attach(&call(), &id(1), &sandbox.reference, &on_all(&[(8080, 80)])).await.unwrap();
        });
        let name = host.name();
        let table = || nft(&format!("list table inet {name}"));
        let before = table();
        for damage in [
            "flush ruleset".to_owned(),
            format!("delete table inet {name}"),
            format!("flush chain inet {name} postrouting"),
            format!("flush map inet {name} ports"),
            format!("add element inet {name} ports {{ tcp . 9 : 10.0.0.1 . 9 }}"),
        ] {
            nft(&damage);
            let restored = (0..500).any(|_| {
                thread::sleep(Duration::from_millis(10));
                nft("list tables").contains(&name) && table() == before
            });
            assert!(restored, "after {damage}: {}", nft("list ruleset"));
            assert!(tcp(HOST, 8080).is_some(), "after {damage}");
        }
        nft("add table inet others");
        nft("delete table inet others");
        block_on(async {
            let client = Client::new(&host.instance());
            client.detach(&call(), &id(1)).await.unwrap();
            client.tear_down(&call()).await.unwrap();
        });
        assert_eq!(nft("list tables"), "", "nobody restores what is not needed any more");
    });
}

#[test]
fn killed_at_random_moments_it_loses_and_leaks_nothing() {
    on_a_host(|host| {
        let mut service = Service::start(&host);
        let instance = host.instance();
        let bystander = Sandbox::new();
        bystander.serve(80);
        let sandboxes: Vec<_> = (0..6).map(|_| Sandbox::new()).collect();
        let references: Vec<_> = sandboxes.iter().map(|sandbox| sandbox.reference).collect();
        block_on(async {
            let client = Client::new(&instance);
            client.attach(&call(), &id(99), &bystander.reference, &on_all(&[(8000, 80)])).await.unwrap();
        });
        thread::scope(|scope| {
            let storm = scope.spawn(|| block_on(storm(&instance, &references)));
            let mut kills = 0_u64;
            while !storm.is_finished() {
                // From the first instructions of a process to well into its work.
                thread::sleep(Duration::from_micros(2_000 + kills * 7_919 % 190_000));
                service.restart();
                kills += 1;
                assert!(tcp(HOST, 8000).is_some(), "a container that is not concerned is reached all the time");
            }
            println!("killed {kills} times");
            assert!(kills > 10);
        });
        drop(sandboxes);
        block_on(async {
            let client = Client::new(&instance);
            client.reconcile(&call(), &[]).await.unwrap();
            client.tear_down(&call()).await.unwrap();
        });
        drop(bystander);
        assert_eq!((nft("list tables"), exists(&host.name())), (String::new(), false));
        let leases = fs::read_dir(instance.state("network").join("leases")).unwrap();
        let leases: Vec<_> = leases.map(|entry| entry.unwrap().file_name()).filter(|name| name != "boot").collect();
        assert_eq!(leases, [""; 0], "neither leases nor temporary or damaged files");
    });
}

/// Attaches and detaches again and again, while the service is killed. No call may fail, no two containers may
/// have the same address or port.
async fn storm(instance: &Instance, sandboxes: &[SandboxRef]) {
    let client = Client::new(instance);
    for _ in 0..5 {
        let attached = join_all(sandboxes.iter().enumerate().map(|(byte, sandbox)| {
            let client = client.clone();
            async move { client.attach(&call(), &id(byte as u8), sandbox, &on_all(&[(0, 80)])).await.unwrap() }
        }))
        .await;
        let mut addresses: Vec<Ipv4Addr> = attached.iter().filter_map(|one| one.address).collect();
        let mut ports: Vec<_> =
            attached.iter().flat_map(|one| &one.ports).map(|port| (port.protocol, port.host_port)).collect();
        // Each port of TCP and UDP is published on both families.
        for (count, list) in [(sandboxes.len(), addresses.len()), (4 * sandboxes.len(), ports.len())] {
            assert_eq!(count, list);
        }
        addresses.sort_unstable();
        addresses.dedup();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!((addresses.len(), ports.len()), (sandboxes.len(), 2 * sandboxes.len()));
        assert_eq!(client.info(&call()).await.unwrap().attached as usize, sandboxes.len() + 1);
        join_all((0..sandboxes.len()).map(|byte| {
            let client = client.clone();
            async move { client.detach(&call(), &id(byte as u8)).await.unwrap() }
        }))
        .await;
    }
}
