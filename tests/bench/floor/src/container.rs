//! A container, from its first system call to its last.

use crate::netlink::{Message, Netlink, kind};
use crate::sys;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat, symlink};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount, mount_bind, mount_change, mount_remount, move_mount,
    unmount,
};
use rustix::process::{Pid, WaitOptions, chdir, pivot_root, waitpid};
use std::ffi::CString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const BRIDGE: &[u8] = b"floor0\0";
const UP: u32 = 1;
const NOTHING: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
/// What cctl hides, and what it lets be read only.
const MASKED: [&str; 12] = [
    "proc/acpi",
    "proc/asound",
    "proc/interrupts",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/sched_debug",
    "proc/scsi",
    "proc/timer_list",
    "proc/timer_stats",
    "sys/devices/virtual/powercap",
    "sys/firmware",
];
const READ_ONLY: [&str; 5] = ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

/// What all containers share: an image, a bridge.
pub struct Ground {
    directory: PathBuf,
    cgroups: Vec<PathBuf>,
    bridge: Option<(Netlink, u32)>,
}

impl Ground {
    /// Makes it.
    pub fn make(bridged: bool, cgroups: Vec<PathBuf>) -> io::Result<Self> {
        let now = std::time::UNIX_EPOCH.elapsed().map_err(io::Error::other)?.as_nanos();
        let directory = env::temp_dir().join(format!("floor-{now:x}"));
        fs::create_dir(&directory)?;
        let mut ground = Self { directory: directory.clone(), cgroups, bridge: None };
        let image = directory.join("image");
        for name in ["bin", "dev", "proc", "sys", "etc"] {
            fs::create_dir_all(image.join(name))?;
        }
        fs::copy("/bin/busybox", image.join("bin/busybox"))?;
        symlink("busybox", image.join("bin/true"))?;
        for name in ["hosts", "hostname", "resolv.conf"] {
            fs::write(image.join("etc").join(name), "")?;
            fs::write(directory.join(name), "localhost\n")?;
        }
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        if bridged {
            ground.bridge = Some(bridge()?);
        }
        Ok(ground)
    }

    fn cgroups(&self, number: usize) -> impl Iterator<Item = PathBuf> {
        self.cgroups.iter().map(move |cgroup| cgroup.join(format!("floor-{number}")))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some((netlink, index)) = &self.bridge {
            let _ = netlink.ask([Message::link(kind::DELETE_LINK, *index, 0)]);
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn index(name: &[u8]) -> io::Result<u32> {
    let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
    let text = fs::read_to_string(format!("/sys/class/net/{name}/ifindex"))?;
    text.trim().parse().map_err(io::Error::other)
}

fn bridge() -> io::Result<(Netlink, u32)> {
    let netlink = Netlink::open()?;
    netlink.ask([Message::link(kind::NEW_LINK, 0, 0)
        .with(3, BRIDGE)
        .nested(18, &[], |inner| inner.with(1, b"bridge\0"))])?;
    // The file system of the namespace may not show it: it was mounted elsewhere.
    let index = index(BRIDGE).or_else(|_| sysfs_index())?;
    netlink.ask([Message::link(kind::NEW_LINK, index, UP), address(index, [10, 213, 0, 1])])?;
    Ok((netlink, index))
}

/// By a sysfs of this network namespace.
fn sysfs_index() -> io::Result<u32> {
    mount("sysfs", "/sys", "sysfs", NOTHING, None)?;
    let found = index(BRIDGE);
    unmount("/sys", UnmountFlags::DETACH)?;
    found
}

/// An address of /16.
fn address(index: u32, address: [u8; 4]) -> Message {
    let mut header = [2, 16, 0, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_le_bytes());
    Message::new(kind::NEW_ADDRESS, &header).with(2, &address).with(1, &address)
}

/// One of them, running.
pub struct Container {
    pid: Pid,
    number: usize,
    files: PathBuf,
}

impl Container {
    /// Makes it and lets it run.
    pub fn start(ground: &Ground, number: usize) -> io::Result<Self> {
        let files = ground.directory.join(format!("{number}"));
        for name in ["upper", "work", "root"] {
            fs::create_dir_all(files.join(name))?;
        }
        for cgroup in ground.cgroups(number) {
            fs::create_dir(&cgroup)?;
        }
        let overlay = overlay(&ground.directory.join("image"), &files)?;
        let (begin, go) = io::pipe()?;
        // A process is born in its cgroup of v2: moving it costs milliseconds.
        let unified = ground.cgroups(number).find(|cgroup| cgroup.join("cgroup.controllers").exists());
        let born = unified.as_deref().map(fs::File::open).transpose()?;
        let Some(pid) = sys::fork(born.as_ref().map(AsFd::as_fd))? else {
            drop(go);
            let Err(error) = inside(begin, &overlay, ground, number, &files);
            eprintln!("floor: in the container: {error}");
            std::process::exit(1);
        };
        drop(begin);
        for cgroup in ground.cgroups(number).filter(|cgroup| Some(cgroup) != unified.as_ref()) {
            fs::write(cgroup.join("cgroup.procs"), pid.to_string())?;
        }
        if let Some((netlink, bridge)) = &ground.bridge {
            let name = format!("fl{number}\0");
            netlink.ask([Message::link(kind::NEW_LINK, 0, UP)
                .with(3, name.as_bytes())
                .with(10, &bridge.to_le_bytes())
                .nested(18, &[], |info| {
                    info.with(1, b"veth\0").nested(2, &[], |data| {
                        let pid = pid.as_raw_nonzero().get() as u32;
                        data.nested(1, &[0; 16], |peer| peer.with(3, b"eth0\0").with(19, &pid.to_le_bytes()))
                    })
                })])?;
        }
        (&go).write_all(b"x")?;
        Ok(Self { pid, number, files })
    }

    /// Waits for its end, and removes what the kernel leaves.
    pub fn end(self, ground: &Ground) -> io::Result<()> {
        let status = waitpid(Some(self.pid), WaitOptions::empty())?.map(|(_, status)| status);
        if status.and_then(|status| status.exit_status()) != Some(0) {
            return Err(io::Error::other(format!("the container ended with {status:?}")));
        }
        for cgroup in ground.cgroups(self.number) {
            fs::remove_dir(&cgroup)?;
        }
        fs::remove_dir_all(&self.files)
    }
}

fn overlay(image: &Path, files: &Path) -> io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "lowerdir", image)?;
    fsconfig_set_string(&context, "upperdir", files.join("upper"))?;
    fsconfig_set_string(&context, "workdir", files.join("work"))?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NODEV)?)
}

