//! Questions about images that need their files.

use super::{Check, Describe, FindUpload, History, Store};
use crate::audit::Audit;
use crate::disk::Disk;
use crate::history::{self, Candidate};
use crate::record::ImageRecord;
use crate::uploads::missing;
use actix::{ActorFutureExt, Context, Handler, ResponseActFuture, ResponseFuture, WrapFuture};
use kit::actor::on_thread;
use oci::config;
use schema::common::{CheckReport, Layer, Problem};
use schema::image_store::{Blob, Description, HistoryStep};
use schema::{Call, Digest, Failure};
use std::collections::HashMap;
use std::sync::Arc;

impl Handler<Describe> for Store {
    type Result = ResponseFuture<Result<Description, Failure>>;

    fn handle(&mut self, Describe(reference): Describe, _: &mut Context<Self>) -> Self::Result {
        let record = self.found(&reference);
        let disk = Arc::clone(&self.disk);
        Box::pin(async move {
            let record = record?;
            on_thread(move || {
                Ok(Description {
                    configuration: disk.blobs.document(record.id())?,
                    manifest: disk.blobs.document(&record.manifest.digest)?,
                    media_type: record.manifest_type,
                })
            })
            .await
        })
    }
}

impl Handler<History> for Store {
    type Result = ResponseActFuture<Self, Result<Vec<HistoryStep>, Failure>>;

    fn handle(&mut self, History(reference): History, _: &mut Context<Self>) -> Self::Result {
        let record = self.found(&reference);
        let (disk, mut sizes) = (Arc::clone(&self.disk), self.sizes.clone());
        let below: Vec<(ImageRecord, Vec<String>)> = { record.iter() }
            .flat_map(|record| self.index.records().filter(|other| is_beginning(other, record)))
            .map(|record| (record.clone(), self.index.names(record.id())))
            .collect();
        let work = async move {
            let record = record?;
            on_thread(move || steps(&disk, &record, below, &mut sizes).map(|steps| (steps, sizes))).await
        };
        Box::pin(work.into_actor(self).map(|result, store, _| {
            let (steps, sizes) = result?;
            store.sizes.extend(sizes);
            Ok(steps)
        }))
    }
}

/// Whether one image may be a step in the making of the other.
fn is_beginning(one: &ImageRecord, other: &ImageRecord) -> bool {
    let diff_ids = |record: &ImageRecord| record.layers.iter().map(|layer| layer.diff_id.clone()).collect::<Vec<_>>();
    diff_ids(other).starts_with(&diff_ids(one))
}

fn steps(
    disk: &Disk,
    record: &ImageRecord,
    below: Vec<(ImageRecord, Vec<String>)>,
    known: &mut HashMap<Digest, u64>,
) -> Result<Vec<HistoryStep>, Failure> {
    let config = config::parse(&disk.blobs.document(record.id())?)?;
    let mut size = |layer: &Layer| {
        if let Some(size) = known.get(&layer.diff_id) {
            return Ok(*size);
        }
        let size = disk.blobs.expanded_size(layer)?;
        known.insert(layer.diff_id.clone(), size);
        Ok(size)
    };
    let sizes: Vec<u64> = record.layers.iter().map(&mut size).collect::<Result<_, Failure>>()?;
    // An image whose configuration cannot be read, or that is gone by now, is no step that could be named.
    let candidate = |(record, references): (ImageRecord, Vec<String>)| {
        let config = config::parse(&disk.blobs.document(record.id()).ok()?).ok()?;
        Some(Candidate { id: record.id().clone(), config, references })
    };
    Ok(history::steps(&config, &sizes, &below.into_iter().filter_map(candidate).collect::<Vec<_>>()))
}

impl Handler<Check> for Store {
    type Result = ResponseActFuture<Self, Result<CheckReport, Failure>>;

    fn handle(&mut self, Check { call, repair }: Check, _: &mut Context<Self>) -> Self::Result {
        let disk = Arc::clone(&self.disk);
        let blobs = on_thread(move || Audit::of_blobs(&disk, repair)).into_actor(self);
        let mended = blobs.then(move |audit, store, context| {
            let mending = if repair { Some(store.mend(&call, context)) } else { None };
            let work = async move {
                let mut audit = audit?;
                if let Some(mending) = mending {
                    audit.add_repaired(mending.await?);
                }
                Ok(audit)
            };
            work.into_actor(store)
        });
        let read = mended.then(|audit: Result<Audit, Failure>, store, _| {
            let images: Vec<ImageRecord> = store.index.records().cloned().collect();
            let disk = Arc::clone(&store.disk);
            let work = async move {
                let mut audit = audit?;
                on_thread(move || audit.add_records(&disk, &images).map(|()| audit)).await
            };
            work.into_actor(store)
        });
        Box::pin(read.map(|audit, store, _| Ok(audit?.report(&store.index.needed()))))
    }
}

impl Handler<FindUpload> for Store {
    type Result = ResponseFuture<Result<Blob, Failure>>;

    fn handle(&mut self, FindUpload(upload): FindUpload, _: &mut Context<Self>) -> Self::Result {
        let known = self.uploads.contains_key(&upload);
        let path = self.disk.uploads.path(&upload);
        Box::pin(on_thread(move || match std::fs::metadata(&path) {
            Ok(metadata) if known => Ok(Blob { path, size: metadata.len() }),
            _ => Err(missing(&upload)),
        }))
    }
}

impl Store {
    /// Mends the records; tells what was done.
    fn mend(&self, call: &Call, context: &mut Context<Self>) -> ResponseFuture<Result<Vec<Problem>, Failure>> {
        self.change(
            context,
            call.span("repair"),
            |store| Ok(store.index.known()),
            |disk, known| disk.mend(&known),
            |store, mended| Ok(mended.tell(&mut store.index)),
        )
    }

    fn found(&self, reference: &str) -> Result<ImageRecord, Failure> {
        let id = self.index.find(reference)?;
        self.index.record(id).cloned().ok_or_else(|| Failure::internal("an image without a record"))
    }
}
