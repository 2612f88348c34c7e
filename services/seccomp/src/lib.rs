//! Filters of system calls: a list as data (`deploy/seccomp`), compiled once into a program for the kernel (seccomp(2)).
//!
//! The executor gives one to every container, the supervisor one to every service, and the filesystem service one to
//! those that unpack archives for it.

mod bpf;
mod calls;
mod capabilities;
mod case;
mod compile;
#[cfg(test)]
mod interpret;
mod list;
mod profile;
mod sys;

pub use calls::Machine;
pub use profile::{Given, LONGEST_PROFILE, Profile};

use bpf::Instruction;
use list::Rule;
use std::collections::BTreeMap;
use std::io;

/// The lists that this program has built in, by their names.
const BUILT_IN: [(&str, &str); 9] = [
    ("base", include_str!("../../../deploy/seccomp/base.txt")),
    ("container", include_str!("../../../deploy/seccomp/container.txt")),
    ("containers", include_str!("../../../deploy/seccomp/containers.txt")),
    ("filesystem", include_str!("../../../deploy/seccomp/filesystem.txt")),
    ("image-store", include_str!("../../../deploy/seccomp/image-store.txt")),
    ("log-collector", include_str!("../../../deploy/seccomp/log-collector.txt")),
    ("network", include_str!("../../../deploy/seccomp/network.txt")),
    ("plugin", include_str!("../../../deploy/seccomp/plugin.txt")),
    ("unpack", include_str!("../../../deploy/seccomp/unpack.txt")),
];

/// A filter, ready for the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    program: Vec<Instruction>,
    /// What the list says that does not exist, and nothing else: libraries try that again and again.
    absent: Vec<Instruction>,
}

impl Filter {
    /// That of a list that is built in.
    pub fn built_in(name: &str, machine: Machine) -> Result<Self, String> {
        let text = text(name).ok_or_else(|| format!("there is no list {name:?}: use one of {}", names().join(", ")))?;
        Self::parse(text, machine).map_err(|error| format!("the list of system calls {name}: {error}"))
    }

    /// That of a container which has these capabilities, each named without `CAP_`.
    pub fn of_container(machine: Machine, has: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        let text = text("container").unwrap_or_default();
        let mut rules = list::parse(text, &self::text).map_err(|error| format!("the list of containers: {error}"))?;
        capabilities::allow(&mut rules, has).map_err(|error| format!("the list of capabilities: {error}"))?;
        Ok(Self::of_rules(machine, &list::numbered(&rules, machine)))
    }

    /// That of a list. It may include those that are built in. Fails with what is wrong in which line.
    pub fn parse(list: &str, machine: Machine) -> Result<Self, String> {
        let rules = list::parse(list, &text)?;
        Ok(Self::of_rules(machine, &list::numbered(&rules, machine)))
    }

    fn of_rules(machine: Machine, rules: &BTreeMap<u32, Rule>) -> Self {
        let absent = rules.iter().filter(|(_, rule)| **rule == Rule::Enosys).map(|(call, rule)| (*call, rule.clone()));
        let absent = compile::compile_only(machine, &absent.collect());
        Self { program: compile::compile(machine, rules), absent }
    }

    /// In the kernel's form: `struct sock_filter` one behind the other.
    pub fn bytes(&self) -> Vec<u8> {
        bpf::encode(&self.program)
    }

    /// Puts this process, which has one thread, under the filter, and all that it executes. It must have given up new
    /// privileges, or have `CAP_SYS_ADMIN`. What is refused goes to the kernel's audit log, but for what does not exist.
    /// Allocates nothing, and takes no lock: fit for a forked child.
    pub fn install(&self) -> io::Result<()> {
        // Where several filters hold, what is least counts, and whether it is logged is said by the filter that says it.
        // Of two that say the same, the newest.
        sys::install(&self.program, true)?;
        sys::install(&self.absent, false)
    }
}

/// The names of the lists that are built in.
pub fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(name, _)| *name).collect()
}

fn text(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests;