/// What the first process of a container does before it is the user's.
fn inside(
    mut begin: impl Read,
    overlay: &OwnedFd,
    ground: &Ground,
    number: usize,
    files: &Path,
) -> io::Result<std::convert::Infallible> {
    begin.read_exact(&mut [0])?;
    if ground.bridge.is_some() {
        let number = number + 2;
        let [_, _, high, low] = (number as u32).to_be_bytes();
        // The loopback is 1; the other came second.
        let gateway = Message::new(kind::NEW_ROUTE, &[2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]).with(5, &[10, 213, 0, 1]);
        Netlink::open()?.ask([
            Message::link(kind::NEW_LINK, 1, UP),
            Message::link(kind::NEW_LINK, 0, UP).with(3, b"eth0\0"),
            address(eth0()?, [10, 213, high, low]),
            gateway,
        ])?;
    }
    rustix::system::sethostname(b"floor")?;
    let root = files.join("root");
    move_mount(overlay, "", CWD, &root, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    for name in ["hosts", "hostname", "resolv.conf"] {
        mount_bind(ground.directory.join(name), root.join("etc").join(name))?;
    }
    chdir(&root)?;
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    mounts()?;
    sys::filter()?;
    sys::drop_capabilities()?;
    Err(Command::new("/bin/true").env_clear().exec())
}

/// The number of the interface, by the socket of the namespace.
fn eth0() -> io::Result<u32> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    Ok(rustix::net::netdevice::name_to_index(&socket, "eth0")?)
}

fn mounts() -> io::Result<()> {
    mount("proc", "proc", "proc", NOTHING, None)?;
    mount("sysfs", "sys", "sysfs", NOTHING | MountFlags::RDONLY, None)?;
    let options = |text: &str| CString::new(text).ok();
    mount("tmpfs", "dev", "tmpfs", MountFlags::NOSUID, options("mode=0755").as_deref())?;
    for (name, major, minor) in
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)]
    {
        let mode = Mode::from_raw_mode(0o666);
        mknodat(CWD, Path::new("dev").join(name), FileType::CharacterDevice, mode, makedev(major, minor))?;
    }
    for name in ["dev/pts", "dev/shm", "dev/mqueue"] {
        fs::create_dir(name)?;
    }
    mount(
        "devpts",
        "dev/pts",
        "devpts",
        MountFlags::NOSUID,
        options("newinstance,ptmxmode=0666,mode=0620").as_deref(),
    )?;
    mount("shm", "dev/shm", "tmpfs", NOTHING, options("mode=1777,size=64m").as_deref())?;
    mount("mqueue", "dev/mqueue", "mqueue", NOTHING, None)?;
    for (from, to) in [
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
        ("/proc/kcore", "core"),
        ("pts/ptmx", "ptmx"),
    ] {
        symlink(from, Path::new("dev").join(to))?;
    }
    for path in MASKED {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => mount("tmpfs", path, "tmpfs", NOTHING | MountFlags::RDONLY, None)?,
            Ok(_) => mount_bind("dev/null", path)?,
            Err(_) => {}
        }
    }
    for path in READ_ONLY {
        if fs::metadata(path).is_ok() {
            mount_bind(path, path)?;
            mount_remount(path, NOTHING | MountFlags::RDONLY | MountFlags::BIND, c"")?;
        }
    }
    Ok(())
}
