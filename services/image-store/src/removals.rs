//! Removals on the disk: written down, carried out, remembered.

use crate::blobs::Blobs;
use crate::disk::Disk;
use crate::holds::Holds;
use crate::removing::{Fate, Removal};
use kit::store::Durability;
use schema::image_store::Removed;
use schema::{Code, Digest, Failure};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::{Duration, SystemTime};

/// What is recorded of a removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemovalRecord {
    /// When: nanoseconds since the Unix epoch.
    pub(crate) at: i64,
    pub(crate) removal: Removal,
    /// Bytes that it freed; none: it is to be carried out.
    pub(crate) freed: Option<u64>,
}

/// A removal that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// When: nanoseconds since the Unix epoch.
    pub(crate) at: i64,
    pub(crate) answer: Removed,
}

impl Disk {
    /// Removes names and, if it says so, the image with its blobs; all but the blobs that are `needed`. What a
    /// killed process leaves of it is finished by the next one.
    pub(crate) fn remove(
        &self,
        name: &str,
        record: RemovalRecord,
        needed: &HashSet<Digest>,
        holds: &Holds,
    ) -> Result<Remembered, Failure> {
        match self.removals.put(name, &record, Durability::Disk) {
            // Removing is how one makes room. A crash would leave a part of it to be removed by its user, or by the sweep.
            Err(failure) if failure.code == Code::ResourceExhausted && record.removal.deletes() => {
                tracing::warn!(%failure, "cannot record a removal: going on without");
            }
            written => written?,
        }
        self.forget_image(&record.removal)?;
        self.free(name, record, needed, holds)
    }

    /// The first half: records. May be repeated.
    pub(crate) fn forget_image(&self, removal: &Removal) -> Result<(), Failure> {
        for reference in &removal.untagged {
            self.drop_tag(reference)?;
        }
        match &removal.fate {
            Fate::Stays(record) => self.put_image(record),
            Fate::Goes(_) => self.drop_image(&removal.image),
        }
    }

    /// The second half: blobs, and the note that it is done. May be repeated.
    pub(crate) fn free(
        &self,
        name: &str,
        mut record: RemovalRecord,
        needed: &HashSet<Digest>,
        holds: &Holds,
    ) -> Result<Remembered, Failure> {
        let mut freed = 0;
        if let Fate::Goes(blobs) = &record.removal.fate {
            for digest in blobs.iter().filter(|digest| !needed.contains(digest)) {
                freed += holds.unless_held(digest, || self.blobs.remove(digest)).unwrap_or(Ok(0))?;
            }
        }
        record.freed = Some(freed);
        match self.removals.put(name, &record, Durability::Disk) {
            Err(failure) if failure.code == Code::ResourceExhausted => {
                tracing::warn!(%failure, "cannot record that a removal is done: its answer is forgotten with this process");
                // Carried out once more, it would take what has been made meanwhile.
                self.removals.delete(name)?;
            }
            written => written?,
        }
        Ok(Remembered { at: record.at, answer: record.removal.answer(freed) })
    }
}

/// Removes blobs that nothing needs or holds, and that nobody wrote within `life`: what transfers brought that
/// were never finished. Gives the bytes that were freed.
pub(crate) fn sweep(blobs: &Blobs, needed: &HashSet<Digest>, holds: &Holds, life: Duration) -> Result<u64, Failure> {
    let mut freed = 0;
    for (digest, written) in blobs.list()? {
        let is_old = SystemTime::now().duration_since(written).is_ok_and(|age| age > life);
        if is_old && !needed.contains(&digest) {
            freed += holds.unless_held(&digest, || blobs.remove(&digest)).unwrap_or(Ok(0))?;
        }
    }
    Ok(freed)
}
