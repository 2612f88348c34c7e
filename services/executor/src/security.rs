//! What a process of a container may do: what was asked for, over what each may. Pure.

use crate::devices::Node;
use crate::lsm::TakenOn;
use crate::plan::Host;
use schema::Failure;
use schema::capability::{self, Choice, chosen, names};
use schema::security::{Seccomp, Security, sysctl};
use seccomp::{Filter, Given, Machine, Profile};

/// Capabilities that a container's root has: Docker's default, but for making device nodes (CAP_MKNOD).
pub(crate) const USUAL_CAPABILITIES: u64 = {
    const CHOWN: u64 = 1 << 0;
    const DAC_OVERRIDE: u64 = 1 << 1;
    const FOWNER: u64 = 1 << 3;
    const FSETID: u64 = 1 << 4;
    const KILL: u64 = 1 << 5;
    const SETGID: u64 = 1 << 6;
    const SETUID: u64 = 1 << 7;
    const SETPCAP: u64 = 1 << 8;
    const NET_BIND_SERVICE: u64 = 1 << 10;
    const NET_RAW: u64 = 1 << 13;
    const SYS_CHROOT: u64 = 1 << 18;
    const AUDIT_WRITE: u64 = 1 << 29;
    const SETFCAP: u64 = 1 << 31;
    CHOWN
        | DAC_OVERRIDE
        | FOWNER
        | FSETID
        | KILL
        | SETGID
        | SETUID
        | SETPCAP
        | NET_BIND_SERVICE
        | NET_RAW
        | SYS_CHROOT
        | AUDIT_WRITE
        | SETFCAP
};

/// With one of these, a process can make device nodes, or mount filesystems that have some.
const DEVICE_CAPABILITIES: u64 = 1 << 27 | 1 << 21;

/// What a process may do, in the terms of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Confinement {
    /// The most that it, and what it executes, can have.
    pub(crate) capabilities: u64,
    /// Whether programs may give more rights than their user has.
    pub(crate) may_gain: bool,
    /// The program that filters system calls.
    pub(crate) seccomp: Option<Vec<u8>>,
    /// Labels and profiles.
    pub(crate) taken_on: Vec<TakenOn>,
    /// Kernel parameters, and their values.
    pub(crate) sysctls: Vec<(String, String)>,
    /// `RLIMIT_…`, and the limits.
    pub(crate) limits: Vec<(u32, u64, u64)>,
    /// What the first process makes and hides.
    pub(crate) surroundings: Surroundings,
}

/// What is made of a container's root when it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// Whether nothing of /proc and /sys is hidden or read-only.
    pub(crate) system_paths: bool,
    /// Whether /sys, and device nodes anywhere, are as on the host.
    pub(crate) privileged: bool,
    /// Whether the root is read-only.
    pub(crate) read_only_root: bool,
    /// Devices, besides those that each container has.
    pub(crate) devices: Vec<Node>,
    /// Bytes of /dev/shm; 0: the default.
    pub(crate) shm_size: u64,
}

/// What a process of a container may do. `devices` are those of the host that were asked for; `privileged` says that
/// this process, an exec, shall have every capability.
pub(crate) fn confine(
    host: &Host,
    security: &Security,
    devices: Vec<Node>,
    privileged: bool,
) -> Result<Confinement, Failure> {
    let privileged = privileged || security.privileged;
    let capabilities = if privileged { u64::MAX } else { wanted(security) } & host.capabilities;
    let taken_on = host.modules.choose(security, privileged, host.modules.profiles().as_deref())?;
    let mut sysctls = Vec::new();
    for text in &security.sysctls {
        let (name, value) = sysctl(text)?;
        sysctls.push((name.to_owned(), value.to_owned()));
    }
    let mut limits = Vec::new();
    for limit in &security.ulimits {
        limits.push((limit.number()?, limit.soft, limit.hard));
    }
    Ok(Confinement {
        capabilities,
        may_gain: security.new_privileges.unwrap_or(security.privileged),
        seccomp: filter(host, security, wanted(security) & host.capabilities)?,
        taken_on,
        sysctls,
        limits,
        surroundings: Surroundings {
            system_paths: security.system_paths || security.privileged,
            privileged: security.privileged,
            read_only_root: security.read_only_root,
            devices,
            shm_size: security.shm_size,
        },
    })
}

fn wanted(security: &Security) -> u64 {
    if security.privileged { u64::MAX } else { chosen(USUAL_CAPABILITIES, &security.cap_add, &security.cap_drop) }
}

fn filter(host: &Host, security: &Security, capabilities: u64) -> Result<Option<Vec<u8>>, Failure> {
    let has = |name: &str| capability::parse(name).is_some_and(|set| capabilities & set != 0);
    match &security.seccomp {
        Seccomp::Unconfined => Ok(None),
        Seccomp::Usual if security.privileged => Ok(None),
        // No call is for those alone that are in the usual set.
        Seccomp::Usual if capabilities & !USUAL_CAPABILITIES == 0 => Ok(Some(host.seccomp.clone())),
        Seccomp::Usual => {
            let filter = Filter::of_container(Machine::CURRENT, &has).map_err(Failure::internal)?;
            Ok(Some(filter.bytes()))
        }
        Seccomp::Profile(json) => {
            let refused = |error| Failure::invalid(format_args!("the seccomp profile: {error}"));
            let has = |name: &str| name.strip_prefix("CAP_").is_some_and(has);
            let given = Given { machine: Machine::CURRENT, kernel: host.kernel, has: &has };
            let filter = Profile::parse(json).and_then(|profile| profile.program(&given)).map_err(refused)?;
            Ok(Some(filter.bytes()))
        }
    }
}

