//! Layers that may not be on the disk yet. Whoever needs a layer does not wait for the disk: until all of it is there, a mark
//! says in which boot it was unpacked, and in another boot it is unpacked again.

use super::record::Record;
use crate::layout::Layout;
use crate::trash::Trash;
use kit::file::{TEMPORARY, list, remove, sync_parent, write_atomically, write_durably};
use kit::process::boot_id;
use kit::store::Store;
use schema::{Digest, Failure};
use std::fs::{self, File};

/// In a mark, behind the boot: the layer will never be on the disk as it is.
const LOST: &str = " lost";

/// Marks a layer, on the disk: what follows is not believed after a power cut.
pub(super) fn mark(layout: &Layout, diff_id: &Digest) -> Result<(), Failure> {
    let path = layout.unsynced().join(diff_id.hex());
    boot_id()
        .and_then(|boot| write_durably(&path, boot.as_bytes()))
        .map_err(|error| Failure::io(format_args!("writing {}", path.display()), &error))
}

/// Takes a mark away; done also if there is none. Should a power cut bring it back, the layer is unpacked again.
pub(super) fn unmark(layout: &Layout, diff_id: &Digest) -> Result<(), Failure> {
    let path = layout.unsynced().join(diff_id.hex());
    remove(&path).map_err(|error| Failure::io(format_args!("removing {}", path.display()), &error))
}

/// Changes a mark for good: the disk has failed, and some of the layer may be in memory only, or not even there.
pub(super) fn mark_lost(layout: &Layout, diff_id: &Digest) -> Result<(), Failure> {
    let path = layout.unsynced().join(diff_id.hex());
    boot_id()
        .and_then(|boot| write_atomically(&path, format!("{boot}{LOST}").as_bytes()))
        .map_err(|error| Failure::io(format_args!("writing {}", path.display()), &error))
}

/// Moves away what another boot has left, of which parts may be missing. The layers of this boot that are not synced.
pub(super) fn recover(layout: &Layout, trash: &Trash, records: &Store<Record>) -> Result<Vec<Digest>, Failure> {
    let directory = layout.unsynced();
    let failed = |error: std::io::Error| Failure::io(format_args!("reading {}", directory.display()), &error);
    let (boot, mut unsynced) = (boot_id().map_err(failed)?, Vec::new());
    for path in list(&directory).map_err(failed)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(diff_id) = format!("sha256:{name}").parse::<Digest>() else {
            if name.ends_with(TEMPORARY) {
                remove(&path).map_err(failed)?;
            }
            continue;
        };
        let layer = layout.layer(&diff_id);
        if !layer.exists() {
            unmark(layout, &diff_id)?;
            continue;
        }
        // A mark that cannot be read is of another boot.
        let mark = fs::read(&path).unwrap_or_default();
        if mark == boot.as_bytes() {
            unsynced.push(diff_id);
        } else if mark != format!("{boot}{LOST}").as_bytes() {
            tracing::info!(%diff_id, "a layer was not on the disk when the host stopped: it is unpacked again");
            drop(trash.take(&layer)?);
            sync_parent(&layer).map_err(failed)?;
            records.drop_record(diff_id.hex())?;
            unmark(layout, &diff_id)?;
        }
    }
    Ok(unsynced)
}

/// Writes to the disk what is in memory only. `directory` was open when all of that was written.
pub(super) fn sync(directory: &File) -> Result<(), Failure> {
    rustix::fs::syncfs(directory).map_err(|error| Failure::io("writing layers to the disk", &error.into()))
}
