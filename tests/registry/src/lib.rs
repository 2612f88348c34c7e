//! A real registry for tests: Debian's `docker-registry`, on a port of 127.0.0.1 that the kernel chooses,
//! with its own directory. It is stopped and its files are removed when its value is dropped.
#![allow(clippy::expect_used, clippy::panic)] // It serves tests only.

mod tls;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use tempfile::TempDir;

/// The name that [`Setup::password`] protects a registry with.
pub const USER: &str = "alice";
/// Her password. The colon and the letter beyond ASCII are on purpose.
pub const PASSWORD: &str = "corr:ect hörse";

/// What a registry shall be like. The default: plain HTTP, open to everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// It speaks TLS, with a certificate of an authority of its own: [`Registry::ca`].
    pub tls: bool,
    /// It wants [`USER`] and [`PASSWORD`].
    pub password: bool,
}

/// A registry that runs.
#[derive(Debug)]
pub struct Registry {
    directory: TempDir,
    setup: Setup,
    address: SocketAddr,
    process: Option<Child>,
}

impl Registry {
    /// Starts an open one that speaks plain HTTP.
    pub fn start() -> Self {
        Self::with(Setup::default())
    }

    /// Starts one.
    pub fn with(setup: Setup) -> Self {
        let directory = tempfile::Builder::new().prefix("test-registry-").tempdir().expect("a temporary directory");
        if setup.tls {
            tls::make(directory.path());
        }
        if setup.password {
            make_password_file(&directory.path().join("htpasswd"));
        }
        let mut registry = Self { directory, setup, address: SocketAddr::from(([127, 0, 0, 1], 0)), process: None };
        registry.restart();
        registry
    }

    /// `127.0.0.1:<port>`, as it stands in a reference.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The file of the authority that signed its certificate, which is for `127.0.0.1` and `localhost`.
    pub fn ca(&self) -> PathBuf {
        self.directory.path().join(tls::CA)
    }

    /// Where it keeps its files: `docker/registry/v2/...`.
    pub fn storage(&self) -> PathBuf {
        self.directory.path().join("storage")
    }

    /// Kills it. Its port refuses connections from now on.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("killing docker-registry");
            process.wait().expect("waiting for docker-registry");
        }
    }

    /// Starts it again, at the same port and with what it has stored.
    pub fn restart(&mut self) {
        self.stop();
        let configuration = self.directory.path().join("config.yml");
        fs::write(&configuration, self.configuration()).expect("writing config.yml");
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&configuration)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry, of the Debian package of that name");
        let mut output = BufReader::new(process.stderr.take().expect("piped"));
        self.process = Some(process);
        self.address = listening(&mut output);
        // A full pipe would stop it.
        thread::spawn(move || output.read_to_end(&mut Vec::new()));
    }

    fn configuration(&self) -> String {
        let directory = self.directory.path().display();
        let mut text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {directory}/storage}}\n  \
             delete: {{enabled: true}}\nhttp:\n  addr: {}\n",
            self.address
        );
        if self.setup.tls {
            text.push_str(&format!(
                "  tls: {{certificate: {directory}/{}, key: {directory}/{}}}\n",
                tls::CERTIFICATE,
                tls::KEY
            ));
        }
        if self.setup.password {
            text.push_str(&format!("auth:\n  htpasswd: {{realm: test, path: {directory}/htpasswd}}\n"));
        }
        text
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until it says where it listens.
fn listening(output: &mut impl BufRead) -> SocketAddr {
    let mut said = String::new();
    loop {
        let start = said.len();
        if output.read_line(&mut said).expect("reading from docker-registry") == 0 {
            panic!("docker-registry has ended:\n{said}");
        }
        if let Some((_, rest)) = said[start..].split_once("listening on ") {
            let address: String = rest.chars().take_while(|char| matches!(char, '0'..='9' | '.' | ':')).collect();
            return address.parse().expect("an address");
        }
    }
}

/// Of the one kind that docker-registry reads: bcrypt.
fn make_password_file(path: &Path) {
    let status = Command::new("htpasswd")
        .args(["-nbB", "-C", "4", USER, PASSWORD])
        .stdin(Stdio::null())
        .stdout(File::create(path).expect("creating htpasswd"))
        .status()
        .expect("htpasswd, of the Debian package apache2-utils");
    assert!(status.success(), "htpasswd: {status}");
}
