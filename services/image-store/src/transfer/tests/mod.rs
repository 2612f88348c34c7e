//! Transfers between a store and real registries.

mod conduct;
mod images;
mod platforms;

use super::*;
use crate::store::{Check, List, Register, Remove, Resolve};
use kit::actor::ask;
use oci::{digest, manifest as documents};
use registry_client::{Platform, Sink};
use schema::image_store::{Image, TransferItem, TransferProgress, TransferStatus};
use schema::{Code, Digest};
use std::fs;

use test_registry::{PASSWORD, USER};

/// An image store without its socket.
struct Engine {
    directory: tempfile::TempDir,
    shelf: Shelf,
    store: Addr<Store>,
    transfers: Addr<Transfers>,
}

fn on_engines<const N: usize>(test: impl AsyncFnOnce([Engine; N])) {
    actix::System::new().block_on(async { test(std::array::from_fn(|_| Engine::start())).await });
}

fn call() -> Call {
    Call::within(Duration::from_secs(60))
}

impl Engine {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::recover(&directory.path().join("state")).unwrap();
        let shelf = store.shelf();
        let store = store.start();
        let transfers = Transfers::new(shelf.clone(), store.clone(), directory.path().to_owned()).unwrap().start();
        Self { directory, shelf, store, transfers }
    }

    fn configure(&self, text: &str) {
        fs::write(self.directory.path().join("registries.toml"), text).unwrap();
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("state").join(name)
    }

    /// An image with a layer of each of these contents.
    async fn image(&self, layers: &[&[u8]], name: &str) -> Image {
        let layers: Vec<Vec<u8>> = layers.iter().map(|content| archive(content)).collect();
        let digests: Vec<Digest> = layers.iter().map(|layer| digest(layer)).collect();
        let config = serde_json::json!({
            "architecture": Platform::host().architecture, "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": digests },
        })
        .to_string();
        let blob = |content: &[u8], media_type: &str| serde_json::json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() });
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": documents::OCI_MANIFEST, "config": blob(config.as_bytes(), documents::OCI_CONFIG),
            "layers": layers.iter().map(|layer| blob(layer, "application/vnd.oci.image.layer.v1.tar")).collect::<Vec<_>>(),
        })
        .to_string();
        for content in layers.iter().map(Vec::as_slice).chain([config.as_bytes()]) {
            let mut partial = self.shelf.partial(&digest(content)).unwrap();
            partial.append(content).unwrap();
            self.shelf.finish(partial).unwrap();
        }
        let register = Register::new(&call(), manifest.into_bytes(), "").unwrap();
        ask(&self.store, register.named(vec![name.parse().unwrap()])).await.unwrap()
    }

    async fn follow(&self, request: Request) -> (Vec<TransferItem>, Result<TransferResult, Failure>) {
        let mut seen = 0;
        loop {
            let follow = Follow { call: call(), request: request.clone(), seen, wait_ms: 5000 };
            let transfer = ask(&self.transfers, follow).await.unwrap();
            assert!(transfer.version > seen);
            seen = transfer.version;
            match transfer.progress {
                TransferProgress::Running => {}
                TransferProgress::Done(result) => return (transfer.items, Ok(*result)),
                TransferProgress::Failed(failure) => return (transfer.items, Err(failure)),
            }
        }
    }

    async fn pull(&self, name: &str) -> Result<TransferResult, Failure> {
        self.follow(Request::Pull(pull(name))).await.1
    }

    async fn push(&self, name: &str) -> Result<TransferResult, Failure> {
        self.follow(Request::Push(push(name))).await.1
    }

    async fn remove(&self, name: &str) {
        ask(&self.store, Remove { call: call(), reference: name.to_owned(), force: true }).await.unwrap();
    }

    async fn check(&self) {
        assert_eq!(ask(&self.store, Check { call: call(), repair: false }).await.unwrap().problems, []);
    }
}

fn archive(content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "file", content).unwrap();
    builder.into_inner().unwrap()
}

/// A name that no other transfer of this process has.
fn fresh() -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    format!("t{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

fn pull(reference: &str) -> PullRequest {
    let (transfer, reference) = (fresh(), reference.to_owned());
    PullRequest { transfer, reference, platform: String::new(), all_tags: false, credentials: Credentials::default() }
}

fn push(reference: &str) -> PushRequest {
    PushRequest {
        transfer: fresh(),
        reference: reference.to_owned(),
        all_tags: false,
        credentials: Credentials::default(),
    }
}

fn alice() -> Credentials {
    Credentials { user: USER.to_owned(), password: PASSWORD.to_owned(), identity_token: String::new() }
}
