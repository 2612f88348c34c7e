//! What the processes of a container shall be able to do. What depends on the host, such as whether it has a device, the
//! executor checks when it makes the sandbox.

use schema::Failure;
use schema::containers::ContainerSpec;
use schema::network::Mode;
use schema::security::{Seccomp, Security, is_profile_name, label, sysctl};
use seccomp::Profile;
use std::collections::HashSet;

/// Bytes of a page: no filesystem in memory is smaller.
const PAGE: u64 = 4096;

/// Checks it.
pub(super) fn check(spec: &ContainerSpec) -> Result<(), Failure> {
    let Security {
        privileged: _,
        cap_add: _,
        cap_drop: _,
        read_only_root: _,
        new_privileges: _,
        seccomp,
        app_armor,
        labels,
        system_paths: _,
        devices,
        groups,
        sysctls,
        ulimits,
        shm_size,
    } = &spec.security;
    if let Seccomp::Profile(json) = seccomp {
        Profile::parse(json).map_err(|error| {
            Failure::invalid(format_args!("the seccomp profile: {error}"))
                .hint("write it as Docker's and OCI's are, or use seccomp=unconfined for no filter")
        })?;
    }
    if !app_armor.is_empty() && !is_profile_name(app_armor) {
        return Err(Failure::invalid(format_args!("{app_armor:?} is not the name of an AppArmor profile")));
    }
    labels.iter().try_for_each(|text| label(text).map(drop))?;
    let mut targets = HashSet::new();
    for device in devices {
        let names = device.below_dev()?;
        if !targets.insert(names) {
            return Err(Failure::invalid(format_args!("two devices are to be at {:?}", device.target))
                .hint("give each device a path of its own"));
        }
    }
    if let Some(group) = groups.iter().find(|group| group.is_empty() || group.contains(['\0', ':'])) {
        return Err(
            Failure::invalid(format_args!("{group:?} is no group")).hint("name a group of the image, or a number")
        );
    }
    for text in sysctls {
        let (name, _) = sysctl(text)?;
        if spec.network == Mode::Host && name.starts_with("net.") {
            return Err(Failure::invalid(format_args!(
                "the kernel parameter {name:?} is the host's, with the host's network"
            ))
            .hint("leave out --sysctl or --network host"));
        }
    }
    ulimits.iter().try_for_each(|limit| limit.number().map(drop))?;
    let sizes = spec.tmpfs.iter().map(|tmpfs| tmpfs.size).chain([*shm_size]);
    if let Some(size) = sizes.filter(|size| *size != 0).find(|size| *size < PAGE) {
        return Err(Failure::invalid(format_args!("{size} bytes are too few for a filesystem in memory"))
            .hint("the least is a page, 4k"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Code;
    use schema::filesystem::Tmpfs;
    use schema::security::{Access, Device, Ulimit};

    fn with(security: Security) -> ContainerSpec {
        ContainerSpec { security, ..ContainerSpec::default() }
    }

    fn device(target: &str) -> Device {
        Device { source: "/dev/null".into(), target: target.into(), access: Access::ALL }
    }

    #[test]
    fn what_is_plain_passes() {
        let security = Security {
            privileged: true,
            seccomp: Seccomp::Profile(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#.into()),
            app_armor: "docker-default".into(),
            labels: vec!["disable".into()],
            devices: vec![device("/dev/a"), device("/dev/b/a")],
            groups: vec!["video".into(), "7".into()],
            sysctls: vec!["net.ipv4.ip_forward=1".into()],
            ulimits: vec![Ulimit { resource: "core".into(), soft: 0, hard: 0 }],
            shm_size: 4096,
            ..Security::default()
        };
        assert_eq!(check(&with(security)), Ok(()));
        assert_eq!(check(&ContainerSpec::default()), Ok(()));
    }

    #[test]
    fn bad_values_are_named() {
        let usual = Security::default;
        for (security, named) in [
            (Security { seccomp: Seccomp::Profile("{".into()), ..usual() }, "seccomp"),
            (Security { app_armor: "a b".into(), ..usual() }, "a b"),
            (Security { labels: vec!["colour:red".into()], ..usual() }, "colour:red"),
            (Security { devices: vec![device("/dev/a"), device("/dev//a")], ..usual() }, "/dev//a"),
            (Security { devices: vec![device("/etc/a")], ..usual() }, "/etc/a"),
            (Security { groups: vec!["a:b".into()], ..usual() }, "a:b"),
            (Security { sysctls: vec!["kernel.panic=1".into()], ..usual() }, "kernel.panic"),
            (Security { ulimits: vec![Ulimit { resource: "x".into(), soft: 0, hard: 0 }], ..usual() }, "\"x\""),
            (Security { shm_size: 1, ..usual() }, "1 bytes"),
        ] {
            let failure = check(&with(security)).unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument);
            assert!(failure.message.contains(named), "{failure}");
        }
        let sysctls = vec!["net.ipv4.ip_forward=1".into()];
        let host = ContainerSpec { network: Mode::Host, ..with(Security { sysctls, ..usual() }) };
        assert!(check(&host).unwrap_err().message.contains("net.ipv4.ip_forward"));
        let tmpfs = Tmpfs {
            target: "/t".into(),
            size: 7,
            mode: 0o1777,
            uid: 0,
            gid: 0,
            read_only: false,
            exec: false,
            suid: false,
            dev: false,
        };
        assert!(
            check(&ContainerSpec { tmpfs: vec![tmpfs], ..ContainerSpec::default() })
                .unwrap_err()
                .message
                .contains("7 bytes")
        );
    }
}
