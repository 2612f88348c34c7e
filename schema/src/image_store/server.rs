//! What an image store implements.

use super::model::{
    Blob, CommitRequest, Credentials, Description, FetchRequest, HistoryStep, Image, ImportRequest, Lease, PullRequest,
    PushRequest, Removed, SavedPart, Transfer,
};
use crate::bindings::image_store_capnp::image_store as wire;
use crate::common::{About, CheckReport};
use crate::rpc::{answer, answer_hello};
use crate::wire::{Wire, length, list, set_list, text, texts};
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
    /// Brings an image from a registry: begins the transfer or tells how far it is.
    async fn pull(&self, call: &Call, request: PullRequest, seen: u64, wait_ms: u32) -> Result<Transfer, Failure> {
        let _ = (call, request, seen, wait_ms);
        Err(crate::rpc::missing("image-store.pull"))
    }
    /// Sends an image to a registry: begins the transfer or tells how far it is.
    async fn push(&self, call: &Call, request: PushRequest, seen: u64, wait_ms: u32) -> Result<Transfer, Failure> {
        let _ = (call, request, seen, wait_ms);
        Err(crate::rpc::missing("image-store.push"))
    }
    /// Brings a file from a URL into an upload: begins the transfer or tells how far it is.
    async fn fetch(&self, call: &Call, request: FetchRequest, seen: u64, wait_ms: u32) -> Result<Transfer, Failure> {
        let _ = (call, request, seen, wait_ms);
        Err(crate::rpc::missing("image-store.fetch"))
    }
    /// Asks a registry whether it knows these credentials; answers the token to keep in place of the password, if any.
    async fn login(&self, call: &Call, registry: String, credentials: Credentials) -> Result<String, Failure> {
        let _ = (call, registry, credentials);
        Err(crate::rpc::missing("image-store.login"))
    }
    /// Gives an image a further name.
    async fn tag(&self, call: &Call, source: String, target: String, force: bool) -> Result<Image, Failure> {
        let _ = (call, source, target, force);
        Err(crate::rpc::missing("image-store.tag"))
    }
    /// Takes a name from an image, and removes it with its last name.
    async fn remove(&self, call: &Call, reference: String, force: bool) -> Result<Removed, Failure> {
        let _ = (call, reference, force);
        Err(crate::rpc::missing("image-store.remove"))
    }
    /// How an image was made, newest step first.
    async fn history(&self, call: &Call, reference: String) -> Result<Vec<HistoryStep>, Failure> {
        let _ = (call, reference);
        Err(crate::rpc::missing("image-store.history"))
    }
    /// Its configuration and manifest as stored.
    async fn describe(&self, call: &Call, reference: String) -> Result<Description, Failure> {
        let _ = (call, reference);
        Err(crate::rpc::missing("image-store.describe"))
    }
    /// Makes an image of another one and a layer.
    async fn commit_upload(&self, call: &Call, upload: String, request: CommitRequest) -> Result<Image, Failure> {
        let _ = (call, upload, request);
        Err(crate::rpc::missing("image-store.commit_upload"))
    }
    /// Takes the images of an archive from an upload.
    async fn load_upload(&self, call: &Call, upload: String) -> Result<Vec<Image>, Failure> {
        let _ = (call, upload);
        Err(crate::rpc::missing("image-store.load_upload"))
    }
    /// Bytes of an archive of images.
    async fn save(
        &self,
        call: &Call,
        references: Vec<String>,
        offset: u64,
        max_bytes: u32,
    ) -> Result<SavedPart, Failure> {
        let _ = (call, references, offset, max_bytes);
        Err(crate::rpc::missing("image-store.save"))
    }
    /// Finds an image and keeps its content for a holder.
    async fn lease(&self, call: &Call, holder: String, reference: String) -> Result<Image, Failure> {
        let _ = (call, holder, reference);
        Err(crate::rpc::missing("image-store.lease"))
    }
    /// Ends a lease.
    async fn release(&self, call: &Call, holder: String) -> Result<(), Failure> {
        let _ = (call, holder);
        Err(crate::rpc::missing("image-store.release"))
    }
    /// These are all the leases that there are.
    async fn reconcile(&self, call: &Call, leases: Vec<Lease>) -> Result<(), Failure> {
        let _ = (call, leases);
        Err(crate::rpc::missing("image-store.reconcile"))
    }
    /// A number that changes whenever an image is gone.
    async fn changed(&self, call: &Call, seen: u64, wait_ms: u32) -> Result<u64, Failure> {
        let _ = (call, seen, wait_ms);
        Err(crate::rpc::missing("image-store.changed"))
    }
    /// Reads every blob and record and verifies it, and mends what can be.
    async fn check(&self, call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        let _ = (call, repair);
        Err(crate::rpc::missing("image-store.check"))
    }
    /// Where an upload lies.
    async fn upload_file(&self, call: &Call, upload: String) -> Result<Blob, Failure> {
        let _ = (call, upload);
        Err(crate::rpc::missing("image-store.upload_file"))
    }
    /// Has an upload compressed while it comes: it will be a layer.
    async fn pack_upload(&self, call: &Call, upload: String) -> Result<(), Failure> {
        let _ = (call, upload);
        Err(crate::rpc::missing("image-store.pack_upload"))
    }
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

    async fn pull(self: Rc<Self>, params: wire::PullParams, mut results: wire::PullResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.pull",
            |call, p| self.api.pull(&call, PullRequest::read(p.get_request()?)?, p.get_seen(), p.get_wait_ms()).await,
            |value, builder| value.write(builder)
        )
    }

    async fn push(self: Rc<Self>, params: wire::PushParams, mut results: wire::PushResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.push",
            |call, p| self.api.push(&call, PushRequest::read(p.get_request()?)?, p.get_seen(), p.get_wait_ms()).await,
            |value, builder| value.write(builder)
        )
    }

    async fn fetch(self: Rc<Self>, params: wire::FetchParams, mut results: wire::FetchResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.fetch",
            |call, p| self.api.fetch(&call, FetchRequest::read(p.get_request()?)?, p.get_seen(), p.get_wait_ms()).await,
            |value, builder| value.write(builder)
        )
    }

    async fn login(self: Rc<Self>, params: wire::LoginParams, mut results: wire::LoginResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.login",
            |call, p| self.api.login(&call, text(p.get_registry())?, Credentials::read(p.get_credentials()?)?).await,
            |value, mut builder| builder.set_identity_token(value)
        )
    }

    async fn tag(self: Rc<Self>, params: wire::TagParams, mut results: wire::TagResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.tag",
            |call, p| self.api.tag(&call, text(p.get_source())?, text(p.get_target())?, p.get_force()).await,
            |value, builder| value.write(builder)
        )
    }

    async fn remove(self: Rc<Self>, params: wire::RemoveParams, mut results: wire::RemoveResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.remove",
            |call, p| self.api.remove(&call, text(p.get_reference())?, p.get_force()).await,
            |value, builder| value.write(builder)
        )
    }

    async fn history(
        self: Rc<Self>,
        params: wire::HistoryParams,
        mut results: wire::HistoryResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.history",
            |call, p| self.api.history(&call, text(p.get_reference())?).await,
            |values, builder| set_list(builder.init_steps(length(&values)), &values)
        )
    }

    async fn describe(
        self: Rc<Self>,
        params: wire::DescribeParams,
        mut results: wire::DescribeResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.describe",
            |call, p| self.api.describe(&call, text(p.get_reference())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn commit_upload(
        self: Rc<Self>,
        params: wire::CommitUploadParams,
        mut results: wire::CommitUploadResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.commit_upload",
            |call, p| self
                .api
                .commit_upload(&call, text(p.get_upload())?, CommitRequest::read(p.get_request()?)?)
                .await,
            |value, builder| value.write(builder)
        )
    }

    async fn load_upload(
        self: Rc<Self>,
        params: wire::LoadUploadParams,
        mut results: wire::LoadUploadResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.load_upload",
            |call, p| self.api.load_upload(&call, text(p.get_upload())?).await,
            |values, builder| set_list(builder.init_images(length(&values)), &values)
        )
    }

    async fn save(self: Rc<Self>, params: wire::SaveParams, mut results: wire::SaveResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.save",
            |call, p| self.api.save(&call, texts(p.get_references())?, p.get_offset(), p.get_max_bytes()).await,
            |value, builder| value.write(builder)
        )
    }

    async fn lease(self: Rc<Self>, params: wire::LeaseParams, mut results: wire::LeaseResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.lease",
            |call, p| self.api.lease(&call, text(p.get_holder())?, text(p.get_reference())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn release(
        self: Rc<Self>,
        params: wire::ReleaseParams,
        mut results: wire::ReleaseResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.release",
            |call, p| self.api.release(&call, text(p.get_holder())?).await,
            |(), _| ()
        )
    }

    async fn reconcile(
        self: Rc<Self>,
        params: wire::ReconcileParams,
        mut results: wire::ReconcileResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.reconcile",
            |call, p| self.api.reconcile(&call, list(p.get_leases())?).await,
            |(), _| ()
        )
    }

    async fn changed(
        self: Rc<Self>,
        params: wire::ChangedParams,
        mut results: wire::ChangedResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.changed",
            |call, p| self.api.changed(&call, p.get_seen(), p.get_wait_ms()).await,
            |value, mut builder| builder.set_number(value)
        )
    }

    async fn check(self: Rc<Self>, params: wire::CheckParams, mut results: wire::CheckResults) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.check",
            |call, p| self.api.check(&call, p.get_repair()).await,
            |value, builder| value.write(builder)
        )
    }

    async fn upload_file(
        self: Rc<Self>,
        params: wire::UploadFileParams,
        mut results: wire::UploadFileResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.upload_file",
            |call, p| self.api.upload_file(&call, text(p.get_upload())?).await,
            |value, builder| value.write(builder)
        )
    }

    async fn pack_upload(
        self: Rc<Self>,
        params: wire::PackUploadParams,
        mut results: wire::PackUploadResults,
    ) -> capnp::Result<()> {
        answer!(
            params,
            results,
            "image-store.pack_upload",
            |call, p| self.api.pack_upload(&call, text(p.get_upload())?).await,
            |(), _| ()
        )
    }
}
