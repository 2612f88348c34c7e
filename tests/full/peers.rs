//! Peers that ask for too much, or for nothing.

use crate::SERVICES;
use harness::Instance;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

fn memory(cctl: &Instance, service: &str) -> u64 {
    cctl.status().iter().find(|row| row["name"] == service).unwrap()["memory"].as_u64().unwrap()
}

fn connect(cctl: &Instance, service: &str) -> UnixStream {
    let stream = UnixStream::connect(cctl.runtime().join(format!("{service}.sock"))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Waits until the other end has closed a connection.
fn is_closed(stream: &mut UnixStream) {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn connections_without_number() {
    let cctl = Instance::start();
    for service in SERVICES.into_iter().chain(["supervisor"]) {
        let pid = cctl.pid(service);
        // The test's own descriptors bound how many are open at once; those that are refused are closed by the peer.
        let mut open: Vec<UnixStream> = Vec::new();
        let mut refused = 0;
        for _ in 0..3000 {
            let stream = connect(&cctl, service);
            stream.set_nonblocking(true).unwrap();
            open.push(stream);
            if open.len() > 800 {
                open.retain_mut(|stream| match stream.read(&mut [0; 16]) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => true,
                    _ => {
                        refused += 1;
                        false
                    }
                });
            }
            if open.len() > 800 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        assert!(refused > 2000, "{service}: {refused} were refused");
        // Others are served meanwhile.
        assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
        assert_eq!(cctl.pid(service), pid, "{service} was restarted");
        // Who calls nothing is let go.
        let mut one = open.into_iter().next().unwrap();
        one.set_nonblocking(false).unwrap();
        is_closed(&mut one);
        assert!(memory(&cctl, service) < 64 << 20, "{service}: {}", memory(&cctl, service));
    }
}

#[test]
fn garbage_and_messages_without_end() {
    let cctl = Instance::start();
    for service in SERVICES.into_iter().chain(["supervisor"]) {
        let pid = cctl.pid(service);
        // One segment of 4 GiB less a little; 512 segments and more; not a message at all; half of one.
        let huge = [0, 0, 0, 0, 0xff, 0xff, 0xff, 0x1f];
        let segments = [0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0];
        for start in [&huge[..], &segments, b"GET / HTTP/1.1\r\n\r\n", &[0, 0, 0, 0, 0, 0, 0x20, 0]] {
            let mut stream = connect(&cctl, service);
            stream.write_all(start).unwrap();
            // It may be closed at once.
            let _ = stream.write_all(&vec![0; 1 << 16]);
            is_closed(&mut stream);
        }
        assert_eq!(cctl.pid(service), pid, "{service} was restarted");
    }
    assert_eq!(cctl.cctl(&["run", "--rm", "base", "echo", "on"]).ok(), "on");
}
