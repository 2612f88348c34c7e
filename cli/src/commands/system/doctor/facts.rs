//! What this host is and has: looked at and tried, nothing decided. What cannot be read is unknown.

use super::super::program;
use super::overlay;
use rustix::fs::{Access, StatVfsMountFlags, access, statfs, statvfs};
use rustix::process::{Resource, getrlimit};
use schema::Instance;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Namespaces of a container, as /proc/self/ns calls them; the same names are in `user.max_NAME_namespaces`.
const NAMESPACES: [&str; 6] = ["mnt", "pid", "net", "uts", "ipc", "cgroup"];
/// What is installed beside the supervisor.
const PROGRAMS: [&str; 7] =
    ["cctl-shim", "containers", "executor", "filesystem", "image-store", "log-collector", "network"];

/// Everything that the checks look at.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Of the bridge.
    pub(super) bridge: String,
    /// `uname -r`.
    pub(super) kernel: String,
    /// Those that the kernel has, with how many of them there may be.
    pub(super) namespaces: Vec<Namespace>,
    /// Why an overlay cannot be mounted.
    pub(super) overlay: Option<String>,
    /// Why containers cannot have user ids of their own; or why that is not known.
    pub(super) users: Result<Option<String>, String>,
    pub(super) cgroups: Vec<Hierarchy>,
    pub(super) has_seccomp: bool,
    /// Why services cannot be held to paths; or why that is not known.
    pub(super) landlock: Result<Option<String>, String>,
    /// What the network service says, or why it says nothing.
    pub(super) network: Result<Network, String>,
    pub(super) forwarding: Switch,
    pub(super) bridge_calls_firewall: Switch,
    /// The older iptables has rules of its own.
    pub(super) has_old_iptables: bool,
    pub(super) state: Place,
    pub(super) runtime: Place,
    pub(super) limits: Limits,
    /// Programs that are missing, or why none was found.
    pub(super) programs: Result<Vec<String>, String>,
}

#[derive(Clone, Debug)]
pub(super) struct Namespace {
    pub(super) name: &'static str,
    pub(super) exists: bool,
    pub(super) limit: Option<u64>,
}

/// A mounted hierarchy of cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) root: PathBuf,
    pub(super) unified: bool,
    pub(super) controllers: Vec<String>,
    pub(super) writable: bool,
}

/// What `network --probe` prints.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Network {
    pub(super) links: Option<String>,
    pub(super) firewall: Option<String>,
    pub(super) forward: Vec<Chain>,
}

/// A chain of others.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Chain {
    pub(super) family: String,
    pub(super) table: String,
    pub(super) chain: String,
}

/// A switch of the kernel.
#[derive(Clone, Debug, Default)]
pub(super) struct Switch {
    /// None: the kernel does not have it.
    pub(super) value: Option<String>,
    pub(super) writable: bool,
}

/// A directory, or the nearest above it that exists.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The directory itself.
    pub(super) path: PathBuf,
    pub(super) filesystem: String,
    pub(super) read_only: bool,
    /// Bytes.
    pub(super) free: u64,
    pub(super) free_inodes: u64,
    /// 0: as many as there is space for.
    pub(super) inodes: u64,
}

/// None: unknown, or without limit.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    pub(super) pids: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) files: Option<u64>,
    pub(super) files_of_a_process: Option<u64>,
    pub(super) inotify_instances: Option<u64>,
    pub(super) inotify_watches: Option<u64>,
}

/// Looks and tries.
pub(super) fn gather(instance: &Instance) -> Facts {
    let mountinfo = read("/proc/self/mountinfo").unwrap_or_default();
    let supervisor = program::find().map_err(|failure| failure.message);
    Facts {
        bridge: instance.kernel_name(),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        namespaces: NAMESPACES.into_iter().map(namespace).collect(),
        overlay: overlay::try_at(&existing(instance.root())).err(),
        users: supervisor.clone().and_then(|program| probe_users(instance, &program.with_file_name("filesystem"))),
        cgroups: hierarchies(&mountinfo),
        has_seccomp: Path::new("/proc/sys/kernel/seccomp/actions_avail").exists(),
        landlock: supervisor.clone().and_then(|program| probe_landlock(instance, &program)),
        network: supervisor.clone().and_then(|program| probe(instance, &program.with_file_name("network"))),
        forwarding: switch("net/ipv4/ip_forward"),
        bridge_calls_firewall: switch("net/bridge/bridge-nf-call-iptables"),
        has_old_iptables: read("/proc/net/ip_tables_names")
            .is_some_and(|names| names.lines().any(|name| name == "filter")),
        state: place(instance.root()),
        runtime: place(instance.run()),
        limits: Limits {
            pids: number("kernel/pid_max"),
            threads: number("kernel/threads-max"),
            files: number("fs/file-max"),
            files_of_a_process: getrlimit(Resource::Nofile).maximum,
            inotify_instances: number("fs/inotify/max_user_instances"),
            inotify_watches: number("fs/inotify/max_user_watches"),
        },
        programs: supervisor.map(|program| missing(&program)),
    }
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

fn sysctl(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name)
}

fn number(name: &str) -> Option<u64> {
    read(sysctl(name))?.parse().ok()
}

fn switch(name: &str) -> Switch {
    let path = sysctl(name);
    Switch { value: read(&path), writable: access(&path, Access::WRITE_OK).is_ok() }
}

