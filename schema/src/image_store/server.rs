//! What an image store implements.

use super::model::{Blob, Image, ImportRequest};
use crate::bindings::image_store_capnp::image_store as wire;
use crate::common::About;
use crate::rpc::{answer, answer_hello};
use crate::wire::{Wire, length, set_list, text};
use crate::{Call, Digest, Failure};
use std::rc::Rc;

/// The image store's methods in domain types; the contract describes each.
#[allow(async_fn_in_trait)]
pub trait Server: 'static {
    /// Finds an image by tag, id or prefix.
    async fn resolve(&self, call: &Call, reference: String) -> Result<Image, Failure>;
    /// All images, newest first.
    async fn list(&self, call: &Call) -> Result<Vec<Image>, Failure>;
    /// Where a blob lies.
    async fn blob(&self, call: &Call, digest: Digest) -> Result<Blob, Failure>;
    /// Appends to an upload; answers the stored length.
    async fn upload(&self, call: &Call, upload: String, offset: u64, data: Vec<u8>) -> Result<u64, Failure>;
    /// Makes an image of an upload.
    async fn import_upload(&self, call: &Call, upload: String, import: ImportRequest) -> Result<Image, Failure>;
    /// Forgets an upload.
    async fn abandon(&self, call: &Call, upload: String) -> Result<(), Failure>;
}

struct Served<A> {
    about: About,
    api: A,
}

/// The bootstrap capability of a service that implements [`Server`].
pub fn serve<A: Server>(about: About, api: A) -> wire::Client {
    capnp_rpc::new_client(Served { about, api })
}

answer_hello!(Served, Server);

impl<A: Server> wire::Server for Served<A> {
    async fn resolve(
        self: Rc<Self>,
        params: wire::ResolveParams,
        mut results: wire::ResolveResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.resolve",
            |call, p| self.api.resolve(&call, text(p.get_reference())?).await,
            |image, builder| image.write(builder)
        )
    }

    async fn list(self: Rc<Self>, params: wire::ListParams, mut results: wire::ListResults) -> capnp::Result<()> {
        answer!(params, results, "image-store.list", |call, p| self.api.list(&call).await, |images, builder| set_list(
            builder.init_images(length(&images)),
            &images
        ))
    }

    async fn blob(self: Rc<Self>, params: wire::BlobParams, mut results: wire::BlobResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.blob",
            |call, p| self.api.blob(&call, text(p.get_digest())?.parse()?).await,
            |blob, builder| blob.write(builder)
        )
    }

    async fn upload(self: Rc<Self>, params: wire::UploadParams, mut results: wire::UploadResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.upload",
            |call, p| self.api.upload(&call, text(p.get_upload())?, p.get_offset(), p.get_data()?.to_vec()).await,
            |stored, mut builder| builder.set_length(stored)
        )
    }

    async fn import_upload(
        self: Rc<Self>,
        params: wire::ImportUploadParams,
        mut results: wire::ImportUploadResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.import",
            |call, p| self
                .api
                .import_upload(&call, text(p.get_upload())?, ImportRequest::read(p.get_request()?)?)
                .await,
            |image, builder| image.write(builder)
        )
    }

    async fn abandon(
        self: Rc<Self>,
        params: wire::AbandonParams,
        mut results: wire::AbandonResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.abandon",
            |call, p| self.api.abandon(&call, text(p.get_upload())?).await,
            |(), _| ()
        )
    }
}
