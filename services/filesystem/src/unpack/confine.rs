//! What a process gives up before it reads a byte of an archive: all of the host's files but the directory that it fills,
//! all capabilities but those for owners, modes and devices, and all system calls but those for files.

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::process::{
    Resource, Rlimit, Signal, chroot, fchdir, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};
use schema::Failure;
use seccomp::{Filter, Machine};
use std::io;
use std::os::fd::OwnedFd;

/// What an archive's owners, modes, devices and file capabilities need.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::SETFCAP);
/// Address space in bytes: no decompressor that we have needs a quarter of it.
const MEMORY: u64 = 1 << 30;
/// Seconds on a CPU: far more than the largest archive takes.
const TIME: u64 = 3600;

/// What is left.
pub(super) struct Confined {
    /// The directory that is filled: the root of this process.
    pub(super) root: OwnedFd,
    /// What the working directory shows, as long as this is open: the descriptors of this process, by their numbers.
    _descriptors: OwnedFd,
}

/// Confines this process, which has one thread, and dies with `parent`.
pub(super) fn confine(parent: i32, root: &OwnedFd) -> Result<Confined, Failure> {
    confine_to(parent, root).map_err(|error| Failure::io("confining the process that unpacks", &error))
}

fn confine_to(parent: i32, root: &OwnedFd) -> io::Result<Confined> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Modes are what archives say.
    rustix::process::umask(Mode::empty());
    // It may have died before the signal was set.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        return Err(io::Error::other("whoever asked for it has ended"));
    }
    for (resource, most) in [(Resource::As, MEMORY), (Resource::Cpu, TIME), (Resource::Core, 0)] {
        let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    // Who needs too much memory is ended before the service is. A host without memory limits may not have the file.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    // A mount of its own: there is no way from it to the rest of /proc.
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let descriptors = open_tree(CWD, "/proc/self/fd", flags)?;
    fchdir(root)?;
    chroot(".")?;
    fchdir(&descriptors)?;
    let root = rustix::fs::open("/", OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let kept = KEPT & capabilities(None)?.permitted;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: none })?;
    set_no_new_privs(true)?;
    Filter::built_in("unpack", Machine::CURRENT).map_err(io::Error::other)?.install()?;
    Ok(Confined { root, _descriptors: descriptors })
}
