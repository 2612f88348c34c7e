//! A host in a network namespace, its neighbour, and the sandboxes on it.

use network::engine::Engine;
use nix::sched::{CloneFlags, unshare};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use schema::common::{PortBinding, Protocol, SandboxRef};
use schema::network::{AttachSpec, Mode};
use schema::{ContainerId, Instance};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The host's address on its uplink.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The neighbour's.
pub(crate) const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The same of IPv6.
pub(crate) const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
pub(crate) const NEIGHBOUR6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
pub(crate) const LOCALHOST6: Ipv6Addr = Ipv6Addr::LOCALHOST;
const PATIENCE: Duration = Duration::from_secs(3);
/// A packet that is dropped makes itself known by nothing coming.
const SILENCE: Duration = Duration::from_millis(900);

/// Runs a test on a host of its own.
pub(crate) fn on_a_host(test: impl FnOnce(Host) + Send + 'static) {
    let result = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace: these tests need root");
        test(Host::new());
    })
    .join();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) struct Host {
    pub(crate) neighbour: Sandbox,
    root: TempDir,
}

impl Host {
    fn new() -> Self {
        let neighbour = Sandbox::new();
        let pid = neighbour.reference.pid.to_string();
        ip("link set lo up");
        ip(&format!("link add uplink type veth peer name uplink netns {pid}"));
        ip(&format!("address add {HOST}/24 dev uplink"));
        ip(&format!("address add {HOST6}/64 dev uplink nodad"));
        ip("link set uplink up");
        ip(&format!("route add default via {NEIGHBOUR}"));
        ip(&format!("-6 route add default via {NEIGHBOUR6}"));
        neighbour.ip("link set lo up");
        neighbour.ip(&format!("address add {NEIGHBOUR}/24 dev uplink"));
        neighbour.ip(&format!("address add {NEIGHBOUR6}/64 dev uplink nodad"));
        neighbour.ip("link set uplink up");
        Self { neighbour, root: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn instance(&self) -> Instance {
        Instance::new(self.root.path(), self.root.path().join("run"))
    }

    pub(crate) fn name(&self) -> String {
        self.instance().kernel_name()
    }

    /// A process's start over the state that there is.
    pub(crate) fn engine(&self) -> Engine {
        self.engine_named(&self.name())
    }

    pub(crate) fn engine_named(&self, name: &str) -> Engine {
        Engine::open(&self.instance().state("network").join(name), name).unwrap()
    }

    pub(crate) fn leases(&self) -> usize {
        fs::read_dir(self.instance().state("network").join(self.name()).join("leases"))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "json"))
            .count()
    }

    pub(crate) fn lease_file(&self, id: &ContainerId) -> std::path::PathBuf {
        self.instance().state("network").join(self.name()).join("leases").join(format!("{id}.json"))
    }
}

/// A process that sleeps in a network namespace.
pub(crate) struct Sandbox {
    process: Child,
    pub(crate) reference: SandboxRef,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let process = Command::new("unshare").args(["-n", "sleep", "600"]).spawn().unwrap();
        let pid = i32::try_from(process.id()).unwrap();
        let path = format!("/proc/{pid}/ns/net");
        let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
        wait_until("the sandbox has its namespace", || fs::read_link(&path).is_ok_and(|of| of != own));
        Self { process, reference: SandboxRef { pid, start_time: kit::process::start_time(pid).unwrap() } }
    }

    /// Runs something in the namespace.
    pub(crate) fn inside<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/proc/{}/ns/net", self.reference.pid)).unwrap();
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                    run()
                })
                .join()
                .unwrap()
        })
    }

    pub(crate) fn ip(&self, arguments: &str) -> String {
        self.inside(|| ip(arguments))
    }

    /// Serves TCP and UDP on a port of the namespace.
    pub(crate) fn serve(&self, port: u16) {
        self.inside(|| serve(Ipv6Addr::UNSPECIFIED, port));
    }

    pub(crate) fn tcp(&self, address: impl Into<IpAddr> + Send, port: u16) -> Option<SocketAddr> {
        self.inside(|| tcp(address, port))
    }

    pub(crate) fn udp(&self, address: impl Into<IpAddr> + Send, port: u16) -> Option<SocketAddr> {
        self.inside(|| udp(address, port))
    }

    pub(crate) fn end(mut self) {
        self.kill();
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A server that tells whoever asks under which address it sees him. It lives until the test's process ends.
pub(crate) fn serve(address: impl Into<IpAddr>, port: u16) {
    let address = address.into();
    let listener = TcpListener::bind((address, port)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    let socket = UdpSocket::bind((address, port)).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(peer.to_string().as_bytes(), peer);
        }
    });
}

