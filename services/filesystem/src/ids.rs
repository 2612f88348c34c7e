//! User ids of containers that have a user namespace. On disk, files belong to the container's own ids; only what is
//! mounted for it, and what is seen there, has the host's.

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::thread::{capabilities, set_capabilities};
use schema::Failure;
use schema::common::IdRange;
use std::io;

/// Who owns what belongs to nobody of the container, in the eyes of the container (kernel.overflowuid).
const NOBODY: u32 = 65534;
/// The attribute with file capabilities.
const CAPABILITY: &[u8] = b"security.capability";
/// struct `vfs_ns_cap_data` (linux/capability.h) without its last field, the id of root: revision 2 is that.
const REVISION_2: usize = 20;
const REVISION_3: usize = 24;

/// Has this thread make files that belong to a container's root, for good. It keeps all power over files.
pub(crate) fn act_as_root_of(ids: IdRange) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io("making files for a container's root", &error);
    let before = capabilities(None).map_err(|error| failed(error.into()))?;
    let (uid, gid) = (Uid::from_raw(ids.base()), Gid::from_raw(ids.base()));
    setfsgid(gid);
    setfsuid(uid);
    // They answer with what was so before, not with an error.
    if setfsgid(gid) != gid || setfsuid(uid) != uid {
        return Err(failed(io::ErrorKind::PermissionDenied.into()));
    }
    // Who is not root any more has lost some.
    set_capabilities(None, before).map_err(|error| failed(error.into()))
}

/// An id as the container knows it.
pub(crate) fn inside(ids: Option<IdRange>, id: u32) -> u32 {
    ids.map_or(id, |ids| ids.inside(id).unwrap_or(NOBODY))
}

/// An extended attribute as the container knows it: with file capabilities, the host sees whose root they mean.
pub(crate) fn attribute_inside(ids: Option<IdRange>, name: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    if let Some(ids) = ids
        && name == CAPABILITY
        && value.len() == REVISION_3
        && value.ends_with(&ids.base().to_le_bytes())
    {
        value.truncate(REVISION_2);
        value[3] = 2;
    }
    value
}

/// The same the other way.
pub(crate) fn attribute_outside(ids: Option<IdRange>, name: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    if let Some(ids) = ids
        && name == CAPABILITY
        && value.len() == REVISION_2
        && value[3] == 2
    {
        value.extend(ids.base().to_le_bytes());
        value[3] = 3;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_capabilities_are_meant_is_told_to_the_kernel_alone() {
        let ids = IdRange::new(0x2000_0000);
        let mut portable = vec![1, 0, 0, 2];
        portable.extend([7; 16]);
        let shown = attribute_outside(ids, CAPABILITY, portable.clone());
        assert_eq!((shown.len(), &shown[..4], &shown[20..]), (24, &[1, 0, 0, 3][..], &[0, 0, 0, 0x20][..]));
        assert_eq!(attribute_inside(ids, CAPABILITY, shown.clone()), portable);
        for other in [None, IdRange::new(0x3000_0000)] {
            assert_eq!(attribute_inside(other, CAPABILITY, shown.clone()), shown);
        }
        assert_eq!(attribute_outside(ids, b"user.x", portable.clone()), portable);
        assert_eq!(attribute_outside(None, CAPABILITY, portable.clone()), portable);
    }

    #[test]
    fn what_is_not_the_containers_is_nobodys() {
        let ids = IdRange::new(0x2000_0000);
        assert_eq!([0x2000_0000, 0x2000_ffff, 0x2001_0000, 0].map(|id| inside(ids, id)), [0, 65535, NOBODY, NOBODY]);
        assert_eq!(inside(None, 7), 7);
    }
}
