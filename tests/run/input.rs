//! Standard input of containers.

use harness::{Instance, eventually};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

#[test]
fn input_ends_with_the_clients_input() {
    let cctl = Instance::start();
    let output = cctl.cctl_with_input(&["run", "-i", "--rm", "base", "cat"], b"hi\n");
    assert_eq!(output.ok(), "hi");
}

#[test]
fn large_input_arrives_whole() {
    let cctl = Instance::start();
    let input: Vec<u8> = (0..400_000_u32).flat_map(|number| format!("{number}\n").into_bytes()).collect();
    let output = cctl.cctl_with_input(&["run", "-i", "--rm", "base", "cat"], &input);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.as_bytes() == input, "{} of {} bytes", output.stdout.len(), input.len());
}

#[test]
fn without_i_there_is_no_input() {
    let cctl = Instance::start();
    assert_eq!(cctl.cctl_with_input(&["run", "--rm", "base", "cat"], b"dropped\n").ok(), "");
}

#[test]
fn a_conversation_goes_both_ways() {
    let cctl = Instance::start();
    let mut client = cctl.spawn_with_input(&["run", "-i", "--rm", "base", "cat"]);
    let mut input = client.stdin.take().unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    for number in 0..15 {
        writeln!(input, "line {number}").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), format!("line {number}"));
    }
    drop(input);
    assert!(client.wait().unwrap().success());
    assert!(lines.next().is_none());
}

#[test]
fn the_end_of_the_container_does_not_wait_for_input() {
    let cctl = Instance::start();
    let mut client = cctl.spawn_with_input(&["run", "-i", "--rm", "base", "true"]);
    let status = eventually("run ends though its input is open", || client.try_wait().unwrap());
    assert!(status.success());
}

#[test]
fn a_client_that_is_gone_ends_the_input() {
    let cctl = Instance::start();
    let mut client = cctl.spawn_with_input(&["run", "-i", "--rm", "base", "cat"]);
    writeln!(client.stdin.as_mut().unwrap(), "hello").unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "hello\n");
    client.kill().unwrap();
    client.wait().unwrap();
    eventually("cat ended and was removed", || cctl.cctl(&["ps", "-aq"]).ok().is_empty().then_some(()));
}

#[test]
fn attached_clients_all_see_the_output() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "-i", "base", "cat"]).ok();
    let attach = || cctl.command(&["attach", &id]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut clients = [attach(), attach(), attach()];
    let mut readers: Vec<_> =
        clients.iter_mut().map(|client| BufReader::new(client.stdout.take().unwrap()).lines()).collect();
    // An attached client sees what comes after it; so lines are sent until all have joined.
    let mut sender = clients[0].stdin.take().unwrap();
    let (joined, all) = mpsc::channel::<()>();
    let sending = thread::spawn(move || {
        while all.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
            writeln!(sender, "x").unwrap();
        }
        sender
    });
    for reader in &mut readers {
        assert_eq!(reader.next().unwrap().unwrap(), "x");
    }
    drop(joined);
    let _sender = sending.join().unwrap();
    cctl.cctl(&["kill", &id]).ok();
    for mut client in clients {
        assert_eq!(client.wait().unwrap().code(), Some(137), "the exit of the process ends every client");
    }
    assert!(cctl.cctl(&["attach", &id]).stderr.contains("not running"));
}
