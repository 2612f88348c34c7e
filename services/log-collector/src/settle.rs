//! Getting logs to the disk. Nobody waits for it: what was captured in the last seconds before a power cut is lost.

use crate::files::unless_gone;
use crate::logs::{All, Logs};
use crate::view::Shared;
use actix::Addr;
use kit::actor::on_thread;
use schema::{ContainerId, Failure};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// So many logs are synced one by one; more, with all else that their filesystem has to write.
const ONE_BY_ONE: usize = 32;

/// How much of a log is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Settled {
    /// Up to this position.
    end: u64,
    /// All of the segments before this one.
    segment: u64,
}

/// Syncs what has grown, again and again, as long as the owner of the logs is there.
pub(crate) async fn run(logs: Addr<Logs>) {
    let mut settled = HashMap::new();
    loop {
        tokio::time::sleep(kit::soon::WITHIN).await;
        let Ok(all) = logs.send(All).await else { return };
        let before = std::mem::take(&mut settled);
        let done = on_thread(move || Ok::<_, Failure>(settle(&all, before))).await;
        settled = done.unwrap_or_default();
    }
}

fn settle(logs: &[(ContainerId, Arc<Shared>)], before: HashMap<ContainerId, Settled>) -> HashMap<ContainerId, Settled> {
    let (mut settled, mut grown) = (HashMap::new(), Vec::new());
    for (id, shared) in logs {
        let (view, was) = (shared.view(), before.get(id).copied());
        let now = Settled { end: view.end, segment: view.segments.last().map_or(0, |last| last.number) };
        // What a process before this one has captured was synced by it, or is now.
        if was.unwrap_or_default() == now {
            settled.insert(id.clone(), now);
        } else {
            grown.push((id, shared, was.unwrap_or_default(), now));
        }
    }
    let together = grown.len() > ONE_BY_ONE && grown.first().is_some_and(|(_, shared, ..)| all_at_once(shared));
    for (id, shared, was, now) in grown {
        match if together { Ok(()) } else { sync(shared, was, now) } {
            Ok(()) => drop(settled.insert(id.clone(), now)),
            Err(error) => {
                tracing::warn!(%error, log = %shared.files.directory().display(), "cannot sync a log");
                settled.insert(id.clone(), was);
            }
        }
    }
    settled
}

fn all_at_once(shared: &Shared) -> bool {
    let synced = File::open(shared.files.directory()).and_then(|directory| Ok(rustix::fs::syncfs(directory)?));
    synced.inspect_err(|error| tracing::warn!(%error, "cannot sync all logs at once")).is_ok()
}

/// The data first, then the index that describes it, then that they exist.
fn sync(shared: &Shared, was: Settled, now: Settled) -> io::Result<()> {
    for segment in shared.view().segments.iter().filter(|segment| segment.number >= was.segment) {
        let [index, stdout, stderr] = shared.files.parts(segment.number);
        for path in [stdout, stderr, index] {
            // It may have no such stream, or be compressed, which is synced, or gone.
            if let Some(file) = unless_gone(File::open(path))? {
                file.sync_data()?;
            }
        }
    }
    let directory = shared.files.directory();
    if now.segment != was.segment {
        for directory in [Some(directory), directory.parent()].into_iter().flatten() {
            sync_directory(directory)?;
        }
    }
    Ok(())
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    unless_gone(File::open(directory))?.map_or(Ok(()), |open| open.sync_all())
}
