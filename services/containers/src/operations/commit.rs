//! Images of containers.

use super::files::place;
use super::freezing::thaw;
use crate::compose;
use crate::container::{Committed, Handle, View};
use crate::lifecycle::Phase;
use crate::record::Record;
use crate::workers::{MOUNT, Workers, own_call};
use schema::containers::CommitSpec;
use schema::filesystem::Place;
use schema::image_store::{CommitRequest, Image};
use schema::{Call, Failure};

/// Makes an image of a container's files and its configuration. A running container is stopped where it is
/// while its layer is read, and lets nobody wait: if it is to end meanwhile, the commit is given up.
///
/// That the upload holds the whole layer is recorded before the image is made: then a repetition only hears
/// which image that was.
pub(crate) async fn commit(
    handle: Handle,
    workers: Workers,
    call: Call,
    upload: String,
    spec: CommitSpec,
) -> Result<Image, Failure> {
    let call = call.limited(MOUNT);
    let view = handle.until_live().await?;
    let made = async {
        // Before anything is frozen: its answer may take a while.
        let base = workers.image_store.resolve(&call, view.record.container.image_id.as_str()).await?;
        layer(&handle, &workers, &call, &upload, spec.pause).await?;
        let record = handle.now().record;
        workers.image_store.commit_upload(&call, &upload, &request(&record, base, &spec)).await
    }
    .await;
    match made {
        Ok(image) => {
            let done = Committed::Image { id: image.id.to_string(), reference: spec.reference };
            // The image is there, whatever becomes of the container.
            if let Err(failure) = handle.ask(done).await {
                tracing::warn!(%failure, "cannot tell of the commit");
            }
            Ok(image)
        }
        Err(failure) => {
            // Then a repetition begins anew.
            let forgotten = handle.ask(Committed::Nothing(upload.clone())).await;
            if let Err(failure) = forgotten.and(workers.image_store.abandon(&own_call(), &upload).await) {
                tracing::warn!(%failure, upload, "cannot abandon the upload");
            }
            Err(failure)
        }
    }
}

/// Writes the container's layer to an upload, unless that was done.
async fn layer(handle: &Handle, workers: &Workers, call: &Call, upload: &str, pause: bool) -> Result<(), Failure> {
    let place = place(handle).await?;
    let _turn = handle.freezer().await;
    let view = handle.now();
    if view.record.committed.iter().any(|known| known == upload) {
        return Ok(());
    }
    read(workers, call, handle, &view, &place, upload, pause).await?;
    handle.ask(Committed::Layer(upload.to_owned())).await
}

/// Reads the container's layer, while nothing changes it.
async fn read(
    workers: &Workers,
    call: &Call,
    handle: &Handle,
    view: &View,
    place: &Place,
    upload: &str,
    pause: bool,
) -> Result<(), Failure> {
    let write = async || workers.filesystem.commit_layer(call, place, upload).await.map(drop);
    match view.phase() {
        Phase::Running if pause => {
            let id = view.record.id();
            let written = async {
                workers.executor.freeze(call, id, true).await?;
                tokio::select! {
                    written = write() => written,
                    view = handle.until(is_ending) => Err(ends(&view)),
                }
            }
            .await;
            thaw(workers, id).await;
            written
        }
        Phase::Running => {
            Err(Failure::conflict(format_args!("container {:?} is running, and its files change", view.record.name()))
                .hint("let the commit pause it, or use `cctl pause` or `cctl stop` first"))
        }
        Phase::Stopping | Phase::Removing | Phase::Starting => Err(ends(view)),
        Phase::Created | Phase::Paused | Phase::Ending | Phase::Exited | Phase::Restarting => write().await,
    }
}

fn is_ending(view: &View) -> bool {
    view.phase() != Phase::Running || view.record.run.as_ref().is_some_and(|run| run.killed)
}

fn ends(view: &View) -> Failure {
    Failure::conflict(format_args!("container {:?} was stopped meanwhile", view.record.name())).hint("commit it again")
}

fn request(record: &Record, base: Image, spec: &CommitSpec) -> CommitRequest {
    CommitRequest {
        base: base.id,
        reference: spec.reference.clone(),
        message: spec.message.clone(),
        author: spec.author.clone(),
        container: record.id().clone(),
        command: record.container.arguments.clone(),
        config: compose::effective(&record.container.spec, &base.config),
        changes: spec.changes.clone(),
    }
}
