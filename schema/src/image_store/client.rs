//! A typed client of the image store.

use super::model::{Blob, Image, ImportRequest};
use crate::bindings::image_store_capnp::image_store;
use crate::link::Link;
use crate::rpc::request;
use crate::wire::{Wire, list};
use crate::{Call, Digest, Failure, Instance};

/// The image store, as its callers see it. Each method is described in the contract.
#[derive(Clone)]
pub struct Client {
    link: Link<image_store::Client>,
}

impl Client {
    /// A client of an instance's image store; connects at the first call.
    pub fn new(instance: &Instance) -> Self {
        Self { link: Link::new(super::SERVICE, instance.socket(super::SERVICE)) }
    }

    /// Finds an image by tag, id or prefix.
    pub async fn resolve(&self, call: &Call, reference: &str) -> Result<Image, Failure> {
        request!(self, call, resolve_request, |params| params.set_reference(reference), Image::read).await
    }

    /// All images, newest first.
    pub async fn list(&self, call: &Call) -> Result<Vec<Image>, Failure> {
        request!(self, call, list_request, |params| {}, |images| list(images.get_images())).await
    }

    /// Where a blob lies.
    pub async fn blob(&self, call: &Call, digest: &Digest) -> Result<Blob, Failure> {
        request!(self, call, blob_request, |params| params.set_digest(digest.as_str()), Blob::read).await
    }

    /// Appends to an upload; answers the stored length.
    pub async fn upload(&self, call: &Call, upload: &str, offset: u64, data: &[u8]) -> Result<u64, Failure> {
        request!(
            self,
            call,
            upload_request,
            |params| {
                params.set_upload(upload);
                params.set_offset(offset);
                params.set_data(data);
            },
            |state| Ok(state.get_length())
        )
        .await
    }

    /// Makes an image of an upload.
    pub async fn import_upload(&self, call: &Call, upload: &str, import: &ImportRequest) -> Result<Image, Failure> {
        request!(
            self,
            call,
            import_upload_request,
            |params| {
                params.set_upload(upload);
                import.write(params.init_request());
            },
            Image::read
        )
        .await
    }

    /// Forgets an upload.
    pub async fn abandon(&self, call: &Call, upload: &str) -> Result<(), Failure> {
        request!(self, call, abandon_request, |params| params.set_upload(upload), |_| Ok(())).await
    }
}
