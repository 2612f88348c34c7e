//! What the processes of a container may do: `Security` of `common.capnp`.

use crate::Failure;
use crate::bindings::common_capnp::{self, device, security, ulimit};
use crate::capability::Choice;
use crate::wire::{Wire, length, list, set_list, set_texts, text, texts};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a container's processes may do, beyond or short of what those of each may. The default is what a container has
/// if nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// As good as root on the host.
    pub privileged: bool,
    /// See [`crate::capability::chosen`].
    pub cap_add: Vec<Choice>,
    /// See [`crate::capability::chosen`].
    pub cap_drop: Vec<Choice>,
    /// Whether the root filesystem cannot be written.
    pub read_only_root: bool,
    /// Whether programs may give more rights than their user has; none: only if privileged.
    pub new_privileges: Option<bool>,
    /// Which system calls.
    pub seccomp: Seccomp,
    /// `unconfined`, or a profile; empty: the engine's own where it is loaded.
    pub app_armor: String,
    /// SELinux: `type:T` and the like, or `disable`.
    pub labels: Vec<String>,
    /// Whether nothing of /proc and /sys is hidden or read-only.
    pub system_paths: bool,
    /// Devices of the host.
    pub devices: Vec<Device>,
    /// Further groups, names or numbers.
    pub groups: Vec<String>,
    /// `name=value`.
    pub sysctls: Vec<String>,
    /// Limits of each process.
    pub ulimits: Vec<Ulimit>,
    /// Bytes of /dev/shm; 0: the engine's default.
    pub shm_size: u64,
}

/// Which system calls a container's processes may make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seccomp {
    /// Those of the engine's list; all, if privileged.
    #[default]
    Usual,
    /// All.
    Unconfined,
    /// What this profile says.
    Profile(String),
}

/// A device of the host, or a directory of such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Absolute path on the host.
    pub source: String,
    /// Absolute path in the container, below /dev.
    pub target: String,
    /// What may be done to it.
    pub access: Access,
}

impl Device {
    /// The names on the way to it in the container, below /dev. Fails with `invalidArgument` if it is elsewhere: other
    /// directories have no devices.
    pub fn below_dev(&self) -> Result<Vec<&str>, Failure> {
        let mut names = self.target.split('/').filter(|name| !matches!(*name, "" | "."));
        let first = names.next();
        let names: Vec<&str> = names.collect();
        if first != Some("dev") || names.is_empty() || names.contains(&"..") || self.target.contains('\0') {
            return Err(Failure::invalid(format_args!("a device cannot be at {:?} in the container", self.target))
                .hint("devices are below /dev: write --device /dev/HOST:/dev/CONTAINER"));
        }
        Ok(names)
    }
}

/// Kernel parameters that a container has of its own, in its namespaces of System V IPC and message queues.
const SYSCTLS: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];

/// Name and value of a kernel parameter, `name=value`. Fails with `invalidArgument` for one that is the host's.
pub fn sysctl(text: &str) -> Result<(&str, &str), Failure> {
    let plain = |name: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        name.bytes().all(is_plain) && !name.contains("..") && !name.ends_with('.')
    };
    match text.split_once('=') {
        Some((name, value)) if plain(name) && !value.contains(['\0', '\n']) => {
            if SYSCTLS.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.") {
                Ok((name, value))
            } else {
                Err(Failure::invalid(format_args!(
                    "the kernel parameter {name:?} is the host's: a container has none of its own"
                ))
                .hint("those of net., fs.mqueue. and System V IPC can be set; see `sysctl` on the host for the others"))
            }
        }
        _ => Err(Failure::invalid(format_args!("{text:?} is no kernel parameter"))
            .hint("write NAME=VALUE, as in net.core.somaxconn=1024")),
    }
}

/// Resources that a process may use up to a limit, and their numbers.
const RESOURCES: [(&str, u32); 15] = [
    ("core", 4),
    ("cpu", 0),
    ("data", 2),
    ("fsize", 1),
    ("locks", 10),
    ("memlock", 8),
    ("msgqueue", 12),
    ("nice", 13),
    ("nofile", 7),
    ("nproc", 6),
    ("rss", 5),
    ("rtprio", 14),
    ("rttime", 15),
    ("sigpending", 11),
    ("stack", 3),
];

