//! Where an instance of cctl lives: several live side by side on one host.

use crate::Failure;
use std::env;
use std::path::{Path, PathBuf};

const DEFAULT_ROOT: &str = "/var/lib/cctl";
const DEFAULT_RUN: &str = "/run/cctl";
const DEFAULT_CONFIG: &str = "/etc/cctl";

/// The directories that make an instance: durable state, and sockets and sandboxes until the next boot; and where
/// its owner configures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    root: PathBuf,
    run: PathBuf,
    config: PathBuf,
}

/// Where the log is that was written before this one.
pub fn previous_log(log: &Path) -> PathBuf {
    let mut previous = log.to_owned().into_os_string();
    previous.push(".1");
    previous.into()
}

impl Instance {
    /// From `CCTL_ROOT`, `CCTL_RUN` and `CCTL_CONFIG`, or the defaults `/var/lib/cctl`, `/run/cctl` and
    /// `/etc/cctl`. Fails if one of them is not an absolute path.
    pub fn from_env() -> Result<Self, Failure> {
        Ok(Self {
            root: directory("CCTL_ROOT", DEFAULT_ROOT)?,
            run: directory("CCTL_RUN", DEFAULT_RUN)?,
            config: directory("CCTL_CONFIG", DEFAULT_CONFIG)?,
        })
    }

    /// From two absolute paths, with the default configuration.
    pub fn new(root: impl Into<PathBuf>, run: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), run: run.into(), config: DEFAULT_CONFIG.into() }
    }

    /// The same, configured by another directory, an absolute path.
    #[must_use]
    pub fn configured_by(self, config: impl Into<PathBuf>) -> Self {
        Self { config: config.into(), ..self }
    }

    /// Durable state.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Sockets and sandboxes; empty after a boot.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// What its owner configures; need not exist.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The durable state of one service.
    pub fn state(&self, service: &str) -> PathBuf {
        self.root.join(service)
    }

    /// The log file of one of our processes.
    pub fn log(&self, process: &str) -> PathBuf {
        self.root.join("logs").join(format!("{process}.log"))
    }

    /// The socket of one service.
    pub fn socket(&self, service: &str) -> PathBuf {
        self.run.join(format!("{service}.sock"))
    }

    /// The runtime directories of the containers.
    pub fn sandboxes(&self) -> PathBuf {
        self.run.join("sandboxes")
    }

    /// Who may do what, as the supervisor has resolved it: [`crate::access::Policy`] as JSON.
    pub fn policy(&self) -> PathBuf {
        self.access().join("policy.json")
    }

    /// The directory of [`Self::policy`], which every service sees.
    pub fn access(&self) -> PathBuf {
        self.run.join("access")
    }

    /// A short name for what this instance makes in the kernel (bridge, table, cgroup): `cctl0` for the
    /// default state directory, else `cctl-` and six digits that depend on it. At most 11 bytes, so that it
    /// fits an interface name.
    pub fn kernel_name(&self) -> String {
        if self.root == Path::new(DEFAULT_ROOT) {
            return "cctl0".to_owned();
        }
        format!("cctl-{:06x}", self.number())
    }

    /// A number of 24 bits that depends on the state directory.
    pub fn number(&self) -> u32 {
        (fnv1a(self.root.as_os_str().as_encoded_bytes()) & 0xff_ffff) as u32
    }
}

/// FNV-1a, 64 bit: stable across builds, which the standard hasher is not.
fn fnv1a(bytes: &[u8]) -> u64 {
    let mixed = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    mixed ^ (mixed >> 32)
}

fn directory(variable: &str, default: &str) -> Result<PathBuf, Failure> {
    let path = env::var_os(variable).map_or_else(|| PathBuf::from(default), PathBuf::from);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(Failure::invalid(format_args!("{variable}={} is not an absolute path", path.display()))
            .hint(format_args!("set it to an absolute path, or unset it for {default}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_names_fit_interfaces_and_differ() {
        let default = Instance::new(DEFAULT_ROOT, DEFAULT_RUN).kernel_name();
        let one = Instance::new("/tmp/a", "/tmp/a/run").kernel_name();
        let two = Instance::new("/tmp/b", "/tmp/b/run").kernel_name();
        assert_eq!(default, "cctl0");
        assert_ne!(one, two);
        assert!(one.len() <= 11);
    }
}