fn answer(mut stream: TcpStream) {
    let Ok(peer) = stream.peer_addr() else { return };
    let mut line = [0; 1];
    while stream.read_exact(&mut line).is_ok() {
        let _ = stream.write_all(format!("{peer}\n").as_bytes());
    }
}

/// A connection that can be asked again and again.
pub(crate) struct Conversation(TcpStream);

impl Conversation {
    pub(crate) fn with(address: impl Into<IpAddr>, port: u16) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&SocketAddr::new(address.into(), port), SILENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Some(Self(stream))
    }

    /// As whom the server sees us; none if it does not answer.
    pub(crate) fn ask(&mut self) -> Option<SocketAddr> {
        self.0.write_all(b"?").ok()?;
        let mut answer = Vec::new();
        let mut byte = [0; 1];
        while self.0.read_exact(&mut byte).is_ok() && byte[0] != b'\n' {
            answer.push(byte[0]);
        }
        seen(&answer)
    }
}

/// A socket of both families shows addresses of IPv4 in the clothes of IPv6.
fn seen(answer: &[u8]) -> Option<SocketAddr> {
    let address: SocketAddr = std::str::from_utf8(answer).ok()?.parse().ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// Asks a server by TCP under which address it sees us; none if nobody answers.
pub(crate) fn tcp(address: impl Into<IpAddr>, port: u16) -> Option<SocketAddr> {
    Conversation::with(address, port)?.ask()
}

/// The same by UDP.
pub(crate) fn udp(address: impl Into<IpAddr>, port: u16) -> Option<SocketAddr> {
    let address = address.into();
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    let mut buffer = [0; 64];
    // Datagrams may be lost, or late.
    let (length, peer) = (0..3).find_map(|_| {
        socket.send_to(b"?", (address, port)).ok()?;
        socket.recv_from(&mut buffer).ok()
    })?;
    assert_eq!(peer, SocketAddr::from((address, port)), "the answer comes from whom it was asked");
    seen(&buffer[..length])
}

pub(crate) fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

pub(crate) fn nft(arguments: &str) -> String {
    run("nft", arguments)
}

fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split(' ')).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether an interface exists on the host.
pub(crate) fn exists(interface: &str) -> bool {
    Command::new("ip").args(["link", "show", interface]).stderr(Stdio::null()).output().unwrap().status.success()
}

/// Names of the interfaces on the host that begin with `veth`.
pub(crate) fn pairs() -> Vec<String> {
    let all = ip("-o link show type veth");
    let names = all.lines().filter_map(|line| line.split(": ").nth(1)?.split('@').next());
    names.filter(|name| name.starts_with("veth")).map(str::to_owned).collect()
}

pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn id(byte: u8) -> ContainerId {
    ContainerId::from_bytes([byte; 32])
}

/// Attached to the bridge, without a port.
pub(crate) fn plain() -> AttachSpec {
    bridge::<IpAddr>(&[])
}

/// Attached to the bridge, with ports published on all addresses: port of the host, port of the container.
pub(crate) fn on_all(ports: &[(u16, u16)]) -> AttachSpec {
    bridge::<IpAddr>(&ports.iter().map(|(host, container)| (None, *host, *container)).collect::<Vec<_>>())
}

/// Attached to the bridge, with these ports published: address, port of the host, port of the container.
pub(crate) fn bridge<A: Into<IpAddr> + Copy>(ports: &[(Option<A>, u16, u16)]) -> AttachSpec {
    let both = |(host_address, host_port, container_port): &(Option<A>, u16, u16)| {
        [Protocol::Tcp, Protocol::Udp].map(|protocol| PortBinding {
            host_address: host_address.map(Into::into),
            host_port: *host_port,
            container_port: *container_port,
            protocol,
        })
    };
    AttachSpec { mode: Mode::Bridge, ports: ports.iter().flat_map(both).collect() }
}
