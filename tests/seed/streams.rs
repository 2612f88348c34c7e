//! Streams, as the tests of 0.1.3 had them.

use harness::{Instance, eventually};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

/// TestAttachStdin.
#[test]
fn with_only_stdin_attached_the_id_is_all_that_is_printed() {
    let cctl = Instance::start();
    let output =
        cctl.cctl_with_input(&["run", "-i", "-a", "stdin", "base", "sh", "-c", "echo hello; cat"], b"hi there\n");
    let id = output.ok();
    assert!(id.len() >= 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id:?}");
    assert_eq!(cctl.cctl(&["wait", &id]).ok(), "0");
    assert_eq!(cctl.cctl(&["logs", &id]).ok(), "hello\nhi there");
}

/// TestRunExit, TestStdin.
#[test]
fn fifteen_echoes_and_the_end_of_input_ends_the_run() {
    let cctl = Instance::start();
    let mut client = cctl.spawn_with_input(&["run", "-i", "base", "cat"]);
    let mut stdin = client.stdin.take().unwrap();
    let mut stdout = BufReader::new(client.stdout.take().unwrap());
    for number in 0..15 {
        writeln!(stdin, "hello {number}").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, format!("hello {number}\n"));
    }
    drop(stdin);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), client.wait().unwrap().code()), ("", Some(0)));
}

/// TestAttachDisconnect.
#[test]
fn a_client_that_detaches_leaves_the_process_running() {
    let cctl = Instance::start();
    let id = cctl.cctl(&["run", "-d", "-i", "base", "cat"]).ok();
    let mut client = cctl.spawn_with_input(&["attach", &id]);
    let mut stdin = client.stdin.take().unwrap();
    let mut stdout = BufReader::new(client.stdout.take().unwrap());
    for number in 0..15 {
        writeln!(stdin, "hello {number}").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, format!("hello {number}\n"));
    }
    client.kill().unwrap();
    client.wait().unwrap();
    assert!(cctl.cctl(&["ps", "-q", "--no-trunc"]).ok().contains(&id));
    // Another one takes its place.
    let mut client = cctl.spawn_with_input(&["attach", &id]);
    client.stdin.as_mut().unwrap().write_all(b"again\n").unwrap();
    let mut line = String::new();
    BufReader::new(client.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "again\n");
    client.kill().unwrap();
    client.wait().unwrap();
}

/// TestMultipleAttachRestart.
#[test]
fn three_readers_get_every_line_also_after_a_restart() {
    let cctl = Instance::start();
    let script = "while :; do echo hello; sleep 0.05; done";
    let id = cctl.cctl(&["run", "-d", "base", "sh", "-c", script]).ok();
    for _ in 0..2 {
        let mut readers: Vec<_> = (0..3)
            .map(|_| {
                cctl.command(&["attach", "--no-stdin", "--sig-proxy=false", &id])
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for reader in &mut readers {
            let mut line = String::new();
            BufReader::new(reader.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
            assert_eq!(line, "hello\n");
        }
        cctl.cctl(&["stop", "-t", "0", &id]).ok();
        for mut reader in readers {
            reader.stdout.take();
            reader.wait().unwrap();
        }
        cctl.cctl(&["start", &id]).ok();
    }
}

/// TestRestartStdin.
#[test]
fn input_works_again_after_a_restart() {
    let cctl = Instance::start();
    cctl.cctl(&["create", "-i", "--name", "box", "base", "cat"]).ok();
    for text in ["hello world", "other words"] {
        assert_eq!(cctl.cctl_with_input(&["start", "-a", "-i", "box"], text.as_bytes()).ok(), text);
    }
}

#[test]
fn nothing_is_replayed_to_who_attaches_later() {
    let cctl = Instance::start();
    let script = "echo first; read line; echo second";
    let id = cctl.cctl(&["run", "-d", "-i", "base", "sh", "-c", script]).ok();
    eventually("the first line", || cctl.cctl(&["logs", &id]).stdout.contains("first").then_some(()));
    assert_eq!(cctl.cctl_with_input(&["attach", &id], b"go\n").ok(), "second");
    cctl.cctl(&["attach", &id]).fails(1, &["not running"]);
}

#[test]
fn a_run_that_does_not_read_does_not_wait_for_its_input() {
    let cctl = Instance::start();
    let mut client = cctl.spawn_with_input(&["run", "--rm", "base", "true"]);
    // The pipe stays open.
    let stdin = client.stdin.take();
    assert_eq!(client.wait().unwrap().code(), Some(0));
    drop(stdin);
}

#[test]
fn the_first_byte_comes_when_it_is_written() {
    let cctl = Instance::start();
    let mut client = cctl
        .command(&["run", "--rm", "-i", "base", "sh", "-c", "printf x; cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut byte = [0];
    client.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x", "while the container still runs");
    drop(client.stdin.take());
    client.wait().unwrap();
}
