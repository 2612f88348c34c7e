//! Uploads that nobody wants any more.

use super::Store;
use crate::removals::sweep;
use crate::uploads::UploadName;
use actix::Context;
use kit::actor::on_thread;
use schema::Digest;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How often expired uploads are looked for.
pub(super) const INTERVAL: Duration = Duration::from_secs(300);
/// How long an upload, or the note of what it became, is kept after it was last touched.
const LIFE: Duration = Duration::from_secs(3600);
/// How long blobs, and parts of blobs, that belong to no image are kept for the transfer that brought them.
const UNFINISHED: Duration = Duration::from_secs(24 * 3600);

impl Store {
    /// Removes what is too old.
    pub(super) fn expire(&mut self, context: &mut Context<Self>) {
        let old: Vec<UploadName> = self
            .uploads
            .iter()
            .filter(|(_, upload)| upload.importing.is_none() && upload.touched.elapsed() > LIFE)
            .map(|(name, _)| name.clone())
            .collect();
        for name in old {
            tracing::info!(upload = name.as_str(), "removing an upload that nobody touched");
            self.discard(&name);
        }
        self.forget_removals();
        self.sweep(context);
        let horizon = kit::process::now().saturating_sub(i64::try_from(LIFE.as_nanos()).unwrap_or(i64::MAX));
        let forgotten: Vec<UploadName> =
            self.imported.iter().filter(|(_, note)| note.at < horizon).map(|(name, _)| name.clone()).collect();
        for name in forgotten {
            self.imported.remove(&name);
            let disk = Arc::clone(&self.disk);
            self.in_background(move || disk.forget(&name));
        }
    }

    /// Removes an upload, whose import does not run, on a thread.
    pub(super) fn discard(&mut self, name: &UploadName) {
        let Some(upload) = self.uploads.remove(name) else { return };
        let (disk, name) = (Arc::clone(&self.disk), name.clone());
        self.in_background(move || {
            drop(upload.packing);
            let _alone = upload.file.lock().unwrap_or_else(PoisonError::into_inner);
            disk.uploads.remove(&name)
        });
    }

    /// Removes what transfers brought long ago and never made an image of. A change, so that no image is registered
    /// meanwhile.
    fn sweep(&self, context: &mut Context<Self>) {
        let holds = self.holds.clone();
        let swept = self.change(
            context,
            tracing::info_span!("sweep"),
            |store| Ok((store.index.needed(), store.index.records().map(|record| record.id().clone()).collect())),
            move |disk, (needed, images): (_, HashSet<Digest>)| {
                disk.partials.expire(UNFINISHED)?;
                let lost = disk.lost_images(|image| images.contains(image))?;
                if let Some(image) = lost.iter().next() {
                    tracing::info!(%image, "no blob is swept: it is not known which ones this image needs");
                    return Ok(0);
                }
                sweep(&disk.blobs, &needed, &holds, UNFINISHED)
            },
            |_, freed| Ok(freed),
        );
        actix::spawn(async move {
            match swept.await {
                Ok(0) => {}
                Ok(freed) => tracing::info!(freed, "removed what was never made an image"),
                Err(failure) => tracing::warn!(%failure, "cannot remove what was never made an image"),
            }
        });
    }

    /// What fails here is done by the next start.
    pub(super) fn in_background(&self, work: impl FnOnce() -> Result<(), schema::Failure> + Send + 'static) {
        actix::spawn(async move {
            if let Err(failure) = on_thread(work).await {
                tracing::warn!(%failure, "cannot clean up");
            }
        });
    }
}
