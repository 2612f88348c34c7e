//! What is known of a layer that was unpacked: enough to notice that something is missing or other.

use crate::beneath;
use crate::walk::Walk;
use rustix::fs::Stat;
use rustix::io::Errno;
use schema::Failure;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::os::fd::AsFd;
use std::path::Path;

/// A summary of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Files, directories, links and whiteouts.
    pub(super) entries: u64,
    /// Of all regular files.
    pub(super) bytes: u64,
    /// SHA-256 of all paths with their types, modes, owners, sizes and times; hex.
    pub(super) summary: String,
}

impl Record {
    /// Looks at every entry of an unpacked layer. Content is not read.
    pub(super) fn of(layer: &Path) -> Result<Self, Failure> {
        let failed = |error: Errno| Failure::io(format_args!("reading {}", layer.display()), &error.into());
        let top = beneath::open_root(layer).map_err(failed)?;
        let (mut entries, mut bytes, mut hasher) = (0, 0, Sha256::new());
        add(&mut hasher, b"", &rustix::fs::fstat(&top).map_err(failed)?);
        let mut walk = Walk::new(top.as_fd(), &[], None)?;
        while let Some(entry) = walk.next()? {
            let Some(stat) = entry.found else { continue };
            entries += 1;
            if !beneath::is_directory(&stat) {
                bytes += u64::try_from(stat.st_size).unwrap_or(0);
            }
            add(&mut hasher, &entry.path, &stat);
        }
        let summary = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { entries, bytes, summary })
    }
}

fn add(hasher: &mut Sha256, path: &[u8], stat: &Stat) {
    // The size of a directory depends on how the filesystem stores it.
    let size = if beneath::is_directory(stat) { 0 } else { stat.st_size };
    hasher.update((path.len() as u64).to_le_bytes());
    hasher.update(path);
    hasher.update(format!(
        "{:o} {}:{} {} {size} {}.{}",
        stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev, stat.st_mtime, stat.st_mtime_nsec
    ));
}
