//! The image store: an OCI content store with tags, and the import of archives.
//!
//! ```text
//! blobs/sha256/<hex>     layers, configurations and manifests, each verified before it got its name
//! uploads/<name>         archives on their way in; <name>.packed: recompressed
//! images/, tags/         records: what is in a manifest, and which image a tag names
//! imports/               records: a planned import, and the image that an upload became
//! ```
//!
//! [`store::Store`], an actor, owns the index. What reads or writes files runs on threads.

mod blobs;
mod check;
mod disk;
mod holds;
mod import;
mod index;
mod oci;
mod partial;
mod record;
pub mod reference;
mod shelf;
mod store;
mod uploads;

use actix::{Actor, Addr};
use kit::actor::ask;
use schema::image_store::{Blob, Image, ImportRequest, SERVICE, Server};
use schema::{Call, Digest, Failure};
use store::Store;
use uploads::UploadName;

/// Who this service is.
pub const IDENTITY: kit::Identity = kit::Identity { service: SERVICE, needs: &[], version: env!("CARGO_PKG_VERSION") };

/// Recovers the store and gives its bootstrap capability.
pub async fn start(context: kit::Context) -> Result<schema::bindings::image_store_capnp::image_store::Client, Failure> {
    let state = context.state()?;
    let store = Store::recover(&state)?.start();
    Ok(schema::image_store::serve(context.about(), Api { store }))
}

/// Hands every call to the actor.
struct Api {
    store: Addr<Store>,
}

impl Server for Api {
    async fn resolve(&self, _call: &Call, reference: String) -> Result<Image, Failure> {
        ask(&self.store, store::Resolve(reference)).await
    }

    async fn list(&self, _call: &Call) -> Result<Vec<Image>, Failure> {
        ask(&self.store, store::List).await
    }

    async fn blob(&self, _call: &Call, digest: Digest) -> Result<Blob, Failure> {
        ask(&self.store, store::FindBlob(digest)).await
    }

    async fn upload(&self, _call: &Call, upload: String, offset: u64, data: Vec<u8>) -> Result<u64, Failure> {
        let upload: UploadName = upload.parse()?;
        ask(&self.store, store::Append { upload, offset, data }).await
    }

    async fn import_upload(&self, call: &Call, upload: String, import: ImportRequest) -> Result<Image, Failure> {
        let upload: UploadName = upload.parse()?;
        let request = import::Request::parse(&import)?;
        ask(&self.store, store::Import { call: *call, upload, request }).await
    }

    async fn tag(&self, call: &Call, source: String, target: String, force: bool) -> Result<Image, Failure> {
        ask(&self.store, store::SetTag { call: *call, source, target: target.parse()?, force }).await
    }

    async fn abandon(&self, _call: &Call, upload: String) -> Result<(), Failure> {
        let upload: UploadName = upload.parse()?;
        ask(&self.store, store::Abandon(upload)).await
    }
}
