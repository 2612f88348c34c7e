//! From an upload to images.

use super::change::{answered, at_once};
use super::upload::Importing;
use super::{Convert, Imported, Store, Wanted};
use crate::check::{Checked, Use, abandoned, check};
use crate::commit;
use crate::disk::Disk;
use crate::growing::Following;
use crate::holds::Hold;
use crate::import;
use crate::load;
use crate::plan::{LoadedImage, Made};
use crate::record::ImageRecord;
use crate::uploads::{UploadName, missing};
use actix::{ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};
use kit::actor::on_thread;
use schema::common::Layer;
use schema::image_store::Image;
use schema::{Digest, Failure};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;
use tracing::Instrument;

impl Handler<Convert> for Store {
    type Result = ResponseFuture<Result<Vec<Image>, Failure>>;

    fn handle(&mut self, Convert { call, upload, wanted }: Convert, context: &mut Context<Self>) -> Self::Result {
        if let Some(imported) = self.imported.get(&upload) {
            return at_once(imported.images.iter().map(|image| self.image(image)).collect());
        }
        if !self.uploads.contains_key(&upload) {
            return at_once(Err(missing(&upload)));
        }
        let (order, hold) = match self.order(wanted) {
            Ok(order) => order,
            Err(failure) => return at_once(Err(failure)),
        };
        let Some(entry) = self.uploads.get_mut(&upload) else { return at_once(Err(missing(&upload))) };
        let (waiter, answer) = oneshot::channel();
        if let Some(importing) = &mut entry.importing {
            importing.waiters.push(waiter);
        } else {
            let cancelled = Arc::new(AtomicBool::new(false));
            entry.importing = Some(Importing { cancelled: Arc::clone(&cancelled), waiters: vec![waiter] });
            let (file, packing) = (Arc::clone(&entry.file), entry.packing.take());
            self.begin(Work { upload, order, _hold: hold, cancelled, file, packing }, call.span("import"), context);
        }
        answered(answer)
    }
}

/// What is wanted, with what the index knows of it.
enum Order {
    Import(Box<import::Request>),
    Commit(Box<(commit::Request, ImageRecord)>),
    /// Layers that are here already, by their diff ids.
    Load(HashMap<Digest, Layer>),
}

/// What the work on an upload needs to know.
struct Work {
    upload: UploadName,
    order: Order,
    /// On blobs that the images will need.
    _hold: Hold,
    cancelled: Arc<AtomicBool>,
    file: Arc<Mutex<()>>,
    /// Has read the upload while it came.
    packing: Option<Following>,
}

impl Work {
    /// Reads the upload and says what is to be written.
    fn plan(&mut self, disk: &Disk) -> Result<Made, Failure> {
        let _alone = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = |purpose| check(&disk.uploads, &self.upload, purpose, &self.cancelled);
        let now = kit::process::now();
        // One that is not asked for what it has found ends here.
        let followed = match (&self.order, self.packing.take()) {
            (Order::Commit(_), Some(packing)) => packing.finish(&disk.uploads, &self.upload),
            _ => None,
        };
        let made = match &self.order {
            Order::Import(request) => checked(Use::Import)
                .and_then(|checked| request.plan(checked, now))
                .map(|plan| Made::Layer(Box::new(plan))),
            Order::Commit(commit) => {
                let (request, below) = &**commit;
                let found = followed.unwrap_or_else(|| checked(Use::Layer));
                let plan = found.and_then(plain).and_then(|checked| request.plan(disk, below, checked, now));
                plan.map(|plan| Made::Layer(Box::new(plan)))
            }
            Order::Load(known) => {
                load::plan(disk, &self.upload, known, &self.cancelled).map(|load| Made::Archive(Box::new(load)))
            }
        };
        made.inspect_err(|_| disk.uploads.remove_made(&self.upload))
    }
}

/// A commit's layer comes plain: its image says how it is compressed here.
fn plain(checked: Checked) -> Result<Checked, Failure> {
    if checked.packed {
        Ok(checked)
    } else {
        Err(Failure::invalid("the layer is compressed").hint("send it as a plain tar archive"))
    }
}

