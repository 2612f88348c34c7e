//! Addresses and published ports.

use harness::{Instance, eventually};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

/// Answers each line that it gets, once, on a TCP port.
const ECHO: &str = "while :; do nc -l -p 80 -e cat; done";

fn inspect(cctl: &Instance, id: &str) -> serde_json::Value {
    serde_json::from_str(&cctl.cctl(&["inspect", id]).ok()).unwrap()
}

fn echoes(address: &str, port: u16) -> Option<()> {
    let mut stream = TcpStream::connect((address, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"ping\n").ok()?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).ok()?;
    (&answer == b"ping\n").then_some(())
}

/// An address of the host that is neither loopback's nor the bridge's, for the time of a test
/// (192.0.2.0/24 is for documentation, RFC 5737).
struct HostAddress;

impl HostAddress {
    const ADDRESS: &str = "192.0.2.77";

    fn add() -> Self {
        Self::ip("add");
        Self
    }

    fn ip(verb: &str) {
        let network = format!("{}/32", Self::ADDRESS);
        let status = std::process::Command::new("ip").args(["address", verb, &network, "dev", "lo"]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for HostAddress {
    fn drop(&mut self) {
        Self::ip("del");
    }
}

#[test]
fn published_ports_are_reached_from_everywhere() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "-p", "80", "base", "sh", "-c", ECHO]).ok();
    let shown = cctl.cctl(&["port", &id, "80"]).ok();
    let port: u16 = shown.rsplit(':').next().unwrap().trim().parse().unwrap();
    assert!(port >= 49153, "{shown}");
    let network = inspect(&cctl, &id)[0]["NetworkSettings"].clone();
    let gateway = network["Gateway"].as_str().unwrap().to_owned();
    eventually("127.0.0.1 answers", || echoes("127.0.0.1", port));
    eventually("the bridge's address answers", || echoes(&gateway, port));
    let host = HostAddress::add();
    eventually("the host's address answers", || echoes(HostAddress::ADDRESS, port));
    drop(host);
    eventually("the container's own address answers", || echoes(network["IPAddress"].as_str().unwrap(), 80));
    // From another container, and from itself, through the host.
    let through = format!("echo ping | nc -w 2 {gateway} {port}");
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "sh", "-c", &through]).ok(), "ping");
    cctl.cctl(&["rm", "-f", &id]).ok();
    assert!(echoes("127.0.0.1", port).is_none());
}

#[test]
fn udp_ports_are_published_too() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "-p", "127.0.0.1::53/udp", "base", "sleep", "600"]).ok();
    // Debian's busybox has no UDP server: one of the host's programs answers in the container's network.
    let pid = inspect(&cctl, &id)[0]["State"]["Pid"].to_string();
    let server = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('', 53))\n\
                  while True: s.sendto(*s.recvfrom(100))";
    let mut server = std::process::Command::new("nsenter")
        .args(["--net", "--target", &pid, "python3", "-c", server])
        .spawn()
        .unwrap();
    let port: u16 = cctl.cctl(&["port", &id, "53/udp"]).ok().rsplit(':').next().unwrap().trim().parse().unwrap();
    eventually("UDP answers", || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket.send_to(b"ping", ("127.0.0.1", port)).ok()?;
        let mut answer = [0; 4];
        socket.recv(&mut answer).ok()?;
        (&answer == b"ping").then_some(())
    });
    server.kill().unwrap();
    server.wait().unwrap();
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn a_container_reaches_the_bridge_and_its_neighbours() {
    let cctl = Instance::start();
    let script =
        "ping -c 1 -W 2 $(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p') >/dev/null && echo reached";
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "sh", "-c", script]).ok(), "reached");
    let id = cctl.cctl(&["run", "-d", "base", "sleep", "600"]).ok();
    let address = inspect(&cctl, &id)[0]["NetworkSettings"]["IPAddress"].as_str().unwrap().to_owned();
    let script = format!("ping -c 1 -W 2 {address} >/dev/null && echo reached");
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "sh", "-c", &script]).ok(), "reached");
    cctl.cctl(&["rm", "-f", &id]).ok();
}

#[test]
fn none_has_loopback_and_host_has_the_hosts_network() {
    let cctl = Instance::start();
    let links = "ls /sys/class/net";
    assert_eq!(cctl.cctl(&["run", "--rm", "--network", "none", "base", "sh", "-c", links]).ok(), "lo");
    let up = "ping -c 1 -W 2 127.0.0.1 >/dev/null && echo up";
    assert_eq!(cctl.cctl(&["run", "--rm", "--network", "none", "base", "sh", "-c", up]).ok(), "up");
    let inside = cctl.cctl(&["run", "--rm", "--network", "host", "base", "readlink", "/proc/self/ns/net"]).ok();
    assert_eq!(inside, std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string());
}

#[test]
fn a_port_that_is_in_use_is_refused_and_leaves_nothing() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "-p", "18080:80", "base", "sleep", "600"]).ok();
    let second = cctl.cctl(&["run", "-d", "-p", "18080:80", "base", "sleep", "600"]);
    assert_eq!(second.code, 125, "{second:?}");
    assert!(second.stderr.contains("18080"), "{second:?}");
    cctl.cctl(&["rm", "-f", &id]).ok();
    // It is free again at once.
    let third = cctl.cctl(&["run", "--rm", "-p", "18080:80", "base", "echo", "free"]).ok();
    assert_eq!(third, "free");
    let taken = std::net::TcpListener::bind("127.0.0.1:18081").unwrap();
    let refused = cctl.cctl(&["run", "--rm", "-p", "18081:80", "base", "true"]);
    assert!(refused.code == 125 && refused.stderr.contains("18081"), "{refused:?}");
    drop(taken);
}