/// What a container is told that it does not get, a line each.
pub(crate) fn warnings(host: &Host, security: &Security) -> Vec<String> {
    // Of ALL, what there is.
    let by_name = !security.privileged && !security.cap_add.contains(&Choice::All);
    let added = if by_name { chosen(0, &security.cap_add, &[]) } else { 0 };
    let missing = added & !host.capabilities;
    let line =
        |name: &String| format!("the capability CAP_{name} is not given: this host's executor does not have it itself");
    names(missing).iter().map(line).collect()
}

/// Whether a container could reach devices of the host that were not given to it, or not so.
pub(crate) fn needs_device_filter(security: &Security) -> bool {
    !security.privileged && (!security.devices.is_empty() || wanted(security) & DEVICE_CAPABILITIES != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::host;
    use schema::Code;

    fn security(add: &str, drop: &str) -> Security {
        let choices = |words: &str| words.split_whitespace().map(|word| word.parse().unwrap()).collect();
        Security { cap_add: choices(add), cap_drop: choices(drop), ..Security::default() }
    }

    fn of(security: &Security) -> Confinement {
        confine(&host(), security, Vec::new(), false).unwrap()
    }

    #[test]
    fn without_a_word_a_container_has_the_usual() {
        let usual = of(&Security::default());
        assert_eq!(usual.capabilities, 0xa004_25fb & !(1 << 27));
        assert!(!usual.may_gain && usual.taken_on.is_empty());
        assert_eq!(usual.seccomp, Some(host().seccomp));
        assert_eq!(usual.surroundings, Surroundings::default());
        let few = Host { capabilities: 0b11, ..host() };
        assert_eq!(confine(&few, &Security::default(), Vec::new(), false).unwrap().capabilities, 0b11);
    }

    #[test]
    fn what_it_may_call_follows_its_capabilities() {
        let usual = of(&security("", "KILL")).seccomp;
        assert_eq!(usual, Some(host().seccomp));
        let admin = of(&security("SYS_ADMIN", "")).seccomp;
        assert!(admin.is_some() && admin != usual);
        assert_eq!(of(&Security { seccomp: Seccomp::Unconfined, ..security("", "") }).seccomp, None);
        // A host that cannot give a capability does not give its calls.
        let poor = Host { capabilities: USUAL_CAPABILITIES, ..host() };
        assert_eq!(confine(&poor, &security("SYS_ADMIN", ""), Vec::new(), false).unwrap().seccomp, usual);
    }

    #[test]
    fn a_privileged_one_has_all_unless_something_else_was_said() {
        let privileged = Security { privileged: true, ..security("", "ALL") };
        let all = of(&privileged);
        assert_eq!(all.capabilities, u64::MAX);
        assert!(all.may_gain && all.seccomp.is_none());
        assert!(all.surroundings.system_paths && all.surroundings.privileged);
        let json = r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#.to_owned();
        let said = Security { new_privileges: Some(false), seccomp: Seccomp::Profile(json), ..privileged };
        assert!(!of(&said).may_gain && of(&said).seccomp.is_some());
    }

    #[test]
    fn a_privileged_exec_has_every_capability_and_the_containers_filter() {
        let plain = Security::default();
        let exec = confine(&host(), &plain, Vec::new(), true).unwrap();
        assert_eq!(exec.capabilities, u64::MAX);
        assert_eq!((exec.seccomp, exec.may_gain), (of(&plain).seccomp, false));
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for bad in [
            Security { seccomp: Seccomp::Profile("{}".into()), ..Security::default() },
            Security { sysctls: vec!["kernel.panic=1".into()], ..Security::default() },
            Security { labels: vec!["colour:red".into()], ..Security::default() },
        ] {
            assert_eq!(confine(&host(), &bad, Vec::new(), false).unwrap_err().code, Code::InvalidArgument, "{bad:?}");
        }
    }

    #[test]
    fn a_capability_that_the_host_lacks_is_named_if_it_was_asked_for() {
        let few = Host { capabilities: USUAL_CAPABILITIES, ..host() };
        let warnings = |add, drop| super::warnings(&few, &security(add, drop));
        assert_eq!(warnings("SYS_TIME CHOWN", "").len(), 1);
        assert!(warnings("SYS_TIME", "")[0].contains("CAP_SYS_TIME"));
        assert!(warnings("", "ALL").is_empty() && warnings("ALL", "").is_empty() && warnings("ALL", "KILL").is_empty());
    }

    #[test]
    fn who_could_make_device_nodes_is_watched() {
        for (add, drop, wanted) in [
            ("", "", false),
            ("NET_ADMIN", "", false),
            ("MKNOD", "", true),
            ("ALL", "", true),
            ("SYS_ADMIN", "ALL", true),
        ] {
            assert_eq!(needs_device_filter(&security(add, drop)), wanted, "{add} {drop}");
        }
        assert!(!needs_device_filter(&security("ALL", "MKNOD SYS_ADMIN")));
        assert!(!needs_device_filter(&Security { privileged: true, ..security("ALL", "") }));
    }
}
