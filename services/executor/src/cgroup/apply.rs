//! Makes, joins, empties and removes the cgroups.

use super::layout::{Hierarchy, Layout};
use super::plan::{self, Place, Setting};
use crate::sys;
use schema::common::Limits;
use schema::{ContainerId, Failure};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Cgroup of the monitors, beside those of the containers.
const MONITORS: &str = "monitors";
/// How long the kernel may take to let go of what was killed.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(2);

/// How a process comes into the cgroups of a container.
#[derive(Debug, Default)]
pub(crate) struct Entrances {
    /// The cgroup of v2, in which it is born.
    pub(crate) birth: Option<OwnedFd>,
    /// `cgroup.procs` of the others, which it joins.
    pub(crate) joined: Vec<OwnedFd>,
}

/// The cgroups of this instance. All methods may block.
#[derive(Clone)]
pub(crate) struct Cgroups {
    layout: Layout,
    /// Name of the instance's directory in each hierarchy.
    name: String,
}

impl Cgroups {
    /// Looks at what the host has.
    pub(crate) fn detect(name: String) -> Result<Self, Failure> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo")
            .map_err(|error| Failure::io("reading /proc/self/mountinfo", &error))?;
        let controllers = |root: &Path| fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        let layout = Layout::parse(&mountinfo, controllers);
        tracing::info!(?layout, "cgroups of this host");
        Ok(Self { layout, name })
    }

    /// Whether a container sees its limits in the unified hierarchy, and nowhere else.
    pub(crate) fn is_pure(&self) -> bool {
        self.layout.is_pure()
    }

    /// Makes a container's cgroups with its limits. Answers with the limits that this host cannot enforce.
    pub(crate) fn create(&self, id: &ContainerId, limits: &Limits) -> Result<Vec<String>, Failure> {
        let plan = plan::plan(&self.layout, limits);
        let mut warnings = plan.warnings;
        for place in &plan.places {
            let directory = self.make(place, id.as_str())?;
            for setting in &place.settings {
                apply(&directory, setting, &mut warnings)?;
            }
        }
        Ok(warnings)
    }

    /// Has the kernel ask a program which devices a container's processes may use. Fails with `unimplemented` if the
    /// host cannot.
    pub(crate) fn guard_devices(&self, id: &ContainerId, program: &[[u8; 8]]) -> Result<(), Failure> {
        let cannot = |why: &dyn std::fmt::Display| {
            Failure::unimplemented(format_args!("this host cannot confine a container's devices: {why}"))
                .hint("leave out --device, and the capabilities MKNOD and SYS_ADMIN; or use --privileged")
        };
        let Some(home) = self.layout.home().filter(|home| home.unified) else {
            return Err(cannot(&"it has no cgroup v2"));
        };
        let directory = home.root.join(&self.name).join(id.as_str());
        let cgroup = File::open(&directory)
            .map_err(|error| Failure::io(format_args!("opening {}", directory.display()), &error))?;
        sys::guard_devices(&cgroup, program).map_err(|error| cannot(&error))
    }

    fn make(&self, place: &Place, leaf: &str) -> Result<PathBuf, Failure> {
        let parent = place.root.join(&self.name);
        let directory = parent.join(leaf);
        make_directory(&parent)?;
        for above in [&place.root, &parent].into_iter().filter(|_| !place.enable.is_empty()) {
            enable(above, &place.enable);
        }
        make_directory(&directory)?;
        Ok(directory)
    }

    /// Has this thread's children be born in the monitors' cgroups of v1: in the executor's own they may be limited, and
    /// end with the executor. To move a process from one cgroup to another takes the kernel about a millisecond each.
    pub(crate) fn adopt_thread(&self) -> Result<(), Failure> {
        let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
        for Hierarchy { root, .. } in self.layout.hierarchies.iter().filter(|hierarchy| !hierarchy.unified) {
            write(&self.monitors(root)?.join("tasks"), &thread)?;
        }
        Ok(())
    }

    /// The monitors' cgroup of v2, if the host has v2.
    pub(crate) fn monitors_unified(&self) -> Result<Option<File>, Failure> {
        let Some(Hierarchy { root, .. }) = self.layout.hierarchies.iter().find(|known| known.unified) else {
            return Ok(None);
        };
        let directory = self.monitors(root)?;
        let failed = |error| Failure::io(format_args!("opening {}", directory.display()), &error);
        File::open(&directory).map(Some).map_err(failed)
    }

    fn monitors(&self, root: &Path) -> Result<PathBuf, Failure> {
        let parent = root.join(&self.name);
        let directory = parent.join(MONITORS);
        make_directory(&parent)?;
        make_directory(&directory)?;
        Ok(directory)
    }

    /// The ways into a container's cgroups.
    pub(crate) fn entrances(&self, id: &ContainerId) -> Result<Entrances, Failure> {
        let mut entrances = Entrances::default();
        for hierarchy in &self.layout.hierarchies {
            let directory = hierarchy.root.join(&self.name).join(id.as_str());
            let path = if hierarchy.unified { directory } else { directory.join("cgroup.procs") };
            let opened = OpenOptions::new().read(hierarchy.unified).write(!hierarchy.unified).open(&path);
            match opened {
                Ok(directory) if hierarchy.unified => entrances.birth = Some(directory.into()),
                Ok(file) => entrances.joined.push(file.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Failure::io(format_args!("opening {}", path.display()), &error)),
            }
        }
        Ok(entrances)
    }

    pub(super) fn directories<'a>(&'a self, leaf: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
        self.layout.hierarchies.iter().map(move |hierarchy| hierarchy.root.join(&self.name).join(leaf))
    }

    /// The cgroup that every container has, if the host has such.
    pub(super) fn home(&self, id: &ContainerId) -> Option<PathBuf> {
        self.layout.home().map(|hierarchy| hierarchy.root.join(&self.name).join(id.as_str()))
    }

    /// Every process of a container, as far as its cgroups tell.
    pub(crate) fn processes(&self, id: &ContainerId) -> Vec<i32> {
        let lists = self.directories(id.as_str()).filter_map(|path| fs::read_to_string(path.join("cgroup.procs")).ok());
        let mut pids: Vec<i32> =
            lists.flat_map(|list| list.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// How many processes of this container the kernel has killed for want of memory.
    pub(crate) fn oom_kills(&self, id: &ContainerId) -> u64 {
        kit::cgroup::oom_kills(self.directories(id.as_str()))
    }

    /// Whether there were any.
    pub(crate) fn oom_killed(&self, id: &ContainerId) -> bool {
        kit::cgroup::oom_killed(self.directories(id.as_str()))
    }

    /// Kills what is left in a container's cgroups, and removes them.
    pub(crate) fn remove(&self, id: &ContainerId) -> Result<(), Failure> {
        self.directories(id.as_str()).try_for_each(|directory| remove(&directory))
    }

    /// The containers that have cgroups.
    pub(crate) fn containers(&self) -> Vec<ContainerId> {
        let parents = self.layout.hierarchies.iter().map(|hierarchy| hierarchy.root.join(&self.name));
        let entries = parents.filter_map(|parent| fs::read_dir(parent).ok()).flatten().flatten();
        let mut ids: Vec<ContainerId> =
            entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok())).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

/// Enables controllers for the children of a cgroup. If one cannot be enabled, the files of its limits are missing,
/// which becomes a warning.
fn enable(cgroup: &Path, controllers: &[&'static str]) {
    let file = cgroup.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&file).unwrap_or_default();
    for controller in controllers.iter().filter(|name| !enabled.split_ascii_whitespace().any(|word| word == **name)) {
        if let Err(error) = fs::write(&file, format!("+{controller}")) {
            tracing::warn!(controller, cgroup = %cgroup.display(), %error, "cannot enable a controller");
        }
    }
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Failure::io(format_args!("making the cgroup {}", path.display()), &error))
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, value: &str) -> Result<(), Failure> {
    File::options()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .map_err(|error| Failure::io(format_args!("writing {value:?} to {}", path.display()), &error))
}

