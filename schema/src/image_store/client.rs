//! A typed client of the image store.

use super::model::{
    Blob, CommitRequest, Credentials, Description, FetchRequest, HistoryStep, Image, ImportRequest, Lease, PullRequest,
    PushRequest, Removed, SavedPart, Transfer,
};
use crate::bindings::image_store_capnp::image_store;
use crate::common::CheckReport;
use crate::link::Link;
use crate::rpc::request;
use crate::wire::{Wire, length, list, set_list, set_texts, text};
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
        request!(look: self, call, list_request, |params| {}, |images| list(images.get_images())).await
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

    /// Has an upload compressed while it comes: it will be a layer.
    pub async fn pack_upload(&self, call: &Call, upload: &str) -> Result<(), Failure> {
        request!(self, call, pack_upload_request, |params| params.set_upload(upload), |_| Ok(())).await
    }

    /// Brings an image from a registry: begins the transfer or tells how far it is.
    pub async fn pull(&self, call: &Call, request: &PullRequest, seen: u64, wait_ms: u32) -> Result<Transfer, Failure> {
        request!(
            self,
            call,
            pull_request,
            |params| {
                request.write(params.reborrow().init_request());
                params.set_seen(seen);
                params.set_wait_ms(wait_ms);
            },
            Transfer::read
        )
        .await
    }

    /// Sends an image to a registry: begins the transfer or tells how far it is.
    pub async fn push(&self, call: &Call, request: &PushRequest, seen: u64, wait_ms: u32) -> Result<Transfer, Failure> {
        request!(
            self,
            call,
            push_request,
            |params| {
                request.write(params.reborrow().init_request());
                params.set_seen(seen);
                params.set_wait_ms(wait_ms);
            },
            Transfer::read
        )
        .await
    }

    /// Brings a file from a URL into an upload: begins the transfer or tells how far it is.
    pub async fn fetch(
        &self,
        call: &Call,
        request: &FetchRequest,
        seen: u64,
        wait_ms: u32,
    ) -> Result<Transfer, Failure> {
        request!(
            self,
            call,
            fetch_request,
            |params| {
                request.write(params.reborrow().init_request());
                params.set_seen(seen);
                params.set_wait_ms(wait_ms);
            },
            Transfer::read
        )
        .await
    }

    /// Asks a registry whether it knows these credentials; answers the token to keep in place of the password, if any.
    pub async fn login(&self, call: &Call, registry: &str, credentials: &Credentials) -> Result<String, Failure> {
        request!(
            self,
            call,
            login_request,
            |params| {
                params.set_registry(registry);
                credentials.write(params.reborrow().init_credentials());
            },
            |answer| text(answer.get_identity_token())
        )
        .await
    }

    /// Gives an image a further name.
    pub async fn tag(&self, call: &Call, source: &str, target: &str, force: bool) -> Result<Image, Failure> {
        request!(
            self,
            call,
            tag_request,
            |params| {
                params.set_source(source);
                params.set_target(target);
                params.set_force(force);
            },
            Image::read
        )
        .await
    }

    /// Takes a name from an image, and removes it with its last name.
    pub async fn remove(&self, call: &Call, reference: &str, force: bool) -> Result<Removed, Failure> {
        request!(
            self,
            call,
            remove_request,
            |params| {
                params.set_reference(reference);
                params.set_force(force);
            },
            Removed::read
        )
        .await
    }

    /// How an image was made, newest step first.
    pub async fn history(&self, call: &Call, reference: &str) -> Result<Vec<HistoryStep>, Failure> {
        request!(
            self,
            call,
            history_request,
            |params| {
                params.set_reference(reference);
            },
            |answer| list(answer.get_steps())
        )
        .await
    }

    /// Its configuration and manifest as stored.
    pub async fn describe(&self, call: &Call, reference: &str) -> Result<Description, Failure> {
        request!(
            self,
            call,
            describe_request,
            |params| {
                params.set_reference(reference);
            },
            Description::read
        )
        .await
    }

    /// Makes an image of another one and a layer.
    pub async fn commit_upload(&self, call: &Call, upload: &str, request: &CommitRequest) -> Result<Image, Failure> {
        request!(
            self,
            call,
            commit_upload_request,
            |params| {
                params.set_upload(upload);
                request.write(params.reborrow().init_request());
            },
            Image::read
        )
        .await
    }

    /// Takes the images of an archive from an upload.
    pub async fn load_upload(&self, call: &Call, upload: &str) -> Result<Vec<Image>, Failure> {
        request!(
            self,
            call,
            load_upload_request,
            |params| {
                params.set_upload(upload);
            },
            |answer| list(answer.get_images())
        )
        .await
    }

    /// Bytes of an archive of images.
    pub async fn save(
        &self,
        call: &Call,
        references: &[String],
        offset: u64,
        max_bytes: u32,
    ) -> Result<SavedPart, Failure> {
        request!(
            self,
            call,
            save_request,
            |params| {
                set_texts(params.reborrow().init_references(length(references)), references);
                params.set_offset(offset);
                params.set_max_bytes(max_bytes);
            },
            SavedPart::read
        )
        .await
    }

    /// Finds an image and keeps its content for a holder.
    pub async fn lease(&self, call: &Call, holder: &str, reference: &str) -> Result<Image, Failure> {
        request!(
            self,
            call,
            lease_request,
            |params| {
                params.set_holder(holder);
                params.set_reference(reference);
            },
            Image::read
        )
        .await
    }

    /// Ends a lease.
    pub async fn release(&self, call: &Call, holder: &str) -> Result<(), Failure> {
        request!(
            self,
            call,
            release_request,
            |params| {
                params.set_holder(holder);
            },
            |_| Ok(())
        )
        .await
    }

    /// These are all the leases that there are.
    pub async fn reconcile(&self, call: &Call, leases: &[Lease]) -> Result<(), Failure> {
        request!(
            self,
            call,
            reconcile_request,
            |params| {
                set_list(params.reborrow().init_leases(length(leases)), leases);
            },
            |_| Ok(())
        )
        .await
    }

    /// A number that changes whenever an image is gone.
    pub async fn changed(&self, call: &Call, seen: u64, wait_ms: u32) -> Result<u64, Failure> {
        request!(
            self,
            call,
            changed_request,
            |params| {
                params.set_seen(seen);
                params.set_wait_ms(wait_ms);
            },
            |answer| Ok(answer.get_number())
        )
        .await
    }

    /// Reads every blob and record and verifies it, and mends what can be.
    pub async fn check(&self, call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        request!(self, call, check_request, |params| params.set_repair(repair), CheckReport::read).await
    }

    /// Where an upload lies.
    pub async fn upload_file(&self, call: &Call, upload: &str) -> Result<Blob, Failure> {
        request!(
            self,
            call,
            upload_file_request,
            |params| {
                params.set_upload(upload);
            },
            Blob::read
        )
        .await
    }
}