impl Ulimit {
    /// The number of its resource. Fails with `invalidArgument` if it has no meaning.
    pub fn number(&self) -> Result<u32, Failure> {
        let Self { resource, soft, hard } = self;
        if soft > hard {
            return Err(Failure::invalid(format_args!(
                "the limit of {resource}: {soft} is more than {hard}, which it may be raised to"
            )));
        }
        let known = RESOURCES.iter().find(|(name, _)| name == resource);
        known.map(|(_, number)| *number).ok_or_else(|| {
            let names: Vec<&str> = RESOURCES.iter().map(|(name, _)| *name).collect();
            Failure::invalid(format_args!("{resource:?} is no resource that is limited"))
                .hint(format_args!("there are {}", names.join(", ")))
        })
    }
}

/// What a resource is called; its number, if it has no name.
pub fn resource_name(number: u32) -> String {
    let known = RESOURCES.iter().find(|(_, known)| *known == number);
    known.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

/// A part of an SELinux label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelPart {
    /// `user_u`.
    User,
    /// `role_r`.
    Role,
    /// `type_t`.
    Type,
    /// `s0:c1,c2`.
    Level,
}

/// What `type:T` and the like say; none: `disable`. Fails with `invalidArgument` if it has no meaning.
pub fn label(text: &str) -> Result<Option<(LabelPart, &str)>, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b',' | b':');
    let part = match text.split_once(':') {
        None if text == "disable" => return Ok(None),
        Some(("user", value)) => Some((LabelPart::User, value)),
        Some(("role", value)) => Some((LabelPart::Role, value)),
        Some(("type", value)) => Some((LabelPart::Type, value)),
        Some(("level", value)) => Some((LabelPart::Level, value)),
        _ => None,
    };
    let part = part.filter(|(part, value)| {
        !value.is_empty() && value.bytes().all(plain) && (*part == LabelPart::Level || !value.contains([':', ',']))
    });
    part.map(Some).ok_or_else(|| {
        Failure::invalid(format_args!("{text:?} is no SELinux label"))
            .hint("write label=user:USER, role:ROLE, type:TYPE, level:LEVEL, or label=disable")
    })
}

/// Whether a text can be the name of an AppArmor profile.
pub fn is_profile_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    (1..=255).contains(&text.len()) && text.bytes().all(plain)
}

/// What may be done to a device: at least one of reading, writing, and making its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Access {
    /// Reading.
    pub read: bool,
    /// Writing.
    pub write: bool,
    /// Making its node.
    pub make: bool,
}

impl Access {
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, make: true };
}

impl FromStr for Access {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let mut access = Self { read: false, write: false, make: false };
        for letter in text.chars() {
            let place = match letter {
                'r' => &mut access.read,
                'w' => &mut access.write,
                'm' => &mut access.make,
                _ => return Err(no_access(text)),
            };
            if std::mem::replace(place, true) {
                return Err(no_access(text));
            }
        }
        if text.is_empty() { Err(no_access(text)) } else { Ok(access) }
    }
}

fn no_access(text: &str) -> Failure {
    Failure::invalid(format_args!("{text:?} is not an access to a device"))
        .hint("write r (read), w (write) and m (make its node), each once at most")
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(self.read, "r"), (self.write, "w"), (self.make, "m")];
        letters.into_iter().filter(|(set, _)| *set).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

crate::text_form!(Access);

/// A limit of each process (setrlimit(2)); `u64::MAX` is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Without `RLIMIT_`, in lower case.
    pub resource: String,
    /// What counts.
    pub soft: u64,
    /// What a process may raise it to.
    pub hard: u64,
}

impl Wire for Security {
    type Owned = security::Owned;