/// Sets a limit. A value that the kernel refuses is the caller's fault; a file that it does not have is a warning.
fn apply(directory: &Path, setting: &Setting, warnings: &mut Vec<String>) -> Result<(), Failure> {
    let Setting { file, value, warning } = setting;
    let path = directory.join(file);
    let written = File::options().write(true).open(&path).and_then(|mut file| file.write_all(value.as_bytes()));
    match written {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            warnings.extend(warning.clone());
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            Err(Failure::invalid(format_args!("the kernel refuses {value} for {file}: {error}")))
        }
        Err(error) => Err(Failure::io(format_args!("writing {value:?} to {}", path.display()), &error)),
    }
}

/// Removes one cgroup, killing what is in it, also again while the kernel buries it.
fn remove(directory: &Path) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        match fs::remove_dir(directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if began.elapsed() > PATIENCE => {
                return Err(Failure::io(format_args!("removing the cgroup {}", directory.display()), &error));
            }
            Err(_) => kill_all(directory),
        }
        thread::sleep(PAUSE);
    }
}

fn kill_all(directory: &Path) {
    // All at once where the kernel can (v2, since 5.14).
    if fs::write(directory.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let list = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    for pid in list.lines().filter_map(|line| line.parse().ok()).filter_map(rustix::process::Pid::from_raw) {
        // It may have ended on its own.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    // On v1, what is frozen does not die. Elsewhere there is no such file.
    let _ = File::options()
        .write(true)
        .open(directory.join("freezer.state"))
        .and_then(|mut file| file.write_all(b"THAWED"));
}
