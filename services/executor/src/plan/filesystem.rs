//! What is mounted in a container beside its root filesystem, and what is hidden of it.

use super::{Host, Plan, c_string};
use crate::devices::Node;
use crate::security::{Confinement, Surroundings};
use schema::Failure;
use schema::common::IdRange;
use shim_protocol::plan::Step;
use std::ffi::CStr;

const RDONLY: u64 = libc::MS_RDONLY;
const NOSUID: u64 = libc::MS_NOSUID;
const NODEV: u64 = libc::MS_NODEV;
const NOEXEC: u64 = libc::MS_NOEXEC;

/// Bytes of /dev/shm, if nothing is said.
const SHM_SIZE: u64 = 64 << 20;

/// Kernel interfaces that tell of the host, or change it.
const MASKED: [&CStr; 12] = [
    c"/proc/acpi",
    c"/proc/asound",
    c"/proc/interrupts",
    c"/proc/kcore",
    c"/proc/keys",
    c"/proc/latency_stats",
    c"/proc/sched_debug",
    c"/proc/scsi",
    c"/proc/timer_list",
    c"/proc/timer_stats",
    c"/sys/devices/virtual/powercap",
    c"/sys/firmware",
];

/// Kernel interfaces that may be read.
const READ_ONLY: [&CStr; 5] = [c"/proc/bus", c"/proc/fs", c"/proc/irq", c"/proc/sys", c"/proc/sysrq-trigger"];

/// Device nodes: path, major and minor number.
const DEVICES: [(&CStr, u32, u32); 6] = [
    (c"/dev/null", 1, 3),
    (c"/dev/zero", 1, 5),
    (c"/dev/full", 1, 7),
    (c"/dev/random", 1, 8),
    (c"/dev/urandom", 1, 9),
    (c"/dev/tty", 5, 0),
];

/// Symbolic links in /dev: what they point to, and where they are.
const LINKS: [(&CStr, &CStr); 6] = [
    (c"/proc/self/fd", c"/dev/fd"),
    (c"/proc/self/fd/0", c"/dev/stdin"),
    (c"/proc/self/fd/1", c"/dev/stdout"),
    (c"/proc/self/fd/2", c"/dev/stderr"),
    (c"/proc/kcore", c"/dev/core"),
    (c"pts/ptmx", c"/dev/ptmx"),
];

/// The group of terminals, in every distribution.
const TTY: u32 = 5;

/// Adds it all. The old root is gone by then, so that no symbolic link of the image leads anywhere else; and the
/// three mount points that belong to the image must be real directories.
pub(super) fn add(
    plan: &mut Plan,
    host: &Host,
    confinement: &Confinement,
    ids: Option<IdRange>,
) -> Result<(), Failure> {
    let Surroundings { system_paths, privileged, read_only_root: _, devices: given, shm_size } =
        &confinement.surroundings;
    let read_only = if *privileged { 0 } else { RDONLY };
    for path in [c"/proc", c"/sys", c"/dev"] {
        plan.add(&Step::Directory { path, mode: 0o755 });
    }
    mount(plan, c"proc", c"/proc", NOSUID | NODEV | NOEXEC, c"", false);
    // With the host's network namespace, this shows the host's interfaces, as they are the container's too.
    mount(plan, c"sysfs", c"/sys", read_only | NOSUID | NODEV | NOEXEC, c"", false);
    if host.pure_cgroups {
        mount(plan, c"cgroup2", c"/sys/fs/cgroup", read_only | NOSUID | NODEV | NOEXEC, c"", false);
    }
    devices(plan, *shm_size, ids)?;
    for node in given {
        device(plan, node, ids)?;
    }
    for (name, value) in &confinement.sysctls {
        let path = c_string(&format!("/proc/sys/{}", name.replace('.', "/")))?;
        plan.add(&Step::Write { path: &path, content: value.as_bytes() });
    }
    if !system_paths {
        for path in MASKED {
            plan.add(&Step::Mask { path });
        }
        for path in READ_ONLY {
            plan.add(&Step::ReadOnly { path, flags: NOSUID | NODEV | NOEXEC });
        }
    }
    Ok(())
}

/// Makes the root what it is to be, when nothing is made there any more.
pub(super) fn seal(plan: &mut Plan, surroundings: &Surroundings) {
    let Surroundings { privileged, read_only_root, .. } = surroundings;
    if *privileged || *read_only_root {
        let nodev = if *privileged { 0 } else { NODEV };
        let read_only = if *read_only_root { RDONLY } else { 0 };
        let flags = libc::MS_REMOUNT | libc::MS_BIND | nodev | read_only;
        plan.add(&Step::Mount { source: c"none", target: c"/", kind: c"", flags, data: c"", optional: false });
    }
}

/// A device of the host, in directories that are made for it. It belongs in the container to whom it belongs on the host.
fn device(plan: &mut Plan, node: &Node, ids: Option<IdRange>) -> Result<(), Failure> {
    let outside = |id: u32| ids.map_or(id, |ids| ids.outside(id).unwrap_or(ids.base()));
    let Node { names, mode, uid, gid, device, access: _ } = node;
    let mut path = "/dev".to_owned();
    for (place, name) in (1..).zip(names) {
        path = format!("{path}/{name}");
        let path = c_string(&path)?;
        if place < names.len() {
            plan.add(&Step::Directory { path: &path, mode: 0o755 });
        } else {
            plan.add(&Step::Node { path: &path, mode: *mode, device: *device });
            plan.add(&Step::Give { path: &path, uid: outside(*uid), gid: outside(*gid) });
        }
    }
    Ok(())
}

fn mount(plan: &mut Plan, kind: &CStr, target: &CStr, flags: u64, data: &CStr, optional: bool) {
    plan.add(&Step::Mount { source: kind, target, kind, flags, data, optional });
}

fn devices(plan: &mut Plan, shm_size: u64, ids: Option<IdRange>) -> Result<(), Failure> {
    mount(plan, c"tmpfs", c"/dev", NOSUID | NOEXEC | libc::MS_STRICTATIME, c"mode=0755,size=65536k", false);
    for (path, major, minor) in DEVICES {
        let mode = libc::S_IFCHR | 0o666;
        plan.add(&Step::Node { path, mode, device: libc::makedev(major, minor) });
    }
    for (content, path) in LINKS {
        plan.add(&Step::Link { content, path });
    }
    for path in [c"/dev/pts", c"/dev/shm", c"/dev/mqueue"] {
        plan.add(&Step::Directory { path, mode: 0o755 });
    }
    let gid = ids.and_then(|ids| ids.outside(TTY)).unwrap_or(TTY);
    let pts = c_string(&format!("newinstance,ptmxmode=0666,mode=0620,gid={gid}"))?;
    mount(plan, c"devpts", c"/dev/pts", NOSUID | NOEXEC, &pts, false);
    let shm_size = if shm_size == 0 { SHM_SIZE } else { shm_size };
    let shm = c_string(&format!("mode=1777,size={shm_size}"))?;
    mount(plan, c"tmpfs", c"/dev/shm", NOSUID | NODEV | NOEXEC, &shm, false);
    mount(plan, c"mqueue", c"/dev/mqueue", NOSUID | NODEV | NOEXEC, c"", true);
    // Their roots belong to nobody of the container otherwise.
    for path in [c"/dev/pts", c"/dev/mqueue"] {
        if let Some(ids) = ids {
            plan.add(&Step::Give { path, uid: ids.base(), gid: ids.base() });
        }
    }
    Ok(())
}
