//! What a writable layer takes on disk.

use crate::beneath;
use crate::walk::Walk;
use rustix::io::Errno;
use schema::Failure;
use schema::filesystem::Usage;
use std::collections::HashSet;
use std::os::fd::AsFd;
use std::path::Path;

/// Bytes of the unit of `st_blocks`, stat(2).
const BLOCK: u64 = 512;

/// Blocks and inodes, those with several names once; nothing if there is no layer.
pub(crate) fn usage(upper: &Path) -> Result<Usage, Failure> {
    let top = match beneath::open_root(upper) {
        Err(Errno::NOENT) => return Ok(Usage::default()),
        other => other.map_err(|error| Failure::io(upper.display(), &error.into()))?,
    };
    let own = rustix::fs::fstat(&top).map_err(|error| Failure::io(upper.display(), &error.into()))?;
    let mut usage = Usage { bytes: u64::try_from(own.st_blocks).unwrap_or(0) * BLOCK, inodes: 1 };
    let mut seen = HashSet::new();
    let mut walk = Walk::new(top.as_fd(), &[], None)?;
    while let Some(entry) = walk.next()? {
        let Some(stat) = entry.found else { continue };
        if stat.st_nlink == 1 || beneath::is_directory(&stat) || seen.insert(stat.st_ino) {
            usage.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * BLOCK;
            usage.inodes += 1;
        }
    }
    Ok(usage)
}
