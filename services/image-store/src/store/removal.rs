//! Removing names and images.

use super::{Remove, Store};
use crate::removals::{Remembered, RemovalRecord};
use crate::removing::{Fate, Removal};
use actix::{Context, Handler, ResponseFuture};
use oci::digest;
use schema::image_store::Removed;
use schema::{Digest, Failure};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How long the answer to a removal is remembered, for a caller that did not get it.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What a removal needs to be carried out.
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) record: RemovalRecord,
    /// Blobs that the images which stay need.
    pub(super) needed: HashSet<Digest>,
}

impl Handler<Remove> for Store {
    type Result = ResponseFuture<Result<Removed, Failure>>;

    fn handle(&mut self, Remove { call, reference, force }: Remove, context: &mut Context<Self>) -> Self::Result {
        // A repetition of a call has its request, its reference and its force.
        let name = digest(format!("{} {force} {reference}", call.request).as_bytes()).hex().to_owned();
        let holds = self.holds.clone();
        self.change(
            context,
            call.span("remove"),
            move |store| {
                store.forget_removals();
                if let Some(known) = store.removed.get(&name) {
                    return Ok(Err(known.answer.clone()));
                }
                let removal = Removal::decide(&store.index, &reference, force)?;
                Ok(Ok(store.planned(name, removal, &mut HashSet::new())))
            },
            move |disk, planned| match planned {
                Err(known) => Ok(Err(known)),
                Ok(Planned { name, record, needed }) => {
                    let removal = record.removal.clone();
                    disk.remove(&name, record, &needed, &holds).map(|done| Ok((name, removal, done)))
                }
            },
            |store, done| match done {
                Err(known) => Ok(known),
                Ok((name, removal, done)) => {
                    store.removed_now(removal);
                    let answer = done.answer.clone();
                    store.removed.insert(name, done);
                    Ok(answer)
                }
            },
        )
    }
}

impl Store {
    /// A removal that begins now, after the images in `gone` have gone. Its own joins them if it goes.
    pub(super) fn planned(&self, name: String, removal: Removal, gone: &mut HashSet<Digest>) -> Planned {
        if removal.deletes() {
            gone.insert(removal.image.clone());
        }
        let staying = self.index.records().filter(|record| !gone.contains(record.id()));
        let needed = staying.flat_map(|record| record.blobs().map(|(digest, _)| digest.clone())).collect();
        Planned { name, record: RemovalRecord { at: kit::process::now(), removal, freed: None }, needed }
    }

    /// Tells the index what the disk says already.
    pub(super) fn removed_now(&mut self, removal: Removal) {
        tracing::info!(image = %removal.image, untagged = ?removal.untagged, gone = removal.deletes(), "removed");
        for name in &removal.untagged {
            self.index.untag(name);
        }
        match removal.fate {
            Fate::Stays(record) => self.index.add_image(*record),
            Fate::Goes(_) => {
                self.index.drop_image(&removal.image);
                self.generation.send_modify(|number| *number += 1);
            }
        }
    }

    /// Forgets answers that nobody can be waiting for any more.
    pub(super) fn forget_removals(&mut self) {
        let horizon = kit::process::now().saturating_sub(i64::try_from(REMEMBERED.as_nanos()).unwrap_or(i64::MAX));
        let is_old = |(_, done): &(&String, &Remembered)| done.at < horizon;
        let old: Vec<String> = self.removed.iter().filter(is_old).map(|(name, _)| name.clone()).collect();
        for name in old {
            self.removed.remove(&name);
            let disk = Arc::clone(&self.disk);
            self.in_background(move || disk.removals.drop_record(&name));
        }
    }
}
