//! The made-up image store. It forgets a part of each upload once, as after a power cut.

use super::world::World;
use schema::image_store::{Blob, Image, ImageConfig, ImportRequest, Server};
use schema::{Call, Digest, Failure};

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

    async fn abandon(&self, _: &Call, _: String) -> Result<(), Failure> {
        self.0.note("abandon".into());
        Ok(())
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
