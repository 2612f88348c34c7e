//! What the processes of a container may do, with Docker's names.

use schema::containers::ContainerSpec;
use schema::filesystem::Tmpfs;
use schema::security::{self, Seccomp};
use serde::Serialize;
use std::collections::BTreeMap;

/// Bytes of /dev/shm, if nothing was said.
const SHM_SIZE: u64 = 64 << 20;

/// A part of `HostConfig`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Security<'a> {
    privileged: bool,
    cap_add: Vec<String>,
    cap_drop: Vec<String>,
    readonly_rootfs: bool,
    security_opt: Vec<String>,
    devices: Vec<Device<'a>>,
    group_add: &'a [String],
    sysctls: BTreeMap<&'a str, &'a str>,
    ulimits: Vec<Ulimit<'a>>,
    shm_size: u64,
    tmpfs: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Device<'a> {
    path_on_host: &'a str,
    path_in_container: &'a str,
    cgroup_permissions: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ulimit<'a> {
    name: &'a str,
    /// -1: none.
    hard: i64,
    soft: i64,
}

impl<'a> From<&'a ContainerSpec> for Security<'a> {
    fn from(spec: &'a ContainerSpec) -> Self {
        let security = &spec.security;
        let names = |choices: &[schema::capability::Choice]| choices.iter().map(ToString::to_string).collect();
        let limit = |value: u64| i64::try_from(value).unwrap_or(-1);
        Self {
            privileged: security.privileged,
            cap_add: names(&security.cap_add),
            cap_drop: names(&security.cap_drop),
            readonly_rootfs: security.read_only_root,
            security_opt: options(security),
            devices: security
                .devices
                .iter()
                .map(|device| Device {
                    path_on_host: &device.source,
                    path_in_container: &device.target,
                    cgroup_permissions: device.access.to_string(),
                })
                .collect(),
            group_add: &security.groups,
            sysctls: security.sysctls.iter().filter_map(|text| text.split_once('=')).collect(),
            ulimits: security
                .ulimits
                .iter()
                .map(|one| Ulimit { name: &one.resource, hard: limit(one.hard), soft: limit(one.soft) })
                .collect(),
            shm_size: if security.shm_size == 0 { SHM_SIZE } else { security.shm_size },
            tmpfs: spec.tmpfs.iter().map(|tmpfs| (tmpfs.target.as_str(), mount_options(tmpfs))).collect(),
        }
    }
}

/// As `--security-opt` takes them.
fn options(security: &security::Security) -> Vec<String> {
    let mut options = Vec::new();
    options.extend(security.new_privileges.map(|allowed| format!("no-new-privileges={}", !allowed)));
    match &security.seccomp {
        Seccomp::Usual => {}
        Seccomp::Unconfined => options.push("seccomp=unconfined".to_owned()),
        Seccomp::Profile(json) => options.push(format!("seccomp={json}")),
    }
    if !security.app_armor.is_empty() {
        options.push(format!("apparmor={}", security.app_armor));
    }
    options.extend(security.labels.iter().map(|label| format!("label={label}")));
    if security.system_paths {
        options.push("systempaths=unconfined".to_owned());
    }
    options
}

/// As `--tmpfs` takes them.
fn mount_options(tmpfs: &Tmpfs) -> String {
    let Tmpfs { target: _, size, mode, uid, gid, read_only, exec, suid, dev } = tmpfs;
    let flags =
        [(*read_only, "ro", "rw"), (*exec, "exec", "noexec"), (*suid, "suid", "nosuid"), (*dev, "dev", "nodev")];
    let mut options: Vec<String> =
        flags.into_iter().map(|(set, yes, no)| if set { yes.to_owned() } else { no.to_owned() }).collect();
    options.push(format!("mode={mode:o}"));
    let numbers = [("size", *size), ("uid", u64::from(*uid)), ("gid", u64::from(*gid))];
    options
        .extend(numbers.into_iter().filter(|(_, number)| *number != 0).map(|(key, number)| format!("{key}={number}")));
    options.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::security::tmpfs;

    #[test]
    fn what_was_said_is_shown_as_it_may_be_said_again() {
        let spec = ContainerSpec {
            security: security::Security {
                new_privileges: Some(false),
                seccomp: Seccomp::Profile("{}".into()),
                app_armor: "mine".into(),
                labels: vec!["disable".into()],
                system_paths: true,
                cap_add: vec!["net_admin".parse().unwrap()],
                sysctls: vec!["net.a=1=2".into()],
                ulimits: vec![security::Ulimit { resource: "core".into(), soft: 1, hard: u64::MAX }],
                ..security::Security::default()
            },
            tmpfs: vec![tmpfs("/run:size=4k,exec").unwrap()],
            ..ContainerSpec::default()
        };
        let object = serde_json::to_value(Security::from(&spec)).unwrap();
        let options: Vec<&str> =
            object["SecurityOpt"].as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
        assert_eq!(
            options,
            ["no-new-privileges=true", "seccomp={}", "apparmor=mine", "label=disable", "systempaths=unconfined"]
        );
        assert_eq!(object["CapAdd"][0], "CAP_NET_ADMIN");
        assert_eq!(object["Sysctls"]["net.a"], "1=2");
        assert_eq!(object["Ulimits"][0]["Hard"], -1);
        assert_eq!(object["ShmSize"], 64 << 20);
        let shown = object["Tmpfs"]["/run"].as_str().unwrap();
        assert_eq!(tmpfs(&format!("/run:{shown}")).as_ref(), Ok(&spec.tmpfs[0]));
    }
}
