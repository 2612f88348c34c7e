//! Which hierarchies of cgroups the host has, and where.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What limits a kind of resource, or stops processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// Memory, swap with it.
    Memory,
    /// Time on CPUs.
    Cpu,
    /// Processes and threads.
    Pids,
    /// Of v2, and only counted.
    Io,
    /// Of v1; on v2 every cgroup can be frozen.
    Freezer,
}

impl Controller {
    const ALL: [Self; 5] = [Self::Memory, Self::Cpu, Self::Pids, Self::Io, Self::Freezer];

    /// As the kernel calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
            Self::Io => "io",
            Self::Freezer => "freezer",
        }
    }

    /// Those that are among some words.
    fn among(words: &str) -> Vec<Self> {
        let named = |controller: &Self| words.split([',', ' ', '\n']).any(|word| word == controller.name());
        Self::ALL.into_iter().filter(named).collect()
    }
}

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its mount point.
    pub root: PathBuf,
    /// Whether it is the unified one (v2).
    pub unified: bool,
    /// The controllers of ours that it has.
    pub controllers: Vec<Controller>,
}

/// The hierarchies that matter to us: the unified one, and those of v1 with a controller of ours; the freezer only
/// without the unified one. Each once, however often it is mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// In the order of their mounts.
    pub hierarchies: Vec<Hierarchy>,
}

impl Layout {
    /// From /proc/self/mountinfo; `controllers` reads `cgroup.controllers` of a unified hierarchy.
    pub fn parse(mountinfo: &str, controllers: impl Fn(&Path) -> String) -> Self {
        let mut layout = Self::default();
        for (root, unified, options) in mountinfo.lines().filter_map(parse_mount) {
            let words = if unified { controllers(&root) } else { options };
            let found = Hierarchy { root, unified, controllers: Controller::among(&words) };
            let same = |known: &Hierarchy| {
                known.unified == found.unified && (unified || known.controllers == found.controllers)
            };
            if (unified || !found.controllers.is_empty()) && !layout.hierarchies.iter().any(same) {
                layout.hierarchies.push(found);
            }
        }
        if layout.hierarchies.iter().any(|known| known.unified) {
            // What it would do, the unified one does.
            layout.hierarchies.retain(|known| known.unified || known.controllers != [Controller::Freezer]);
        }
        layout
    }

    /// The hierarchy in which every container has a cgroup, with or without limits: there all its processes are
    /// found, killed and frozen.
    pub fn home(&self) -> Option<&Hierarchy> {
        let freezer = || self.hierarchies.iter().find(|known| known.controllers.contains(&Controller::Freezer));
        self.hierarchies.iter().find(|known| known.unified).or_else(freezer)
    }

    /// Whether the host has nothing but the unified hierarchy.
    pub fn is_pure(&self) -> bool {
        matches!(self.hierarchies.as_slice(), [only] if only.unified && only.root == Path::new("/sys/fs/cgroup"))
    }
}

/// The files in which a cgroup tells of processes that were killed for want of memory: of v2, and of v1.
const OOM: [&str; 2] = ["memory.events", "memory.oom_control"];

/// Whether the kernel has killed a process in one of these cgroups for want of memory.
pub fn oom_killed(directories: impl IntoIterator<Item = impl AsRef<Path>>) -> bool {
    oom_kills(directories) > 0
}

/// How many processes in these cgroups the kernel has killed for want of memory: one cgroup of a container tells.
pub fn oom_kills(directories: impl IntoIterator<Item = impl AsRef<Path>>) -> u64 {
    let files = directories.into_iter().flat_map(|directory| OOM.map(|file| directory.as_ref().join(file)));
    files.filter_map(|file| fs::read_to_string(file).ok()).filter_map(|text| told(&text)).max().unwrap_or(0)
}

fn told(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// A line of mountinfo (proc(5)), if it is of a hierarchy: mount point, whether it is v2, options.
fn parse_mount(line: &str) -> Option<(PathBuf, bool, String)> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut filesystem = filesystem.split(' ');
    let unified = match filesystem.next()? {
        "cgroup2" => true,
        "cgroup" => false,
        _ => return None,
    };
    let root = unescape(mount.split(' ').nth(4)?);
    Some((root, unified, filesystem.nth(1)?.to_owned()))
}

/// Blanks in paths are written as backslash and three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchy(root: &str, unified: bool, controllers: &[Controller]) -> Hierarchy {
        Hierarchy { root: root.into(), unified, controllers: controllers.to_vec() }
    }

    #[test]
    fn a_pure_v2_host() {
        let mountinfo =
            "22 1 0:20 / / rw - ext4 /dev/vda rw\n30 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        let layout = Layout::parse(mountinfo, |_| "cpuset cpu io memory hugetlb pids\n".to_owned());
        let all = [Controller::Memory, Controller::Cpu, Controller::Pids, Controller::Io];
        assert_eq!(layout.hierarchies, [hierarchy("/sys/fs/cgroup", true, &all)]);
        assert!(layout.is_pure());
    }

    #[test]
    fn a_hybrid_host() {
        let mountinfo = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            33 31 0:29 / /elsewhere rw - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n\
            37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
            41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw\n";
        let layout = Layout::parse(mountinfo, |_| "hugetlb\n".to_owned());
        assert_eq!(
            layout.hierarchies,
            [
                hierarchy("/sys/fs/cgroup/cpu,cpuacct", false, &[Controller::Cpu]),
                hierarchy("/sys/fs/cgroup/memory", false, &[Controller::Memory]),
                hierarchy("/sys/fs/cgroup/uni fied", true, &[]),
            ]
        );
        assert!(!layout.is_pure());
        assert_eq!(layout.home(), layout.hierarchies.last());
    }

    #[test]
    fn a_v1_host() {
        let mountinfo = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n";
        let layout = Layout::parse(mountinfo, |_| String::new());
        let freezer = hierarchy("/sys/fs/cgroup/freezer", false, &[Controller::Freezer]);
        assert_eq!(layout.hierarchies.last(), Some(&freezer));
        assert_eq!(layout.home(), Some(&freezer));
        assert_eq!(Layout::default().home(), None);
    }

    #[test]
    fn a_host_without_any() {
        assert_eq!(
            Layout::parse("22 1 0:20 / / rw - ext4 /dev/vda rw\ngarbage\n", |_| String::new()),
            Layout::default()
        );
    }
}