fn namespace(name: &'static str) -> Namespace {
    let exists = Path::new("/proc/self/ns").join(name).symlink_metadata().is_ok();
    Namespace { name, exists, limit: number(&format!("user/max_{name}_namespaces")) }
}

/// The nearest directory above, or the directory itself, that exists.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

fn place(path: &Path) -> Place {
    let at = existing(path);
    let filesystem = statfs(&at).map_or_else(|_| "unknown".to_owned(), |found| filesystem_name(found.f_type));
    let Ok(found) = statvfs(&at) else { return Place { path: path.to_owned(), filesystem, ..Place::default() } };
    Place {
        path: path.to_owned(),
        filesystem,
        read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
        free: found.f_bavail.saturating_mul(found.f_frsize),
        free_inodes: found.f_favail,
        inodes: found.f_files,
    }
}

/// By its number (statfs(2)).
#[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)]
fn filesystem_name(number: impl Into<i64>) -> String {
    let number = number.into() as u64 & 0xffff_ffff;
    let known = [
        (0xef53, "ext4"),
        (0x5846_5342, "xfs"),
        (0x9123_683e, "btrfs"),
        (0x0102_1994, "tmpfs"),
        (0x8584_58f6, "ramfs"),
        (0x794c_7630, "overlay"),
        (0x2fc1_2fc1, "zfs"),
        (0x6969, "nfs"),
        (0x6573_5546, "fuse"),
        (0xf2f5_2010, "f2fs"),
        (0xca45_1a4e, "bcachefs"),
    ];
    known
        .iter()
        .find(|(known, _)| *known == number)
        .map_or_else(|| format!("{number:#x}"), |(_, name)| (*name).to_owned())
}

/// From mountinfo (proc(5)): the hierarchies, each once.
fn hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
        let fields: Vec<&str> = filesystem.split(' ').collect();
        let (Some(root), [kind, _, options]) = (mount.split(' ').nth(4), fields.as_slice()) else { continue };
        let unified = match *kind {
            "cgroup2" => true,
            "cgroup" => false,
            _ => continue,
        };
        let root = PathBuf::from(root);
        let words =
            if unified { read(root.join("cgroup.controllers")).unwrap_or_default() } else { (*options).to_owned() };
        let controllers: Vec<String> = words.split([',', ' ']).map(str::to_owned).collect();
        if found.iter().any(|known| known.unified == unified && (unified || known.controllers == controllers)) {
            continue;
        }
        let writable = access(&root, Access::WRITE_OK).is_ok();
        found.push(Hierarchy { root, unified, controllers, writable });
    }
    found
}

fn probe(instance: &Instance, program: &Path) -> Result<Network, String> {
    probed(instance, Command::new(program).arg("--probe"))
}

/// What the filesystem service says, where the layers of containers are, or will be.
fn probe_users(instance: &Instance, program: &Path) -> Result<Option<String>, String> {
    #[derive(Deserialize)]
    struct Users {
        users: Option<String>,
    }
    let found: Users = probed(instance, Command::new(program).arg("--probe").arg(existing(instance.root())))?;
    Ok(found.users)
}

/// What the supervisor says.
fn probe_landlock(instance: &Instance, program: &Path) -> Result<Option<String>, String> {
    #[derive(Deserialize)]
    struct Landlock {
        landlock: Option<String>,
    }
    let found: Landlock = probed(instance, Command::new(program).arg("--probe"))?;
    Ok(found.landlock)
}

/// The answer of a program of ours, which is JSON.
fn probed<T: DeserializeOwned>(instance: &Instance, command: &mut Command) -> Result<T, String> {
    let program = Path::new(command.get_program()).display().to_string();
    let failed = |error: &dyn std::fmt::Display| format!("{program} --probe: {error}");
    let output = command
        .env("CCTL_ROOT", instance.root())
        .env("CCTL_RUN", instance.run())
        .output()
        .map_err(|error| failed(&error))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr).trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(&error))
}

/// Programs that are not where the supervisor is.
fn missing(supervisor: &Path) -> Vec<String> {
    let path = |name: &str| supervisor.with_file_name(name);
    let is_missing = |name: &&str| access(path(name), Access::EXEC_OK).is_err();
    PROGRAMS.iter().filter(|name| is_missing(name)).map(|name| path(name).display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_once() {
        let mountinfo = "30 29 0:27 / /none/unified rw - cgroup2 cgroup2 rw,nsdelegate\n\
            31 29 0:28 / /none/cpu rw - cgroup cgroup rw,cpu,cpuacct\n32 29 0:28 / /elsewhere rw - cgroup cgroup rw,cpu,cpuacct\n\
            33 29 0:29 / /proc rw - proc proc rw\n";
        let found = hierarchies(mountinfo);
        let roots: Vec<_> =
            found.iter().map(|hierarchy| (hierarchy.root.to_str().unwrap(), hierarchy.unified)).collect();
        assert_eq!(roots, [("/none/unified", true), ("/none/cpu", false)]);
        assert!(found[1].controllers.contains(&"cpu".to_owned()) && !found[1].writable);
    }

    #[test]
    fn file_systems_have_names() {
        assert_eq!(filesystem_name(0x0102_1994_i64), "tmpfs");
        assert_eq!(filesystem_name(1_i64), "0x1");
        assert_eq!(place(Path::new("/nothing/is/here")).path, Path::new("/nothing/is/here"));
    }
}
