//! Archives that are being read, so that the next part does not begin with a search. Losing one costs time
//! only.

use super::archive::Archive;
use super::parts::Pair;
use schema::ContainerId;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// As long as nobody asks for the next part, an archive is kept so long.
const PATIENCE: Duration = Duration::from_secs(10);
const MOST: usize = 32;

/// The archives, by their number.
#[derive(Default)]
pub(crate) struct Archives {
    kept: HashMap<u64, Kept>,
    /// Last parts that may not have been read yet.
    last: Vec<(Pair, Instant)>,
}

struct Kept {
    archive: Archive,
    owner: ContainerId,
    since: Instant,
}

impl Archives {
    /// Takes the archive that is at this cursor.
    pub(crate) fn take(&mut self, cursor: &[u8]) -> Option<Archive> {
        let number = Archive::number_in(cursor)?;
        self.kept.remove(&number).map(|kept| kept.archive).filter(|archive| archive.is_at(cursor))
    }

    /// Keeps an archive for a while.
    pub(crate) fn keep(&mut self, number: u64, owner: ContainerId, archive: Archive) {
        if self.kept.len() >= MOST
            && let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.since).map(|(number, _)| *number)
        {
            self.kept.remove(&oldest);
        }
        self.kept.insert(number, Kept { archive, owner, since: Instant::now() });
    }

    /// Keeps the files of an archive that has ended for a while.
    pub(crate) fn keep_last(&mut self, archive: Archive) {
        if self.last.len() >= MOST {
            self.last.remove(0);
        }
        self.last.extend(archive.parts().map(|pair| (pair, Instant::now())));
    }

    /// Drops those that nobody asks for.
    pub(crate) fn expire(&mut self) {
        self.last.retain(|(_, since)| since.elapsed() < PATIENCE);
        self.kept.retain(|_, kept| kept.since.elapsed() < PATIENCE);
    }

    /// Drops those of a container.
    pub(crate) fn forget(&mut self, owner: &ContainerId) {
        self.kept.retain(|_, kept| kept.owner != *owner);
    }
}