    fn read(reader: security::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            privileged: reader.get_privileged(),
            cap_add: choices(reader.get_cap_add())?,
            cap_drop: choices(reader.get_cap_drop())?,
            read_only_root: reader.get_read_only_root(),
            new_privileges: match reader.get_new_privileges()? {
                common_capnp::NewPrivileges::Usual => None,
                common_capnp::NewPrivileges::Denied => Some(false),
                common_capnp::NewPrivileges::Allowed => Some(true),
            },
            seccomp: match reader.get_seccomp().which()? {
                security::seccomp::Usual(()) => Seccomp::Usual,
                security::seccomp::Unconfined(()) => Seccomp::Unconfined,
                security::seccomp::Profile(profile) => Seccomp::Profile(text(profile)?),
            },
            app_armor: text(reader.get_app_armor())?,
            labels: texts(reader.get_labels())?,
            system_paths: reader.get_system_paths(),
            devices: list(reader.get_devices())?,
            groups: texts(reader.get_groups())?,
            sysctls: texts(reader.get_sysctls())?,
            ulimits: list(reader.get_ulimits())?,
            shm_size: reader.get_shm_size(),
        })
    }

    fn write(&self, mut builder: security::Builder<'_>) {
        let Self {
            privileged,
            cap_add,
            cap_drop,
            read_only_root,
            new_privileges,
            seccomp,
            app_armor,
            labels,
            system_paths,
            devices,
            groups,
            sysctls,
            ulimits,
            shm_size,
        } = self;
        let names = |choices: &[Choice]| choices.iter().map(ToString::to_string).collect::<Vec<_>>();
        builder.set_privileged(*privileged);
        set_texts(builder.reborrow().init_cap_add(length(cap_add)), &names(cap_add));
        set_texts(builder.reborrow().init_cap_drop(length(cap_drop)), &names(cap_drop));
        builder.set_read_only_root(*read_only_root);
        builder.set_new_privileges(match new_privileges {
            None => common_capnp::NewPrivileges::Usual,
            Some(false) => common_capnp::NewPrivileges::Denied,
            Some(true) => common_capnp::NewPrivileges::Allowed,
        });
        let mut filter = builder.reborrow().init_seccomp();
        match seccomp {
            Seccomp::Usual => filter.set_usual(()),
            Seccomp::Unconfined => filter.set_unconfined(()),
            Seccomp::Profile(profile) => filter.set_profile(profile),
        }
        builder.set_app_armor(app_armor);
        set_texts(builder.reborrow().init_labels(length(labels)), labels);
        builder.set_system_paths(*system_paths);
        set_list(builder.reborrow().init_devices(length(devices)), devices);
        set_texts(builder.reborrow().init_groups(length(groups)), groups);
        set_texts(builder.reborrow().init_sysctls(length(sysctls)), sysctls);
        set_list(builder.reborrow().init_ulimits(length(ulimits)), ulimits);
        builder.set_shm_size(*shm_size);
    }
}

fn choices(reader: capnp::Result<capnp::text_list::Reader<'_>>) -> Result<Vec<Choice>, Failure> {
    texts(reader)?.iter().map(|name| name.parse()).collect()
}

impl Wire for Device {
    type Owned = device::Owned;

    fn read(reader: device::Reader<'_>) -> Result<Self, Failure> {
        let (source, target) = (text(reader.get_source())?, text(reader.get_target())?);
        for path in [&source, &target] {
            if !path.starts_with('/') || path.contains('\0') {
                return Err(Failure::invalid(format_args!("the path of a device {path:?} is not absolute"))
                    .hint("write --device /dev/HOST[:/dev/CONTAINER[:rwm]]"));
            }
        }
        let device = Self { source, target, access: text(reader.get_access())?.parse()? };
        device.below_dev()?;
        Ok(device)
    }

    fn write(&self, mut builder: device::Builder<'_>) {
        let Self { source, target, access } = self;
        builder.set_source(source);
        builder.set_target(target);
        builder.set_access(access.to_string());
    }
}

impl Wire for Ulimit {
    type Owned = ulimit::Owned;

