//! From an upload to an image.

use super::upload::Importing;
use super::{Import, Imported, Store};
use crate::check::check;
use crate::disk::Disk;
use crate::import::{Plan, Request};
use crate::uploads::{UploadName, missing};
use actix::{ActorFutureExt, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};
use kit::actor::on_thread;
use schema::Failure;
use schema::image_store::Image;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;
use tracing::Instrument;

impl Handler<Import> for Store {
    type Result = ResponseFuture<Result<Image, Failure>>;

    fn handle(&mut self, Import { call, upload, request }: Import, context: &mut Self::Context) -> Self::Result {
        if let Some(imported) = self.imported.get(&upload) {
            return Box::pin(std::future::ready(self.index.get(&imported.image)));
        }
        let Some(entry) = self.uploads.get_mut(&upload) else {
            return Box::pin(std::future::ready(Err(missing(&upload))));
        };
        let (waiter, answer) = oneshot::channel();
        if let Some(importing) = &mut entry.importing {
            importing.waiters.push(waiter);
        } else {
            let cancelled = Arc::new(AtomicBool::new(false));
            entry.importing = Some(Importing { cancelled: Arc::clone(&cancelled), waiters: vec![waiter] });
            let file = Arc::clone(&entry.file);
            self.begin(Work { upload, request, cancelled, file }, call.span("import"), context);
        }
        Box::pin(
            async move { answer.await.unwrap_or_else(|_| Err(Failure::internal("an import ended without an answer"))) },
        )
    }
}

/// What an import needs to know.
struct Work {
    upload: UploadName,
    request: Request,
    cancelled: Arc<AtomicBool>,
    file: Arc<Mutex<()>>,
}

impl Work {
    /// Reads the upload and says what is to be written.
    fn plan(&self, disk: &Disk) -> Result<Plan, Failure> {
        let _alone = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = check(&disk.uploads, &self.upload, &self.cancelled).inspect_err(|_| {
            disk.uploads.remove_packed(&self.upload);
        })?;
        Plan::new(&self.request, checked, kit::process::now())
    }
}

impl Store {
    /// The work belongs to the actor, not to the call: it goes on when the caller is gone.
    fn begin(&mut self, work: Work, span: tracing::Span, context: &mut Context<Self>) {
        let (disk, commits, upload) = (Arc::clone(&self.disk), Arc::clone(&self.commits), work.upload.clone());
        let import = async move {
            let reading = Arc::clone(&disk);
            let plan = on_thread(move || work.plan(&reading).map(|plan| (work, plan))).await;
            let (work, plan) = plan?;
            // Held until the actor has the result: the future ends in the actor's own turn.
            let turn = commits.lock_owned().await;
            if work.cancelled.load(Ordering::Relaxed) {
                return Err(Failure::conflict("the upload was abandoned"));
            }
            let at = plan.image.created_at;
            on_thread(move || disk.commit(&work.upload, &plan, at).map(|()| plan)).await.map(|plan| (plan, turn))
        };
        let import = import.instrument(span).into_actor(self).map(move |result, store, _| {
            store.finish(&upload, result.map(|(plan, _turn)| plan));
        });
        context.spawn(import);
    }

    fn finish(&mut self, upload: &UploadName, result: Result<Plan, Failure>) {
        let Some(entry) = self.uploads.get_mut(upload) else { return };
        entry.touched = Instant::now();
        let Some(Importing { cancelled, waiters }) = entry.importing.take() else { return };
        let answer = match result {
            Ok(plan) => self.add(upload, plan),
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

    fn add(&mut self, upload: &UploadName, plan: Plan) -> Result<Image, Failure> {
        let (image, at) = (plan.image.id().clone(), plan.image.created_at);
        tracing::info!(%image, reference = plan.reference, upload = upload.as_str(), "imported");
        self.index.add_image(plan.image);
        if let Some(reference) = plan.reference {
            self.index.tag(reference, &image);
        }
        self.uploads.remove(upload);
        self.imported.insert(upload.clone(), Imported { image: image.clone(), at });
        self.index.get(&image)
    }
}