impl Store {
    fn order(&self, wanted: Wanted) -> Result<(Order, Hold), Failure> {
        Ok(match wanted {
            Wanted::Import(request) => (Order::Import(request), self.holds.hold([])),
            Wanted::Commit(request) => {
                let below = self
                    .index
                    .record(&request.base)
                    .ok_or_else(|| Failure::not_found(format_args!("no such image: {}", request.base)))?;
                let hold = self.holds.hold(below.blobs().map(|(digest, _)| digest.clone()));
                (Order::Commit(Box::new((*request, below.clone()))), hold)
            }
            Wanted::Load => {
                let layers = self.index.records().flat_map(|record| &record.layers);
                let known: HashMap<_, _> = layers.map(|layer| (layer.diff_id.clone(), layer.clone())).collect();
                let hold = self.holds.hold(known.values().map(|layer| layer.digest.clone()));
                (Order::Load(known), hold)
            }
        })
    }

    /// The work belongs to the actor, not to the call: it goes on when the caller is gone.
    fn begin(&self, work: Work, span: tracing::Span, context: &mut Context<Self>) {
        let (disk, upload) = (Arc::clone(&self.disk), work.upload.clone());
        let reading = on_thread(move || {
            let mut work = work;
            work.plan(&disk).map(|made| (work, made))
        });
        let reading = reading.instrument(span.clone());
        context.spawn(reading.into_actor(self).map(move |result, store, context| match result {
            Ok((work, made)) => store.record(work, made, span, context),
            Err(failure) => store.finish(&upload, Err(failure)),
        }));
    }

    /// Writes what was planned. What the work holds is held until the index knows it.
    fn record(&self, work: Work, made: Made, span: tracing::Span, context: &mut Context<Self>) {
        let (upload, cancelled) = (work.upload.clone(), Arc::clone(&work.cancelled));
        let at = kit::process::now();
        let done = self.change(
            context,
            span,
            move |store| {
                let mut made = made;
                made.join(|id| store.index.record(id));
                Ok(made)
            },
            move |disk, made| {
                let written = if cancelled.load(Ordering::Relaxed) {
                    disk.uploads.remove_made(&upload);
                    Err(abandoned())
                } else {
                    disk.commit(&upload, &made, at)
                };
                Ok((upload, written.map(|()| made)))
            },
            move |store, (upload, result)| {
                drop(work);
                store.finish(&upload, result.map(|made| (made.images(), at)));
                Ok(())
            },
        );
        // Its answer is given by `finish`.
        drop(done);
    }

    fn finish(&mut self, upload: &UploadName, result: Result<(Vec<LoadedImage>, i64), Failure>) {
        let Some(entry) = self.uploads.get_mut(upload) else { return };
        entry.touched = Instant::now();
        let Some(Importing { cancelled, waiters }) = entry.importing.take() else { return };
        let answer = match result {
            Ok((images, at)) => self.add(upload, images, at),
            Err(failure) => {
                if cancelled.load(Ordering::Relaxed) {
                    self.discard(upload);
                }
                Err(failure)
            }
        };
        for waiter in waiters {
            // A caller that is gone needs no answer.
            let _gone = waiter.send(answer.clone());
        }
    }

    fn add(&mut self, upload: &UploadName, images: Vec<LoadedImage>, at: i64) -> Result<Vec<Image>, Failure> {
        let mut ids = Vec::new();
        for LoadedImage { record, names } in images {
            let id = record.id().clone();
            tracing::info!(image = %id, ?names, upload = upload.as_str(), "an upload has become an image");
            self.index.add_image(record);
            for name in names {
                self.index.tag(name, &id);
            }
            ids.push(id);
        }
        self.uploads.remove(upload);
        self.imported.insert(upload.clone(), Imported { images: ids.clone(), at });
        ids.iter().map(|id| self.image(id)).collect()
    }
}
