//! Writing to the disk what nobody waits for: one thread, which wakes only if there is something to do.

use crate::file::sync_parent;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a change is left to the kernel before it is written to the disk. What is gone by then costs nothing.
pub const WITHIN: Duration = Duration::from_secs(5);

/// The files to write, and whether a thread is about to.
#[derive(Debug, Default)]
struct Queue {
    files: BTreeSet<PathBuf>,
    is_served: bool,
}

static QUEUE: LazyLock<Mutex<Queue>> = LazyLock::new(Mutex::default);

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the content of a file, and its name, written to the disk within [`WITHIN`] and what the disk takes.
pub fn sync(path: &Path) {
    let mut queue = queue();
    queue.files.insert(path.to_owned());
    if !queue.is_served {
        let started = std::thread::Builder::new().name("sync".to_owned()).spawn(serve);
        queue.is_served = started.inspect_err(|error| tracing::warn!(%error, "nothing is synced for now")).is_ok();
    }
}

fn serve() {
    loop {
        std::thread::sleep(WITHIN);
        let files = std::mem::take(&mut queue().files);
        write(&files);
        let mut queue = queue();
        if queue.files.is_empty() {
            queue.is_served = false;
            return;
        }
    }
}

fn write(files: &BTreeSet<PathBuf>) {
    let mut parents = BTreeSet::new();
    for file in files {
        match File::open(file).and_then(|open| open.sync_all()) {
            Ok(()) => drop(parents.insert(file.parent())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, file = %file.display(), "cannot sync"),
        }
    }
    // A file of each directory stands for all of them.
    let mut last = None;
    for file in files.iter().filter(|file| parents.contains(&file.parent())) {
        if last != file.parent()
            && let Err(error) = sync_parent(file)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, file = %file.display(), "cannot sync its directory");
        }
        last = file.parent();
    }
}
