//! The image store: an OCI content store with tags, and the import of archives.
//!
//! ```text
//! blobs/sha256/<hex>     layers, configurations and manifests, each verified before it got its name
//! blobs/damaged/<hex>    those that a repair found to be other than they were
//! uploads/<name>         archives on their way in; <name>.packed: recompressed
//! images/, tags/         records: what is in a manifest, and which image a tag names
//! imports/               records: a planned import, and the image that an upload became
//! ```
//!
//! [`store::Store`], an actor, owns the index. What reads or writes files runs on threads.

mod audit;
mod blobs;
mod changes;
mod check;
mod commit;
mod disk;
mod eager;
mod growing;
mod history;
mod holds;
mod import;
mod index;
mod load;
mod packing;
mod partial;
mod plan;
mod record;
mod removals;
mod removing;
mod repair;
mod save;
mod shelf;
mod store;
mod transfer;
mod uploads;

use actix::{Actor, Addr};
use kit::actor::ask;
use schema::common::CheckReport;
use schema::image_store::{
    Blob, CommitRequest, Credentials, Description, FetchRequest, HistoryStep, Image, ImportRequest, Lease, PullRequest,
    PushRequest, Removed, SERVICE, SavedPart, Server, Transfer,
};
use schema::{Call, Digest, Failure};
use std::time::Duration;
use store::{Store, Wanted};
use tokio::sync::watch;
use transfer::{Follow, LogIn, Request, Transfers};
use uploads::UploadName;

/// Who this service is.
pub const IDENTITY: kit::Identity = kit::Identity { service: SERVICE, needs: &[], version: env!("CARGO_PKG_VERSION") };

/// What the program of this service does, from its start to its end.
pub fn main() -> std::process::ExitCode {
    kit::boot::run(IDENTITY, start)
}

/// Recovers the store and gives its bootstrap capability.
pub async fn start(context: kit::Context) -> Result<schema::bindings::image_store_capnp::image_store::Client, Failure> {
    let state = context.state()?;
    let store = Store::recover(&state)?;
    let generation = store.generation();
    let shelf = store.shelf();
    let store = store.start();
    let transfers = Transfers::new(shelf, store.clone(), context.instance.config().to_owned())?.start();
    Ok(schema::image_store::serve(context.about(), Api { store, transfers, generation }))
}

/// Hands every call to the actor.
struct Api {
    store: Addr<Store>,
    transfers: Addr<Transfers>,
    /// Grows with every image that goes.
    generation: watch::Receiver<u64>,
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
        self.made(call, upload, Wanted::Import(Box::new(import::Request::parse(&import)?))).await
    }

    async fn pull(&self, call: &Call, request: PullRequest, seen: u64, wait_ms: u32) -> Result<Transfer, Failure> {
        ask(&self.transfers, Follow { call: *call, request: Request::Pull(request), seen, wait_ms }).await
    }

    async fn push(&self, call: &Call, request: PushRequest, seen: u64, wait_ms: u32) -> Result<Transfer, Failure> {
        ask(&self.transfers, Follow { call: *call, request: Request::Push(request), seen, wait_ms }).await
    }

    async fn fetch(&self, call: &Call, request: FetchRequest, seen: u64, wait_ms: u32) -> Result<Transfer, Failure> {
        ask(&self.transfers, Follow { call: *call, request: Request::Fetch(request), seen, wait_ms }).await
    }

    async fn login(&self, call: &Call, registry: String, credentials: Credentials) -> Result<String, Failure> {
        ask(&self.transfers, LogIn { call: *call, registry, credentials }).await
    }

    async fn tag(&self, call: &Call, source: String, target: String, force: bool) -> Result<Image, Failure> {
        ask(&self.store, store::SetTag { call: *call, source, target: target.parse()?, force }).await
    }

    async fn commit_upload(&self, call: &Call, upload: String, request: CommitRequest) -> Result<Image, Failure> {
        self.made(call, upload, Wanted::Commit(Box::new(commit::Request::parse(&request)?))).await
    }

    async fn load_upload(&self, call: &Call, upload: String) -> Result<Vec<Image>, Failure> {
        ask(&self.store, store::Convert { call: *call, upload: upload.parse()?, wanted: Wanted::Load }).await
    }

    async fn save(&self, _call: &Call, references: Vec<String>, offset: u64, most: u32) -> Result<SavedPart, Failure> {
        ask(&self.store, store::Save { references, offset, most }).await
    }

    async fn remove(&self, call: &Call, reference: String, force: bool) -> Result<Removed, Failure> {
        ask(&self.store, store::Remove { call: *call, reference, force }).await
    }

    async fn history(&self, _call: &Call, reference: String) -> Result<Vec<HistoryStep>, Failure> {
        ask(&self.store, store::History(reference)).await
    }

    async fn describe(&self, _call: &Call, reference: String) -> Result<Description, Failure> {
        ask(&self.store, store::Describe(reference)).await
    }

    async fn lease(&self, call: &Call, holder: String, reference: String) -> Result<Image, Failure> {
        ask(&self.store, store::Lease { call: *call, holder: holder_name(holder)?, reference }).await
    }

    async fn release(&self, call: &Call, holder: String) -> Result<(), Failure> {
        ask(&self.store, store::Release { call: *call, holder: holder_name(holder)? }).await
    }

    async fn reconcile(&self, call: &Call, leases: Vec<Lease>) -> Result<(), Failure> {
        let pair = |Lease { holder, image }: Lease| Ok((holder_name(holder)?, image));
        let leases = leases.into_iter().map(pair).collect::<Result<_, Failure>>()?;
        ask(&self.store, store::Reconcile { call: *call, leases }).await
    }

    async fn changed(&self, _call: &Call, seen: u64, wait_ms: u32) -> Result<u64, Failure> {
        let mut generation = self.generation.clone();
        let newer = generation.wait_for(|number| *number != seen);
        // Nothing has changed until then, or this process ends.
        let _elapsed = tokio::time::timeout(Duration::from_millis(wait_ms.into()), newer).await;
        let now = *self.generation.borrow();
        Ok(now)
    }

    async fn check(&self, call: &Call, repair: bool) -> Result<CheckReport, Failure> {
        ask(&self.store, store::Check { call: *call, repair }).await
    }

    async fn upload_file(&self, _call: &Call, upload: String) -> Result<Blob, Failure> {
        ask(&self.store, store::FindUpload(upload.parse()?)).await
    }

    async fn pack_upload(&self, _call: &Call, upload: String) -> Result<(), Failure> {
        ask(&self.store, store::Pack(upload.parse()?)).await
    }

    async fn abandon(&self, _call: &Call, upload: String) -> Result<(), Failure> {
        let upload: UploadName = upload.parse()?;
        ask(&self.store, store::Abandon(upload)).await
    }
}

impl Api {
    /// The only image that an upload becomes.
    async fn made(&self, call: &Call, upload: String, wanted: Wanted) -> Result<Image, Failure> {
        let images = ask(&self.store, store::Convert { call: *call, upload: upload.parse()?, wanted }).await?;
        images.into_iter().next().ok_or_else(|| Failure::internal("an upload has become no image"))
    }
}

/// A holder's name, checked: 1 to 64 lower-case letters and digits, so also a safe file name.
fn holder_name(holder: String) -> Result<String, Failure> {
    match holder.parse::<UploadName>() {
        Ok(_) => Ok(holder),
        Err(_) => Err(Failure::invalid(format_args!("{holder:?} is not a holder: 1 to 64 of a-z and 0-9"))),
    }
}
