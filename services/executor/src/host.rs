//! What this program finds out about itself and its host when it starts.

use crate::cgroup::Cgroups;
use crate::lsm::Modules;
use crate::nursery::Nursery;
use crate::plan;
use crate::program::Program;
use crate::sandbox::keep::Keep;
use kit::orphans::Words;
use kit::users::User;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use schema::{ContainerId, Failure, Instance};
use seccomp::{Filter, Machine};
use std::fs;
use std::path::PathBuf;

/// Facts that do not change while this program runs.
pub(crate) struct Host {
    pub(crate) instance: Instance,
    /// Tells a boot of the kernel from another.
    pub(crate) boot: String,
    pub(crate) monitor: Program,
    pub(crate) cgroups: Cgroups,
    /// What starts monitors.
    pub(crate) nursery: Nursery,
    /// What plans depend on.
    pub(crate) plan: plan::Host,
    /// Who the log collector is.
    pub(crate) collector: User,
    /// Limit of open descriptors that this program was started with, and that the monitors inherit.
    pub(crate) descriptors: Rlimit,
    /// What outlives this program.
    pub(crate) keep: Keep,
    /// How processes ended whose monitor was killed.
    pub(crate) words: Words,
}

impl Host {
    /// Looks around.
    pub(crate) fn detect(instance: Instance, keep: Keep) -> Result<Self, Failure> {
        let cgroups = Cgroups::detect(instance.kernel_name())?;
        let plan = plan::Host {
            capabilities: own_capabilities()?,
            known_capabilities: number("/proc/sys/kernel/cap_last_cap")? + 1,
            seccomp: Filter::built_in("container", Machine::CURRENT).map_err(Failure::internal)?.bytes(),
            kernel: kernel_version(&read("/proc/sys/kernel/osrelease")?)?,
            modules: Modules::detect(),
            pure_cgroups: cgroups.is_pure(),
            oom_protected: read("/proc/self/oom_score_adj")?.trim().starts_with('-'),
        };
        let boot = kit::process::boot_id().map_err(|error| Failure::io("reading the boot id", &error))?;
        let collector = kit::users::of(schema::log_collector::SERVICE);
        let (monitor, descriptors) = (Program::find()?, raise_descriptors());
        let words = Words::of(&instance);
        let nursery = Nursery::default();
        Ok(Self { instance, boot, monitor, cgroups, nursery, plan, collector, descriptors, keep, words })
    }

    /// The directory of a sandbox.
    pub(crate) fn directory(&self, id: &ContainerId) -> PathBuf {
        self.instance.sandboxes().join(id.as_str())
    }
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::io(format_args!("reading {path}"), &error))
}

fn number(path: &str) -> Result<u32, Failure> {
    let text = read(path)?;
    text.trim().parse().map_err(|_| Failure::internal(format_args!("{path}: {text:?} is not a number")))
}

/// Lets this program hold as many descriptors as it may: up to ten for each sandbox. Answers with the limit as it was.
fn raise_descriptors() -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before }) {
        tracing::warn!(%error, "cannot raise the limit of open descriptors");
    }
    before
}

/// `6.1.0-13-amd64` is 6.1.
fn kernel_version(release: &str) -> Result<(u32, u32), Failure> {
    let mut numbers = release.trim().split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(one)), Some(Ok(two))) => Ok((one, two)),
        _ => Err(Failure::internal(format_args!("{release:?} is no release of a kernel"))),
    }
}

/// The capabilities that this process has and may hand down.
fn own_capabilities() -> Result<u64, Failure> {
    let path = "/proc/self/status";
    let status = read(path)?;
    let set = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|value| u64::from_str_radix(value.trim(), 16).ok())
            .ok_or_else(|| Failure::internal(format_args!("{path} has no {name}")))
    };
    Ok(set("CapPrm:")? & set("CapBnd:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_have_versions() {
        for (release, version) in [("6.1.0-13-amd64\n", (6, 1)), ("5.10", (5, 10)), ("6.18-rc1", (6, 18))] {
            assert_eq!(kernel_version(release), Ok(version));
        }
        assert!(kernel_version("new").is_err());
    }
}
