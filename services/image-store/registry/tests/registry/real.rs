//! Debian's docker-registry.

use crate::{Notes, anonymous, configuration, digest, run};
use registry_client::{Credentials, Document, Registry, Sent, Wanted};
use schema::Code;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use test_registry::{PASSWORD, Setup, USER};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Sends an image of one layer, and gives its manifest.
async fn push(registry: &Registry, repository: &str, layer: &[u8], tags: &[&str]) -> Document {
    let mut blobs = Vec::new();
    for content in [layer, b"{}"] {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let (digest, size) = (digest(content), content.len() as u64);
        registry.upload(repository, (&digest, size), &Arc::new(file), None, &()).await.unwrap();
        blobs.push((digest, size));
    }
    let [(layer, length), (config, 2)] = &blobs[..] else { panic!() };
    let content = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json",
        "digest":"{config}","size":2}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}",
        "size":{length}}}]}}"#
    );
    let document =
        Document { digest: digest(content.as_bytes()), content: content.into_bytes(), media_type: MANIFEST.to_owned() };
    for tag in tags {
        registry.put_manifest(repository, tag, &document).await.unwrap();
    }
    document
}

fn all(setup: Setup) {
    let server = test_registry::Registry::with(setup);
    let text = format!("[registry.\"{}\"]\nca = \"{}\"", server.name(), server.ca().display());
    let configuration = configuration(if setup.tls { &text } else { "" });
    let credentials = match setup.password {
        true => Credentials::Password { user: USER.to_owned(), password: PASSWORD.to_owned() },
        false => Credentials::Anonymous,
    };
    let registry = Registry::new(&configuration, &server.name(), credentials).unwrap();
    run(async {
        let layer = vec![3; 1_000_000];
        let document = push(&registry, "team/app", &layer, &["one", "two"]).await;
        assert_eq!(registry.manifest("team/app", Wanted::Tag("one")).await.unwrap(), document);
        assert_eq!(registry.manifest("team/app", Wanted::Digest(&document.digest)).await.unwrap(), document);
        assert_eq!(registry.tagged("team/app", "two").await.unwrap(), Some(document.digest.clone()));
        assert_eq!(registry.tagged("team/app", "three").await.unwrap(), None);
        assert_eq!(registry.tags("team/app").await.unwrap(), ["one", "two"]);
        let mut arrived = layer[..300_000].to_vec();
        registry.blob("team/app", &digest(&layer), 1_000_000, &mut arrived, &()).await.unwrap();
        assert_eq!(arrived, layer);
        let missing = registry.manifest("team/app", Wanted::Tag("three")).await.unwrap_err();
        assert_eq!(missing.code, Code::NotFound);
        assert!(missing.message.contains("manifest three of team/app"), "{missing}");
        if setup.password {
            let stranger = Registry::new(&configuration, &server.name(), Credentials::Anonymous).unwrap();
            let failure = stranger.manifest("team/app", Wanted::Tag("one")).await.unwrap_err();
            assert_eq!(failure.code, Code::PermissionDenied);
        }
    });
}

#[test]
fn everything_works_in_the_open() {
    all(Setup::default());
}

#[test]
fn everything_works_with_tls_and_a_password() {
    all(Setup { tls: true, password: true });
}

#[test]
fn blobs_are_mounted_across_repositories() {
    let server = test_registry::Registry::start();
    let registry = anonymous(&server.name());
    run(async {
        push(&registry, "one", b"layer", &["latest"]).await;
        let file = Arc::new(tempfile::tempfile().unwrap());
        let blob = (&digest(b"layer"), 5);
        assert_eq!(registry.upload("one", blob, &file, None, &()).await.unwrap(), Sent::Existed);
        assert_eq!(registry.upload("two", blob, &file, Some("one"), &()).await.unwrap(), Sent::Mounted);
        assert_eq!(registry.upload("two", blob, &file, None, &()).await.unwrap(), Sent::Existed);
    });
}

#[test]
fn a_registry_that_restarts_in_the_middle_is_waited_for() {
    let server = Arc::new(std::sync::Mutex::new(test_registry::Registry::start()));
    let registry = anonymous(&server.lock().unwrap().name());
    let length = 64 << 20;
    let content = vec![9; length];
    let notes = Restarts { server: Arc::clone(&server), done: AtomicBool::new(false), notes: Notes::default() };
    run(async {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let blob = (&digest(&content), length as u64);
        registry.upload("app", blob, &Arc::new(file), None, &notes).await.unwrap();
        let mut arrived = Vec::new();
        notes.done.store(false, Ordering::Relaxed);
        registry.blob("app", blob.0, blob.1, &mut arrived, &notes).await.unwrap();
        assert!(arrived == content);
    });
    assert!(notes.notes.interruptions().len() >= 2, "{:?}", notes.notes.interruptions());
}

/// Restarts the registry as soon as a quarter has passed.
struct Restarts {
    server: Arc<std::sync::Mutex<test_registry::Registry>>,
    done: AtomicBool,
    notes: Notes,
}

impl registry_client::Progress for Restarts {
    fn at(&self, bytes: u64) {
        if bytes > 16 << 20 && !self.done.swap(true, Ordering::Relaxed) {
            self.server.lock().unwrap().restart();
        }
        self.notes.at(bytes);
    }

    fn interrupted(&self, reason: &str) {
        self.notes.interrupted(reason);
    }
}
