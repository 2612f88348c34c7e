//! The cgroups of the services: one for each that has limits, beside those of the containers and not above them.
//!
//! Where the host has no controller for a limit, or refuses one, that is said in the log, and the service runs
//! without it.

use crate::limits::{Limits, PERIOD};
use kit::cgroup::{Controller, Hierarchy, Layout};
use rustix::process::Pid;
use schema::Instance;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the services' cgroups are in each hierarchy: their parent, which has the instance's name.
#[derive(Clone, Debug)]
pub(crate) struct Cages {
    layout: Layout,
    name: String,
    /// The cgroups that an executor has made.
    sandboxes: String,
}

/// The cgroups of one process of a service, in each hierarchy that limits it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cage(Vec<PathBuf>);

impl Cages {
    /// Those of an instance, on this host.
    pub(crate) fn detect(instance: &Instance) -> Self {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let controllers = |root: &Path| fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        let sandboxes = instance.kernel_name();
        let name = format!("{sandboxes}-services");
        Self { layout: Layout::parse(&mountinfo, controllers), name, sandboxes }
    }

    /// Makes the cgroups for a process that is about to start. They are new ones each time: what the memory of a
    /// process before is still charged for, files in memory say, is not the fault of the next.
    pub(crate) fn make(&self, service: &str, limits: &Limits) -> Cage {
        self.remove(service);
        let mut cage = Cage::default();
        for (controller, value) in wanted(limits) {
            let Some(hierarchy) = self.layout.hierarchies.iter().find(|known| known.controllers.contains(&controller))
            else {
                tracing::warn!(service, controller = controller.name(), "not limited: the host has no such controller");
                continue;
            };
            match self.set(hierarchy, service, controller, value) {
                Ok(directory) if cage.0.contains(&directory) => {}
                Ok(directory) => cage.0.push(directory),
                Err(error) => tracing::warn!(service, controller = controller.name(), %error, "not limited"),
            }
        }
        cage
    }

    fn set(&self, hierarchy: &Hierarchy, service: &str, controller: Controller, value: u64) -> io::Result<PathBuf> {
        let parent = hierarchy.root.join(&self.name);
        let directory = parent.join(service);
        for made in [&parent, &directory] {
            if made == &directory && hierarchy.unified {
                for above in [&hierarchy.root, &parent] {
                    fs::write(above.join("cgroup.subtree_control"), format!("+{}", controller.name()))?;
                }
            }
            match fs::create_dir(made) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        let period = PERIOD.as_micros();
        let settings = match (controller, hierarchy.unified) {
            (Controller::Memory, true) => vec![("memory.max", value.to_string())],
            (Controller::Memory, false) => vec![("memory.limit_in_bytes", value.to_string())],
            (Controller::Cpu, true) => vec![("cpu.max", format!("{value} {period}"))],
            (Controller::Cpu, false) => {
                vec![("cpu.cfs_period_us", period.to_string()), ("cpu.cfs_quota_us", value.to_string())]
            }
            _ => vec![("pids.max", value.to_string())],
        };
        for (file, setting) in settings {
            fs::write(directory.join(file), setting)?;
        }
        Ok(directory)
    }

    /// Removes the cgroups of a service none of whose processes is left.
    fn remove(&self, service: &str) {
        for hierarchy in &self.layout.hierarchies {
            let directory = hierarchy.root.join(&self.name).join(service);
            match fs::remove_dir(&directory) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, cgroup = %directory.display(), "cannot remove a cgroup");
                }
                _ => {}
            }
        }
    }

    /// Removes all, when no service is left.
    pub(crate) fn remove_all<'a>(&self, services: impl Iterator<Item = &'a str>) {
        services.for_each(|service| self.remove(service));
        for hierarchy in &self.layout.hierarchies {
            // It is not there, or somebody else has put something into it.
            let _ = fs::remove_dir(hierarchy.root.join(&self.name));
            // What no monitor is in, the executor would have used again.
            let sandboxes = hierarchy.root.join(&self.sandboxes);
            let _ = fs::remove_dir(sandboxes.join("monitors")).and_then(|()| fs::remove_dir(&sandboxes));
        }
    }
}

impl Cage {
    /// Puts a process in, with its threads.
    pub(crate) fn enter(&self, service: &str, pid: Pid) {
        for directory in &self.0 {
            if let Err(error) = fs::write(directory.join("cgroup.procs"), pid.as_raw_nonzero().to_string()) {
                tracing::warn!(service, %error, cgroup = %directory.display(), "not limited: cannot be put into its cgroup");
            }
        }
    }

    /// Whether the kernel has killed a process in here for want of memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        kit::cgroup::oom_killed(&self.0)
    }
}

/// The limits that cgroups put in force.
fn wanted(limits: &Limits) -> impl Iterator<Item = (Controller, u64)> {
    let Limits { memory, pids, cpus, files: _ } = *limits;
    [(Controller::Memory, memory), (Controller::Cpu, cpus), (Controller::Pids, pids)]
        .into_iter()
        .filter_map(|(controller, limit)| Some((controller, limit?)))
}
