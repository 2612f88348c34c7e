//! Plugins: programs of others in the place of ours, on a running system; and `cctl-conformance`, which they run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad;

use harness::{Instance, eventually};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SERVICES: [&str; 6] = ["image-store", "filesystem", "network", "executor", "log-collector", "containers"];
/// Answers each line that it gets, once, on a TCP port.
const ECHO: &str = "while :; do nc -l -p 80 -e cat; done";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Python with pycapnp, which `make plugins` has made.
fn python() -> PathBuf {
    let venv = std::env::var_os("CCTL_TEST_VENV").map_or_else(|| root().join("target/plugin-venv"), PathBuf::from);
    let python = venv.join("bin/python");
    assert!(python.exists(), "{} is missing: run `make plugins`", python.display());
    python
}

/// A program that a service may be.
fn script(cctl: &Instance, name: &str, text: &str) -> PathBuf {
    let path = cctl.scratch().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

fn drop_in_file(cctl: &Instance) -> PathBuf {
    cctl.config().join("services.d/network.toml")
}

/// Puts a program in the place of the network service, as of its next restart.
fn drop_in(cctl: &Instance, executable: &Path) {
    let file = drop_in_file(cctl);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text = format!(
        r#"[[service]]
name = "network"
interface = "network"
executable = "{}"
needs = []
watchdog = "5s"
start-timeout = "20s"
restart = {{ intensity = 30, period = "1m", backoff = {{ first = "50ms", longest = "1s" }} }}
limits = {{ memory = "256MiB", pids = 64 }}
capabilities = ["NET_ADMIN", "NET_BIND_SERVICE", "SYS_ADMIN", "SYS_PTRACE"]
"#,
        executable.display()
    );
    fs::write(file, text).unwrap();
}

/// The process of each service but the network.
fn others(cctl: &Instance) -> BTreeMap<String, i64> {
    let rows =
        cctl.status().into_iter().map(|row| (row["name"].as_str().unwrap().to_owned(), row["pid"].as_i64().unwrap()));
    rows.filter(|(name, _)| name != "network").collect()
}

fn port(cctl: &Instance, name: &str) -> u16 {
    let shown = cctl.cctl(&["port", name, "80"]).ok();
    shown.lines().next().unwrap().rsplit(':').next().unwrap().trim().parse().unwrap()
}

fn echoes(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"ping\n").ok()?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).ok()?;
    (&answer == b"ping\n").then_some(())
}

fn address(cctl: &Instance, name: &str) -> String {
    cctl.cctl(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", name]).ok()
}

fn conformance(cctl: &Instance, service: &str, options: &[&str]) -> (bool, String) {
    let socket = cctl.runtime().join(format!("{service}.sock"));
    let output = Command::new("cctl-conformance")
        .env("PATH", cctl.path())
        .args(options)
        .arg(service)
        .arg(socket)
        .output()
        .expect("cctl-conformance");
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.success(), text)
}

#[test]
fn our_services_conform() {
    let cctl = Instance::start();
    for service in SERVICES {
        let (good, text) = conformance(&cctl, service, &["--disposable"]);
        assert!(good, "{text}");
        assert!(text.contains("pass  hello says which service it is") && text.contains(" 0 failed"), "{text}");
    }
}

#[test]
fn a_plugin_in_python_takes_over_live_and_hands_back() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "before", "-p", "80", "base", "sh", "-c", ECHO]).ok();
    let (first, had) = (port(&cctl, "before"), address(&cctl, "before"));
    eventually("the port answers", || echoes(first));
    let others_before = others(&cctl);
    let here = root().join("tests/plugins/network.py");
    let text =
        format!("#!/bin/sh\nexec {} {} {}\n", python().display(), here.display(), root().join("schema").display());
    let plugin = script(&cctl, "network-plugin", &text);
    drop_in(&cctl, &plugin);
    cctl.cctl(&["system", "restart", "network"]).ok();
    let row = cctl.status().into_iter().find(|row| row["name"] == "network").unwrap();
    assert_eq!(row["executable"].as_str(), plugin.to_str(), "{row}");
    // What ran goes on, and what is new is the plugin's.
    eventually("the port of before answers", || echoes(first));
    cctl.cctl(&["run", "-d", "--name", "during", "-p", "80", "base", "sh", "-c", ECHO]).ok();
    let second = port(&cctl, "during");
    eventually("the port of the plugin answers", || echoes(second));
    assert_ne!(address(&cctl, "during"), had);
    let gateway = cctl.cctl(&["run", "--rm", "base", "sh", "-c", "ip route | awk '/default/ {print $3}'"]).ok();
    assert!(
        cctl.cctl(&["run", "--rm", "base", "ping", "-c", "1", "-W", "5", &gateway]).ok().contains("1 packets received")
    );
    cctl.cctl(&["run", "--rm", "-p", &format!("{second}:80"), "base", "true"]).fails(125, &[&second.to_string()]);
    let (good, text) = conformance(&cctl, "network", &[]);
    assert!(good, "{text}");
    // Killed, it comes back as ours do.
    cctl.kill_service("network");
    cctl.cctl(&["run", "--rm", "base", "true"]).ok();
    for port in [first, second] {
        eventually("a port answers after a kill", || echoes(port));
    }
    fs::remove_file(drop_in_file(&cctl)).unwrap();
    cctl.cctl(&["system", "restart", "network"]).ok();
    for port in [first, second] {
        eventually("a port answers when ours is back", || echoes(port));
    }
    assert_eq!((address(&cctl, "before"), others(&cctl)), (had, others_before));
    cctl.cctl(&["rm", "-f", "before", "during"]).ok();
}

#[test]
fn a_plugin_in_rust_out_of_tree_takes_over() {
    let cctl = Instance::start();
    cctl.cctl(&["run", "-d", "--name", "before", "-p", "80", "base", "sh", "-c", ECHO]).ok();
    let first = port(&cctl, "before");
    let plugin = root().join("target/plugins/release/loopback-network");
    assert!(plugin.exists(), "{} is missing: run `make plugins`", plugin.display());
    drop_in(&cctl, &plugin);
    cctl.cctl(&["system", "restart", "network"]).ok();
    eventually("the port of before answers", || echoes(first));
    cctl.cctl(&["run", "-d", "--name", "during", "-p", "80", "base", "sh", "-c", ECHO]).ok();
    assert!(cctl.cctl(&["port", "during", "80"]).ok().starts_with("127.0.0.1:"));
    let second = port(&cctl, "during");
    eventually("the port of the plugin answers", || echoes(second));
    let (good, text) = conformance(&cctl, "network", &[]);
    assert!(good, "{text}");
    cctl.kill_service("network");
    cctl.cctl(&["run", "--rm", "base", "true"]).ok();
    cctl.cctl(&["rm", "-f", "before", "during"]).ok();
}
