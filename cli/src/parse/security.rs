//! What a container may do, in words: capabilities, devices, `--security-opt`, and more of the kind.

use super::{Parsed, number};
use schema::Failure;
use schema::capability::Choice;
use schema::filesystem::Tmpfs;
use schema::security::{Access, Device, Ulimit, is_profile_name, label, sysctl};
use std::path::PathBuf;

/// An option of `--security-opt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecurityOpt {
    /// Whether programs may give more rights than their user has.
    NewPrivileges(bool),
    /// No filter of system calls.
    Unfiltered,
    /// The engine's filter.
    UsualFilter,
    /// The filter of this file.
    Filter(PathBuf),
    /// An AppArmor profile, or `unconfined`.
    AppArmor(String),
    /// A part of an SELinux label, or `disable`.
    Label(String),
    /// Nothing of /proc and /sys is hidden.
    SystemPaths,
}

const EXPECTED: &str = "expected no-new-privileges[=true|false], seccomp=FILE|unconfined, apparmor=PROFILE|unconfined, \
                        label=PART:VALUE|disable, or systempaths=unconfined";

/// `key=value`, or Docker's older `key:value`.
pub(crate) fn security_opt(text: &str) -> Parsed<SecurityOpt> {
    let (key, value) = match text.split_once(['=', ':']) {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    };
    match (key, value) {
        ("no-new-privileges", None | Some("true")) => Ok(SecurityOpt::NewPrivileges(false)),
        ("no-new-privileges", Some("false")) => Ok(SecurityOpt::NewPrivileges(true)),
        ("no-new-privileges", Some(other)) => Err(format!("{other:?} is neither true nor false")),
        ("seccomp", Some("unconfined")) => Ok(SecurityOpt::Unfiltered),
        ("seccomp", Some("builtin")) => Ok(SecurityOpt::UsualFilter),
        ("seccomp", Some(file)) if !file.is_empty() => Ok(SecurityOpt::Filter(file.into())),
        ("apparmor", Some(profile)) if is_profile_name(profile) => Ok(SecurityOpt::AppArmor(profile.to_owned())),
        ("label", Some(part)) => label(part).map(|_| SecurityOpt::Label(part.to_owned())).map_err(told),
        ("systempaths", Some("unconfined")) => Ok(SecurityOpt::SystemPaths),
        ("systempaths", _) => Err("expected systempaths=unconfined".to_owned()),
        ("seccomp" | "apparmor" | "label", _) => Err(format!("{key} needs a value; {EXPECTED}")),
        _ => Err(format!("unknown option {key:?}; {EXPECTED}")),
    }
}

/// A failure in one line.
fn told(failure: Failure) -> String {
    let Failure { code: _, message, hint } = failure;
    if hint.is_empty() { message } else { format!("{message}; {hint}") }
}

/// A capability, or ALL.
pub(crate) fn capability(text: &str) -> Parsed<Choice> {
    text.parse().map_err(told)
}

/// `name=value` of a kernel parameter.
pub(crate) fn kernel_parameter(text: &str) -> Parsed<String> {
    sysctl(text).map(|_| text.to_owned()).map_err(told)
}

/// `/dev/host[:/dev/container][:rwm]`.
pub(crate) fn device(text: &str) -> Parsed<Device> {
    let expected = || "expected /dev/HOST[:/dev/CONTAINER][:rwm]".to_owned();
    let all = Access::ALL;
    let (source, target, access) = match text.split(':').collect::<Vec<_>>()[..] {
        [source] => (source, source, all),
        // As Docker has it: what is made of the letters alone says what may be done.
        [source, access] if !access.starts_with('/') => (source, source, access.parse().map_err(told)?),
        [source, target] => (source, target, all),
        [source, target, access] => (source, target, access.parse().map_err(told)?),
        _ => return Err(expected()),
    };
    if !source.starts_with('/') || !target.starts_with('/') {
        return Err(expected());
    }
    let device = Device { source: source.to_owned(), target: target.to_owned(), access };
    device.below_dev().map_err(told)?;
    Ok(device)
}

/// `name=soft[:hard]`; -1: no limit.
pub(crate) fn ulimit(text: &str) -> Parsed<Ulimit> {
    let expected = || "expected NAME=SOFT[:HARD], as in nofile=1024:2048".to_owned();
    let (resource, values) = text.split_once('=').ok_or_else(expected)?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let value = |text: &str| if text == "-1" { Ok(u64::MAX) } else { text.parse().map_err(|_| expected()) };
    let limit = Ulimit { resource: resource.to_owned(), soft: value(soft)?, hard: value(hard)? };
    limit.number().map_err(told)?;
    Ok(limit)
}

/// Permissions of a tmpfs, as Docker has them.
const USUAL_MODE: u32 = 0o1777;

