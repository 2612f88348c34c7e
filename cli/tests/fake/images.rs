//! The made-up image store. It forgets a part of each upload once, as after a power cut.

use super::world::World;
use schema::image_store::{
    Blob, Credentials, Image, ImageConfig, ImportRequest, PullRequest, PushRequest, Server, Transfer, TransferItem,
    TransferProgress, TransferResult, TransferStatus,
};
use schema::{Call, Digest, Failure};
use std::time::Duration;

/// An upload of this length loses its second half, once.
const FORGETS_AT: usize = 1 << 20;

pub struct Api(pub World);

impl Server for Api {
    async fn resolve(&self, _: &Call, reference: String) -> Result<Image, Failure> {
        if reference == "base" { Ok(image(7)) } else { Err(Failure::not_found(format_args!("no image {reference}"))) }
    }

    async fn list(&self, _: &Call) -> Result<Vec<Image>, Failure> {
        Ok(vec![image(7)])
    }

    async fn blob(&self, _: &Call, digest: Digest) -> Result<Blob, Failure> {
        Err(Failure::not_found(digest))
    }

    async fn upload(&self, _: &Call, upload: String, offset: u64, data: Vec<u8>) -> Result<u64, Failure> {
        assert!(data.len() <= 1 << 20);
        let mut uploads = self.0.uploads.borrow_mut();
        let stored = uploads.entry(upload.clone()).or_default();
        let offset = usize::try_from(offset).unwrap();
        if stored.len() == FORGETS_AT && offset == FORGETS_AT && self.0.things.borrow().is_empty() {
            stored.truncate(FORGETS_AT / 2);
            // Once only: a container stands for the memory of it.
            drop(uploads);
            let id = schema::ContainerId::from_bytes([9; 32]);
            self.0.create(id, schema::containers::ContainerSpec::default());
            return Err(Failure::conflict("the upload is shorter than that"));
        }
        if offset > stored.len() {
            return Err(Failure::conflict("the upload is shorter than that"));
        }
        let new = data.get(stored.len() - offset..).unwrap_or_default();
        stored.extend_from_slice(new);
        Ok(stored.len() as u64)
    }

    async fn import_upload(&self, _: &Call, upload: String, import: ImportRequest) -> Result<Image, Failure> {
        let stored = self.0.uploads.borrow()[&upload].clone();
        let sum = stored.iter().fold(0_u64, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.0.note(format!("import {} {} {} {sum}", import.reference, import.source, stored.len()));
        if stored.starts_with(b"bad") {
            return Err(Failure::invalid("this is no tar archive"));
        }
        Ok(image(7))
    }

    async fn pull(&self, _: &Call, request: PullRequest, seen: u64, wait_ms: u32) -> Result<Transfer, Failure> {
        let PullRequest { reference, credentials, .. } = request;
        if seen == 0 {
            self.0.note(format!("pull {reference} as {}", credentials.user));
        }
        match reference.as_str() {
            "secret" if credentials.password != "right" => Err(Failure::permission_denied("secret: access is denied")),
            "nope" => Err(Failure::not_found("the registry has no nope:latest")),
            // A long one, of which there is nothing new.
            "endless" if seen == 1 => {
                tokio::time::sleep(Duration::from_millis(wait_ms.into())).await;
                Ok(transfer(1, &reference, TransferProgress::Running))
            }
            "endless" => Ok(transfer(1, &reference, TransferProgress::Running)),
            _ if seen < 2 => Ok(transfer(seen + 1, &reference, TransferProgress::Running)),
            _ => {
                self.0.pulled.borrow_mut().push(reference.clone());
                Ok(transfer(3, &reference, TransferProgress::Done(Box::new(result()))))
            }
        }
    }

    async fn push(&self, _: &Call, request: PushRequest, _: u64, _: u32) -> Result<Transfer, Failure> {
        let PushRequest { reference, credentials, .. } = request;
        self.0.note(format!("push {reference} as {}", credentials.user));
        if credentials.password != "right:or:wrong" {
            return Err(Failure::permission_denied("access is denied"));
        }
        Ok(transfer(3, &reference, TransferProgress::Done(Box::new(result()))))
    }

    async fn login(&self, _: &Call, registry: String, credentials: Credentials) -> Result<String, Failure> {
        self.0.note(format!("login {registry} {}", credentials.user));
        if credentials.password == "right:or:wrong" {
            Ok(String::new())
        } else {
            Err(Failure::permission_denied(format_args!("{registry} does not know these credentials")))
        }
    }

    async fn abandon(&self, _: &Call, _: String) -> Result<(), Failure> {
        self.0.note("abandon".into());
        Ok(())
    }
}

/// One layer, the further the later.
fn transfer(version: u64, reference: &str, progress: TransferProgress) -> Transfer {
    let status = if version < 3 { TransferStatus::Transferring } else { TransferStatus::Done };
    let title = format!("layer-of-{reference}");
    Transfer {
        version,
        items: vec![TransferItem { title, status, current: version, total: 3, note: String::new() }],
        progress,
    }
}

fn result() -> TransferResult {
    TransferResult {
        images: vec![image(7)],
        digest: "sha256:ab".into(),
        size: 123,
        up_to_date: false,
        pushed: vec!["latest sha256:ab 123".into()],
        skipped: Vec::new(),
    }
}

fn image(digit: u8) -> Image {
    Image {
        id: Digest::from_sha256(&[digit; 32]),
        references: vec!["base:latest".into()],
        created_at: 0,
        size: 1000,
        layers: Vec::new(),
        config: ImageConfig::default(),
        manifest: Digest::from_sha256(&[digit; 32]),
        repository_digests: Vec::new(),
        parent: None,
        container: None,
        author: String::new(),
        holders: Vec::new(),
    }
}
