//! Access control lists of files (acl(5)), as the kernel takes them.

use rustix::fs::{XattrFlags, lgetxattr, lremovexattr, lsetxattr};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

const NAME: &str = "system.posix_acl_access";
const VERSION: u32 = 2;
/// Of an entry that is about nobody in particular.
const NOBODY: u32 = u32::MAX;
const READ_WRITE: u16 = 6;

/// A list by which the owner, root's group, and these may read and write, and nobody else.
pub(crate) fn list(users: &BTreeSet<u32>, groups: &BTreeSet<u32>) -> Vec<u8> {
    let mut list = VERSION.to_le_bytes().to_vec();
    let mut entry = |tag: u16, permissions: u16, id: u32| {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    };
    // Tags of linux/posix_acl.h, in the order that the kernel demands.
    entry(0x01, READ_WRITE, NOBODY);
    users.iter().for_each(|user| entry(0x02, READ_WRITE, *user));
    entry(0x04, READ_WRITE, NOBODY);
    groups.iter().for_each(|group| entry(0x08, READ_WRITE, *group));
    entry(0x10, READ_WRITE, NOBODY);
    entry(0x20, 0, NOBODY);
    list
}

/// Gives a file this list, if it has not got it.
pub(crate) fn set(path: &Path, list: &[u8]) -> io::Result<()> {
    let mut now = vec![0; list.len() + 1];
    match lgetxattr(path, NAME, &mut now) {
        Ok(length) if now.get(..length) == Some(list) => Ok(()),
        _ => Ok(lsetxattr(path, NAME, list, XattrFlags::empty())?),
    }
}

/// Takes its list from a file, if it has one.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match lremovexattr(path, NAME) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_kernel_takes_a_list_and_gives_it_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "").unwrap();
        let list = list(&[1000, 5].into(), &[70].into());
        for _ in 0..2 {
            set(&path, &list).unwrap();
            assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o660);
        }
        let mut now = vec![0; 100];
        assert_eq!(lgetxattr(&path, NAME, &mut now).unwrap(), list.len());
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(lgetxattr(&path, NAME, &mut now).is_err());
    }
}
