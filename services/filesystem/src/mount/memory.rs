//! Filesystems in memory.

use super::tree::{Tree, of_filesystem};
use rustix::io::{Errno, Result as OsResult};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen};
use schema::Failure;
use schema::common::IdRange;
use schema::filesystem::Tmpfs;
use std::os::fd::OwnedFd;

/// An empty one, that no mount namespace has yet, for a container with these ids on the host.
pub(super) fn tree(tmpfs: &Tmpfs, ids: Option<IdRange>) -> Result<Tree, Failure> {
    let mount = make(tmpfs, ids).map_err(|error| match error {
        Errno::INVAL => {
            Failure::invalid(format_args!("the tmpfs at {} cannot be made as it was asked for", tmpfs.target))
                .hint("see its size, mode, uid and gid")
        }
        _ => Failure::io(format_args!("making the tmpfs at {}", tmpfs.target), &error.into()),
    })?;
    Ok(of_filesystem(mount, tmpfs.target.clone()))
}

fn make(tmpfs: &Tmpfs, ids: Option<IdRange>) -> OsResult<OwnedFd> {
    let outside = |id: u32| ids.map_or(Some(id), |ids| ids.outside(id)).ok_or(Errno::INVAL);
    let Tmpfs { target: _, size, mode, uid, gid, read_only, exec, suid, dev } = tmpfs;
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "tmpfs")?;
    let numbers =
        [("mode", format!("{mode:o}")), ("uid", outside(*uid)?.to_string()), ("gid", outside(*gid)?.to_string())];
    for (key, value) in numbers.into_iter().chain((*size != 0).then(|| ("size", size.to_string()))) {
        fsconfig_set_string(&context, key, value.as_str())?;
    }
    fsconfig_create(&context)?;
    let attributes = [
        (*read_only, MountAttrFlags::MOUNT_ATTR_RDONLY),
        (!exec, MountAttrFlags::MOUNT_ATTR_NOEXEC),
        (!suid, MountAttrFlags::MOUNT_ATTR_NOSUID),
        (!dev, MountAttrFlags::MOUNT_ATTR_NODEV),
    ];
    let attributes = attributes.into_iter().filter_map(|(set, attribute)| set.then_some(attribute)).collect();
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}