    fn read(reader: ulimit::Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { resource: text(reader.get_resource())?, soft: reader.get_soft(), hard: reader.get_hard() })
    }

    fn write(&self, mut builder: ulimit::Builder<'_>) {
        let Self { resource, soft, hard } = self;
        builder.set_resource(resource);
        builder.set_soft(*soft);
        builder.set_hard(*hard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accesses_in_letters() {
        assert_eq!("rwm".parse(), Ok(Access::ALL));
        assert_eq!("mr".parse::<Access>().map(|access| access.to_string()), Ok("rm".to_owned()));
        for bad in ["", "x", "rr", "RW", "rwmx", "ro"] {
            assert!(bad.parse::<Access>().unwrap_err().message.contains(&format!("{bad:?}")));
        }
    }

    #[test]
    fn devices_are_below_dev() {
        let of = |target: &str| {
            let device = Device { source: "/dev/x".into(), target: target.into(), access: Access::ALL };
            device.below_dev().map(|names| names.join(" "))
        };
        assert_eq!(of("/dev/fuse").as_deref(), Ok("fuse"));
        assert_eq!(of("//dev/./bus//usb/1").as_deref(), Ok("bus usb 1"));
        for bad in ["/dev", "/dev/", "/etc/x", "/dev/../etc", "/dev/a/..", "/devices/x", "/"] {
            assert!(of(bad).unwrap_err().message.contains(bad), "{bad}");
        }
    }

    #[test]
    fn only_a_containers_own_kernel_parameters_can_be_set() {
        assert_eq!(sysctl("net.ipv4.ip_forward=1"), Ok(("net.ipv4.ip_forward", "1")));
        assert_eq!(sysctl("kernel.sem=1 2 3 4"), Ok(("kernel.sem", "1 2 3 4")));
        assert_eq!(sysctl("fs.mqueue.queues_max=5"), Ok(("fs.mqueue.queues_max", "5")));
        for (bad, named) in [
            ("kernel.hostname=x", "kernel.hostname"),
            ("vm.drop_caches=1", "vm.drop_caches"),
            ("net.ipv4", "\"net.ipv4\""),
            ("net.../x=1", "net.../x"),
            ("net..x=1", "net..x"),
            ("", "\"\""),
            ("=1", "\"\""),
            ("netx=1", "netx"),
        ] {
            assert!(sysctl(bad).unwrap_err().message.contains(named), "{bad}");
        }
    }

    #[test]
    fn limits_of_processes_have_names_and_two_values() {
        let of = |resource: &str, soft, hard| Ulimit { resource: resource.into(), soft, hard }.number();
        assert_eq!(of("nofile", 1, u64::MAX), Ok(7));
        assert!(of("nofiles", 1, 1).unwrap_err().message.contains("nofiles"));
        assert!(of("nofile", 2, 1).unwrap_err().message.contains("nofile"));
    }

    #[test]
    fn labels_have_parts() {
        assert_eq!(label("type:container_t"), Ok(Some((LabelPart::Type, "container_t"))));
        assert_eq!(label("level:s0:c1,c2"), Ok(Some((LabelPart::Level, "s0:c1,c2"))));
        assert_eq!(label("disable"), Ok(None));
        for bad in ["", "type:", "type:a b", "colour:red", "enable", "type:a:b"] {
            assert!(label(bad).unwrap_err().message.contains(&format!("{bad:?}")), "{bad}");
        }
        assert!(is_profile_name("docker-default") && is_profile_name("/usr/bin/x//y"));
        assert!(!is_profile_name("") && !is_profile_name("a b") && !is_profile_name("a\n"));
    }

    proptest! {
        #[test]
        fn a_kernel_parameter_never_leaves_proc_sys(text in "[a-z./=]{0,20}") {
            if let Ok((name, _)) = sysctl(&text) {
                prop_assert!(!name.replace('.', "/").split('/').any(|part| part.is_empty() || part == ".."));
            }
        }

        #[test]
        fn an_access_is_written_as_it_is_read(text in "[rwm]{0,4}") {
            if let Ok(access) = text.parse::<Access>() {
                prop_assert_eq!(access.to_string().parse(), Ok(access));
            }
        }
    }
}
