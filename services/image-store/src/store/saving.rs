//! Archives of images, read by position.

use super::change::at_once;
use super::{Save, Store};
use crate::save::{Archive, Saved};
use actix::{Context, Handler, ResponseFuture};
use kit::actor::on_thread;
use oci::reference::Target;
use schema::image_store::SavedPart;
use schema::{Digest, Failure};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long what was begun is remembered after it was last asked for.
const REMEMBERED: Duration = Duration::from_secs(600);

/// An archive that somebody reads.
pub(super) struct Reading {
    images: Vec<Saved>,
    archive: Arc<OnceLock<Archive>>,
    touched: Instant,
}

impl Reading {
    fn is_of(&self, images: &[Saved]) -> bool {
        self.images.len() == images.len() && self.images.iter().zip(images).all(|(one, other)| one.is_as(other))
    }
}

impl Handler<Save> for Store {
    type Result = ResponseFuture<Result<SavedPart, Failure>>;

    fn handle(&mut self, message: Save, _: &mut Context<Self>) -> Self::Result {
        let Save { references, offset, most } = message;
        self.readings.retain(|_, reading| reading.touched.elapsed() < REMEMBERED);
        let images = match self.saved(&references) {
            Ok(images) => images,
            Err(failure) if offset == 0 => return at_once(Err(failure)),
            Err(_) => return at_once(Err(moved(&references))),
        };
        if self.readings.get(&references).is_none_or(|reading| !reading.is_of(&images)) {
            if offset > 0 && self.readings.remove(&references).is_some() {
                return at_once(Err(moved(&references)));
            }
            let reading = Reading { images: images.clone(), archive: Arc::default(), touched: Instant::now() };
            self.readings.insert(references.clone(), reading);
        }
        let Some(reading) = self.readings.get_mut(&references) else { return at_once(Err(moved(&references))) };
        reading.touched = Instant::now();
        let (archive, disk) = (Arc::clone(&reading.archive), Arc::clone(&self.disk));
        Box::pin(on_thread(move || {
            if archive.get().is_none() {
                // Another call may have been faster; both made the same.
                let _same = archive.set(Archive::new(&images, &disk.blobs)?);
            }
            let archive = archive.get().ok_or_else(|| Failure::internal("an archive was not made"))?;
            archive.read(offset, most)
        }))
    }
}

impl Store {
    /// The images that are meant, each once, with the names by which they were asked for.
    fn saved(&self, references: &[String]) -> Result<Vec<Saved>, Failure> {
        if references.is_empty() {
            return Err(Failure::invalid("no image was named").hint("name the images to save"));
        }
        let mut images: Vec<Saved> = Vec::new();
        for text in references {
            let id: &Digest = self.index.find(text)?;
            let target = text.parse::<Target>().ok().filter(|target| target.digest.is_none());
            let name = target.and_then(|target| target.reference());
            let name = name.filter(|name| self.index.tagged(&name.to_string()) == Some(id));
            let record = self.index.record(id).ok_or_else(|| Failure::internal("an image without a record"))?;
            match images.iter_mut().find(|saved| saved.record.id() == id) {
                Some(saved) => saved.names.extend(name),
                None => images.push(Saved { record: record.clone(), names: name.into_iter().collect() }),
            }
        }
        for saved in &mut images {
            saved.names.sort();
            saved.names.dedup();
        }
        Ok(images)
    }
}

fn moved(references: &[String]) -> Failure {
    Failure::conflict(format_args!("{} changed while it was being saved", references.join(", ")))
        .hint("save it again from the beginning")
}
