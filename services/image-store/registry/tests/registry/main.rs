//! The client against the real registry, and against servers that misbehave in every way that we could think of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fetching;
mod hostile;
mod proxies;
mod pushing;
mod real;
mod server;
mod tokens;

use registry_client::{Configuration, Credentials, Progress, Registry, Sink};
use schema::{Digest, Failure};
use sha2::Digest as _;
use std::fs;
use std::sync::Mutex;

/// A configuration whose patience ends soon.
fn configuration(more: &str) -> Configuration {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{more}\n[transfer]\nconnect-timeout = 2\nidle-timeout = 1\nattempts = 3\n");
    fs::write(directory.path().join("registries.toml"), text).unwrap();
    Configuration::load(directory.path()).unwrap()
}

/// A registry, seen by nobody in particular.
fn anonymous(name: &str) -> Registry {
    Registry::new(&configuration(""), name, Credentials::Anonymous).unwrap()
}

fn digest(content: &[u8]) -> Digest {
    Digest::from_sha256(&sha2::Sha256::digest(content).into())
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Takes notes of what it is told.
#[derive(Default)]
struct Notes {
    most: Mutex<u64>,
    interruptions: Mutex<Vec<String>>,
}

impl Progress for Notes {
    fn at(&self, bytes: u64) {
        let mut most = self.most.lock().unwrap();
        *most = bytes.max(*most);
    }

    fn interrupted(&self, reason: &str) {
        self.interruptions.lock().unwrap().push(reason.to_owned());
    }
}

impl Notes {
    fn interruptions(&self) -> Vec<String> {
        self.interruptions.lock().unwrap().clone()
    }
}

/// Brings a blob, and what has arrived of it also if that fails.
async fn blob(registry: &Registry, content: &[u8], notes: &Notes) -> (Vec<u8>, Result<(), Failure>) {
    let mut arrived = Vec::new();
    let result = registry.blob("app", &digest(content), content.len() as u64, &mut arrived, notes).await;
    assert!(arrived.length() <= content.len() as u64);
    (arrived, result)
}
