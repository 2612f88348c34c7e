//! Mounting a root filesystem in a sandbox, and nowhere else.
//!
//! Everything is prepared as detached mounts, which no mount namespace has: the overlay, the volumes, the
//! three files of /etc. Then a thread of its own enters the sandbox's mount namespace, puts them together at
//! a place where nobody looks, and moves the whole to /rootfs at once. A process that is killed on the way
//! leaves at most the unfinished place, which the next attempt clears: /rootfs is complete or absent.

mod attach;
mod holder;
mod memory;
mod mountinfo;
mod overlay;
mod sandbox;
mod tree;
mod view;

pub use overlay::Mechanism;
pub(crate) use overlay::map_and_mount;
pub(crate) use sandbox::Users;
pub(crate) use tree::{Tree, of_file};
pub(crate) use view::{View, open};

use crate::layout::{Layout, make_directory};
use crate::names;
use rustix::mount::MountAttrFlags;
use sandbox::Sandbox;
use schema::common::SandboxRef;
use schema::filesystem::MountSpec;
use schema::{ContainerId, Failure};

/// Mounts the root filesystem of a container. Its layers are unpacked. Done also if it is mounted already.
/// Blocks; must run on a thread of its own, which ends in another mount namespace.
pub(crate) fn mount(
    layout: &Layout,
    mechanism: Mechanism,
    id: &ContainerId,
    sandbox: &SandboxRef,
    spec: &MountSpec,
) -> Result<(), Failure> {
    let sandbox = Sandbox::open(sandbox)?;
    if sandbox.is_mounted()? {
        return Ok(());
    }
    let directory = layout.container(id);
    make_directory(&directory)?;
    holder::take(&directory, sandbox.reference())?;
    attach::leave_shared_state()?;
    let MountSpec { layers, volumes, read_only, tmpfs, ids } = spec;
    let users = ids.map(|ids| sandbox.users(ids)).transpose()?;
    let users = users.as_ref();
    let mut trees: Vec<Tree> = volumes.iter().map(|volume| tree::of_volume(volume, users)).collect::<Result<_, _>>()?;
    for tmpfs in tmpfs {
        trees.push(memory::tree(tmpfs, *ids)?);
    }
    // What is higher up would hide what is below.
    trees.sort_by_key(Tree::depth);
    let taken =
        volumes.iter().map(|volume| volume.target.as_str()).chain(tmpfs.iter().map(|tmpfs| tmpfs.target.as_str()));
    trees.extend(names::trees(&directory, &taken.collect::<Vec<_>>(), *read_only, users)?);
    let overlay = overlay::build(layout, mechanism, id, layers, users)?;
    attach::attach(&sandbox, overlay, &trees)
}

/// Whether a sandbox that lives has a container's writable layer. One whose monitor was replaced is not found.
pub(crate) fn is_held(layout: &Layout, id: &ContainerId) -> Result<bool, Failure> {
    holder::is_held(&layout.container(id))
}

/// Devices in what we mount mean nothing: a container's devices are those of its own /dev.
const ATTRIBUTES: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODEV;
