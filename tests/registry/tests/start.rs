//! The registry starts, answers, and is gone when it is dropped.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use test_registry::{PASSWORD, Registry, Setup, USER};

fn ping(name: &str) -> String {
    let mut stream = TcpStream::connect(name).unwrap();
    write!(stream, "GET /v2/ HTTP/1.0\r\nHost: {name}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn an_open_registry_answers_also_after_a_restart_and_ends_with_its_value() {
    let mut registry = Registry::start();
    let name = registry.name();
    assert!(ping(&name).contains("200 OK"));
    registry.stop();
    assert!(TcpStream::connect(&name).is_err());
    registry.restart();
    assert_eq!(registry.name(), name);
    assert!(ping(&name).contains("200 OK"));
    drop(registry);
    assert!(TcpStream::connect(&name).is_err());
}

#[test]
fn a_protected_registry_wants_its_password() {
    let registry = Registry::with(Setup { password: true, ..Setup::default() });
    assert!(ping(&registry.name()).contains("401 Unauthorized"));
}

#[test]
fn a_tls_registry_has_a_certificate_of_its_own_authority() {
    let registry = Registry::with(Setup { tls: true, password: true });
    let inspect = |certificates: &std::path::Path| {
        Command::new("skopeo")
            .args(["login", "--authfile"])
            .arg(registry.storage().with_file_name("auth.json"))
            .arg("--cert-dir")
            .arg(certificates)
            .args(["--username", USER, "--password", PASSWORD, &registry.name()])
            .output()
            .unwrap()
    };
    let directory = tempfile::tempdir().unwrap();
    assert!(!inspect(directory.path()).status.success());
    std::fs::copy(registry.ca(), directory.path().join("ca.crt")).unwrap();
    let output = inspect(directory.path());
    assert!(output.status.success(), "{output:?}");
}