/// `/path[:option,...]`.
pub(crate) fn tmpfs(text: &str) -> Parsed<Tmpfs> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    if !target.starts_with('/') {
        return Err("expected /CONTAINER/PATH[:OPTIONS]".to_owned());
    }
    let mut tmpfs = Tmpfs {
        target: target.to_owned(),
        size: 0,
        mode: USUAL_MODE,
        uid: 0,
        gid: 0,
        read_only: false,
        exec: false,
        suid: false,
        dev: false,
    };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        let number = || value.parse().map_err(|_| format!("{option:?}: expected a number"));
        match (key, value) {
            ("rw", "") => tmpfs.read_only = false,
            ("ro", "") => tmpfs.read_only = true,
            ("exec", "") => tmpfs.exec = true,
            ("noexec", "") => tmpfs.exec = false,
            ("suid", "") => tmpfs.suid = true,
            ("nosuid", "") => tmpfs.suid = false,
            ("dev", "") => tmpfs.dev = true,
            ("nodev", "") => tmpfs.dev = false,
            ("size", _) => tmpfs.size = number::size(value).map_err(|error| format!("{option:?}: {error}"))?,
            ("mode", _) => match u32::from_str_radix(value, 8) {
                Ok(mode @ ..=0o7777) => tmpfs.mode = mode,
                _ => return Err(format!("{option:?}: expected permissions in octal digits, as in mode=1777")),
            },
            ("uid", _) => tmpfs.uid = number()?,
            ("gid", _) => tmpfs.gid = number()?,
            _ => {
                return Err(format!(
                    "unknown option {option:?}; expected size=, mode=, uid=, gid=, and rw, ro, exec, noexec, suid, nosuid, \
                     dev, nodev"
                ));
            }
        }
    }
    Ok(tmpfs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_of_security() {
        for (text, wanted) in [
            ("no-new-privileges", SecurityOpt::NewPrivileges(false)),
            ("no-new-privileges=true", SecurityOpt::NewPrivileges(false)),
            ("no-new-privileges:false", SecurityOpt::NewPrivileges(true)),
            ("seccomp=unconfined", SecurityOpt::Unfiltered),
            ("seccomp=/a:b/c=d.json", SecurityOpt::Filter("/a:b/c=d.json".into())),
            ("apparmor=docker-default", SecurityOpt::AppArmor("docker-default".into())),
            ("label=level:s0:c1", SecurityOpt::Label("level:s0:c1".into())),
            ("label=disable", SecurityOpt::Label("disable".into())),
            ("systempaths=unconfined", SecurityOpt::SystemPaths),
        ] {
            assert_eq!(security_opt(text).as_ref(), Ok(&wanted), "{text}");
        }
        for (bad, named) in [
            ("", "\"\""),
            ("no-new-privileges=1", "\"1\""),
            ("seccomp", "seccomp"),
            ("seccomp=", "seccomp"),
            ("apparmor=", "apparmor"),
            ("label=colour:red", "colour:red"),
            ("systempaths=x", "systempaths"),
            ("credentialspec=x", "credentialspec"),
        ] {
            let error = security_opt(bad).unwrap_err();
            assert!(error.contains(named) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn devices_in_words() {
        let of = |text| device(text).map(|device| format!("{} {} {}", device.source, device.target, device.access));
        for (text, wanted) in [
            ("/dev/fuse", "/dev/fuse /dev/fuse rwm"),
            ("/dev/sda:r", "/dev/sda /dev/sda r"),
            ("/dev/sda:/dev/xvda", "/dev/sda /dev/xvda rwm"),
            ("/dev/sda:/dev/xvda:rw", "/dev/sda /dev/xvda rw"),
        ] {
            assert_eq!(of(text).as_deref(), Ok(wanted));
        }
        for bad in [
            "",
            "fuse",
            "/dev/a:b",
            "/dev/a:/dev/b:x",
            "/dev/a:/dev/b:r:w",
            "/dev/a:/etc/b",
            "/dev/a:",
            "/dev/a:/dev/b:",
        ] {
            assert!(device(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_and_parameters_in_words() {
        assert_eq!(ulimit("nofile=10:20").map(|limit| (limit.soft, limit.hard)), Ok((10, 20)));
        assert_eq!(ulimit("core=-1").map(|limit| (limit.soft, limit.hard)), Ok((u64::MAX, u64::MAX)));
        for bad in ["", "nofile", "nofile=", "nofile=x", "nofile=2:1", "files=1", "nofile=1:2:3"] {
            assert!(ulimit(bad).is_err(), "{bad}");
        }
        assert!(kernel_parameter("net.ipv4.ip_forward=1").is_ok());
        assert!(kernel_parameter("kernel.panic=1").unwrap_err().contains("kernel.panic"));
        assert!(capability("net_admin").is_ok() && capability("FLY").unwrap_err().contains("\"FLY\""));
    }

    #[test]
    fn memory_in_words() {
        let usual = tmpfs("/tmp").unwrap();
        assert_eq!(
            (usual.size, usual.mode, usual.exec, usual.suid, usual.dev, usual.read_only),
            (0, 0o1777, false, false, false, false)
        );
        let run = tmpfs("/run:rw,exec,size=64k,mode=0750,uid=1,gid=2").unwrap();
        assert_eq!((run.size, run.mode, run.uid, run.gid, run.exec), (64 << 10, 0o750, 1, 2, true));
        for bad in
            ["", "tmp", "/tmp:colour", "/tmp:mode=9", "/tmp:mode=17777", "/tmp:size=x", "/tmp:uid=-1", "/tmp:ro=1"]
        {
            assert!(tmpfs(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_word_is_answered(text in "[a-z0-9=:,/-]{0,30}") {
            let _ = (security_opt(&text), device(&text), ulimit(&text), tmpfs(&text), capability(&text), kernel_parameter(&text));
        }
    }
}
