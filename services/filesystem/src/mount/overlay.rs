//! Building an overlay that no mount namespace has yet.

mod lower;

use super::{ATTRIBUTES, Users, tree};
use crate::ids;
use crate::layout::{Layout, make_directory};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, Gid, Mode, Uid};
use rustix::io::{Errno, Result as OsResult};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, mount_change, move_mount,
};
use schema::common::Layer;
use schema::{Code, ContainerId, Failure};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const FILESYSTEM: &str = "overlay";
/// What `mount` shows as the device.
const SOURCE: &str = "cctl";
/// Features that are on by default on some hosts. Redirects and metacopies would make a container's layer
/// mean something only on top of these very layers; an index ties it to their inodes.
const OPTIONS: [(&str, &str); 3] = [("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off")];

/// How the kernel is told the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// One by one with `lowerdir+`, since Linux 6.8.
    Each,
    /// As one string, of which the kernel takes 255 bytes: by short names.
    Joined,
}

impl Mechanism {
    /// Asks the kernel. Fails with `unavailable` if it has no overlayfs.
    pub(crate) fn detect() -> Result<Self, Failure> {
        // Before Linux 6.5 overlayfs takes any option and complains only when it is mounted.
        let checks_options = !takes("no-such-option")?;
        Ok(if checks_options && takes("lowerdir+")? { Self::Each } else { Self::Joined })
    }
}

/// Whether overlayfs takes an option of this name.
fn takes(option: &str) -> Result<bool, Failure> {
    let context = fsopen(FILESYSTEM, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|error| {
        Failure::unavailable(format_args!("the kernel has no overlayfs: {error}")).hint("try `modprobe overlay`")
    })?;
    match fsconfig_set_string(&context, option, "/") {
        Ok(()) => Ok(true),
        Err(Errno::INVAL) => Ok(false),
        Err(error) => Err(Failure::io("asking the kernel about overlayfs", &error.into())),
    }
}

/// Makes the writable layer if it is missing, and an overlay of it on top of the layers. Changes the
/// thread's current directory; with users, also its mount namespace, and whose files it makes from then on.
pub(super) fn build(
    layout: &Layout,
    mechanism: Mechanism,
    id: &ContainerId,
    layers: &[Layer],
    users: Option<&Users>,
) -> Result<OwnedFd, Failure> {
    let directory = layout.container(id);
    writable_layer(layout, &directory, layers)?;
    let strings = match mechanism {
        Mechanism::Each => lower::each(id, layers),
        Mechanism::Joined => lower::joined(&directory, layers)?,
    };
    let base = match mechanism {
        Mechanism::Each => layout.state().to_owned(),
        Mechanism::Joined => lower::directory(&directory),
    };
    if let Some(users) = users {
        map_ids(layout.state(), users)?;
        // The overlay does what it does on disk as whoever has mounted it: as one whose id the layers have, or it could
        // make nothing there.
        ids::act_as_root_of(users.ids)?;
    }
    mount(&base, &strings, ATTRIBUTES).map_err(|error| {
        let error = match (users, error.code) {
            (Some(_), Code::InvalidArgument | Code::Internal) => {
                error.hint("layers with mapped user ids need Linux 5.19; without them, use --userns host")
            }
            _ => error,
        };
        error.context(format_args!("mounting the layers of container {}", id.short()))
    })
}

/// An overlay of the directories `lower`, `upper` and `work` in this one, mapped for these users. As [`build`], it changes the
/// thread; nobody but us may have it.
pub(crate) fn map_and_mount(directory: &Path, users: &Users) -> Result<OwnedFd, Failure> {
    super::attach::leave_shared_state()?;
    map_ids(directory, users)?;
    ids::act_as_root_of(users.ids)?;
    let strings = [("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")];
    mount(directory, &strings.map(|(key, value)| (key, value.to_owned())), ATTRIBUTES)
}

/// Mounts the state directory over itself with the ids of a sandbox, in a mount namespace that only this thread has, and
/// only until it enters the sandbox's. Overlayfs takes no mount that is in no namespace, before Linux 6.15.
fn map_ids(state: &Path, users: &Users) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io(format_args!("mounting {} for a container", state.display()), &error);
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| failed(error.into()))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|error| failed(error.into()))?;
    let mapped = tree::copy(state, ATTRIBUTES, Some(users))
        .map_err(|error| if tree::cannot_map(&error) { tree::unmappable(state) } else { failed(error) })?;
    move_mount(&mapped, "", CWD, state, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(|error| failed(error.into()))
}

