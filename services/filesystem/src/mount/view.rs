//! A container's root filesystem, opened without being mounted anywhere on the host.

use super::attach::{ROOTFS, leave_shared_state};
use super::sandbox::Sandbox;
use super::{Mechanism, holder, overlay};
use crate::layout::Layout;
use crate::{beneath, chain};
use nix::sched::{CloneFlags, setns};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use schema::common::{Layer, SandboxRef};
use schema::filesystem::Place;
use schema::{Code, ContainerId, Failure};
use std::os::fd::OwnedFd;
use std::path::Path;

/// What is to be seen of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// What its processes see, volumes too if it runs.
    Whole,
    /// Image and writable layer, and nothing that is mounted over them.
    Alone,
    /// The same as `Whole`, to be written to.
    Writable,
    /// The image alone.
    Image,
}

/// Opens the root, with `O_PATH`. What it shows stays mounted as long as this descriptor is open. The layers
/// are unpacked. Blocks; must run on a thread of its own, which may end in another mount namespace.
pub(crate) fn open(layout: &Layout, mechanism: Mechanism, place: &Place, view: View) -> Result<OwnedFd, Failure> {
    leave_shared_state()?;
    let Place { id, layers, sandbox, ids: _ } = place;
    match (view, sandbox) {
        (View::Image, _) => image(layout, mechanism, layers),
        (View::Whole | View::Writable, Some(sandbox)) => enter(sandbox),
        (View::Alone, Some(sandbox)) => alone(&enter(sandbox)?),
        (View::Writable, None) => {
            holder::wait(&layout.container(id))?;
            chain::record(layout, id, layers)?;
            overlay::build(layout, mechanism, id, layers, None)
        }
        (View::Whole | View::Alone, None) => stopped(layout, mechanism, id, layers),
    }
}

fn image(layout: &Layout, mechanism: Mechanism, layers: &[Layer]) -> Result<OwnedFd, Failure> {
    let directories: Vec<String> = layers.iter().rev().map(overlay::of_layer).collect();
    overlay::read_only(layout, mechanism, &directories)
}

/// The writable layer is only one more layer to be read.
fn stopped(layout: &Layout, mechanism: Mechanism, id: &ContainerId, layers: &[Layer]) -> Result<OwnedFd, Failure> {
    let mut directories = Vec::new();
    if layout.upper(id).exists() {
        directories.push(format!("containers/{id}/upper"));
    }
    directories.extend(layers.iter().rev().map(overlay::of_layer));
    overlay::read_only(layout, mechanism, &directories)
}

/// A descriptor of a directory goes on to show that mount, wherever it is used.
fn enter(sandbox: &SandboxRef) -> Result<OwnedFd, Failure> {
    let sandbox = Sandbox::open(sandbox).map_err(ended)?;
    let point = sandbox.mount_point().map_err(ended)?;
    setns(sandbox.namespace(), CloneFlags::CLONE_NEWNS)
        .map_err(|error| Failure::io("entering the sandbox's mount namespace", &error.into()))?;
    beneath::open_root(Path::new(point.unwrap_or(ROOTFS))).map_err(opening)
}

/// A copy of the mount of the root without what is mounted on top of it.
fn alone(root: &OwnedFd) -> Result<OwnedFd, Failure> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(root, "", flags).map_err(opening)
}

fn opening(error: Errno) -> Failure {
    Failure::io("opening the container's root filesystem", &error.into())
}

/// The caller takes the container for a running one.
fn ended(failure: Failure) -> Failure {
    match failure.code {
        Code::NotFound => Failure::conflict("the container has just ended").hint("try again"),
        _ => failure,
    }
}
