//! Records for tests.

use crate::record::{Cause, Record, Run};
use schema::common::Layer;
use schema::containers::ContainerSpec;
use schema::image_store::{Image, ImageConfig};
use schema::{ContainerId, Digest};

/// The id that begins with this byte.
pub(crate) fn id(first: u8) -> ContainerId {
    let mut bytes = [0; 32];
    bytes[0] = first;
    ContainerId::from_bytes(bytes)
}

/// An image of one layer that runs `sh`.
pub(crate) fn image() -> Image {
    let digest = Digest::from_sha256(&[1; 32]);
    Image {
        id: Digest::from_sha256(&[9; 32]),
        references: vec!["base:latest".to_owned()],
        created_at: 1,
        size: 2,
        layers: vec![Layer { digest: digest.clone(), diff_id: digest, media_type: String::new(), size: 2 }],
        config: ImageConfig { command: vec!["sh".to_owned()], ..ImageConfig::default() },
        manifest: Digest::from_sha256(&[8; 32]),
        repository_digests: Vec::new(),
        parent: None,
        container: None,
        author: String::new(),
        holders: Vec::new(),
    }
}

/// A container that was just created.
pub(crate) fn record(first: u8, name: &str) -> Record {
    let spec = ContainerSpec { image: "base".to_owned(), name: name.to_owned(), ..ContainerSpec::default() };
    Record::new(id(first), &spec, image(), Vec::new()).unwrap()
}

/// A run that was started by a request and has everything in place.
pub(crate) fn run(request: u64) -> Run {
    Run {
        started_by: request,
        assembled: true,
        stop: None,
        hint: String::new(),
        sandbox: None,
        cause: Cause::Start,
        killed: false,
        signalled_by: None,
    }
}