/// A read-only overlay of these directories, which are named relative to the state directory, the topmost
/// first. It takes nothing for itself: others may have it mounted at the same time. Changes the thread's
/// current directory.
pub(super) fn read_only(layout: &Layout, mechanism: Mechanism, directories: &[String]) -> Result<OwnedFd, Failure> {
    const FLAGS: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY
        .union(MountAttrFlags::MOUNT_ATTR_NOSUID)
        .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);
    // One directory alone is no overlay.
    let directories = || directories.iter().map(String::as_str).chain(std::iter::once(Layout::EMPTY));
    match mechanism {
        Mechanism::Each => {
            let strings: Vec<_> = directories().map(|directory| ("lowerdir+", directory.to_owned())).collect();
            mount(layout.state(), &strings, ATTRIBUTES | FLAGS)
        }
        Mechanism::Joined => {
            let names = layout.view();
            let targets: Vec<_> = directories().map(|directory| Path::new("../..").join(directory)).collect();
            let lower = lower::linked(&names, targets.into_iter());
            let mounted = lower.and_then(|lower| mount(&names, &[("lowerdir", lower)], ATTRIBUTES | FLAGS));
            fs::remove_dir_all(&names).map_err(|error| Failure::io(names.display(), &error))?;
            mounted
        }
    }
}

/// The name of a layer's directory for [`read_only`].
pub(super) fn of_layer(layer: &Layer) -> String {
    lower::of_layer(layer)
}

fn mount(base: &Path, strings: &[(&str, String)], attributes: MountAttrFlags) -> Result<OwnedFd, Failure> {
    rustix::process::chdir(base)
        .map_err(|error| Failure::io(format_args!("entering {}", base.display()), &error.into()))?;
    let context = fsopen(FILESYSTEM, FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|error| Failure::io("opening overlayfs", &error.into()))?;
    configure(context.as_fd(), strings, attributes).map_err(|error| {
        let why = complaints(&context);
        let failure = Failure::io("overlayfs", &error.into());
        if why.is_empty() { failure } else { failure.context(why) }
    })
}

fn configure(context: BorrowedFd<'_>, strings: &[(&str, String)], attributes: MountAttrFlags) -> OsResult<OwnedFd> {
    fsconfig_set_string(context, "source", SOURCE)?;
    for (key, value) in OPTIONS {
        fsconfig_set_string(context, key, value)?;
    }
    for (key, value) in strings {
        fsconfig_set_string(context, *key, value.as_str())?;
    }
    fsconfig_create(context)?;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// What the kernel has to say about a failed configuration, one line a read.
fn complaints(context: &OwnedFd) -> String {
    let mut lines = Vec::new();
    let mut buffer = [0; 512];
    while let Ok(count) = rustix::io::read(context, &mut buffer[..]) {
        lines.push(String::from_utf8_lossy(&buffer[..count]).trim().to_owned());
    }
    lines.join("; ")
}

/// The root of the overlay looks as the writable layer does: as the topmost layer did.
fn writable_layer(layout: &Layout, directory: &Path, layers: &[Layer]) -> Result<(), Failure> {
    let upper = directory.join("upper");
    make_directory(&directory.join("work"))?;
    if upper.exists() {
        return Ok(());
    }
    let Some(top) = layers.last() else { return Err(Failure::invalid("a root filesystem without layers")) };
    let failed = |error: io::Error| Failure::io(format_args!("making {}", upper.display()), &error);
    let like = fs::metadata(layout.layer(&top.diff_id)).map_err(failed)?;
    let unfinished = directory.join("upper.tmp");
    make_directory(&unfinished)?;
    let set = || -> OsResult<()> {
        let (owner, group) = (Uid::from_raw(like.uid()), Gid::from_raw(like.gid()));
        rustix::fs::chown(&unfinished, Some(owner), Some(group))?;
        rustix::fs::chmod(&unfinished, Mode::from_raw_mode(like.mode()))
    };
    set().map_err(|error| failed(error.into()))?;
    fs::rename(&unfinished, &upper).map_err(failed)
}
