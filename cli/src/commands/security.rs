//! From the arguments of `run` and `create` to what the processes of a container may do: pure, but for a file that holds
//! a profile.

use crate::args::Confined;
use crate::parse::security::SecurityOpt;
use schema::Failure;
use schema::security::{Seccomp, Security};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of a profile, at most.
const LONGEST_PROFILE: u64 = 256 << 10;

/// What is asked for. Relative paths begin at `directory`.
pub(super) fn security(arguments: &Confined, directory: &Path) -> Result<Security, Failure> {
    let mut security = Security {
        privileged: arguments.privileged,
        cap_add: arguments.cap_add.clone(),
        cap_drop: arguments.cap_drop.clone(),
        read_only_root: arguments.read_only,
        devices: arguments.device.clone(),
        groups: arguments.group_add.clone(),
        sysctls: arguments.sysctl.clone(),
        ulimits: arguments.ulimit.clone(),
        shm_size: arguments.shm_size,
        ..Security::default()
    };
    for option in &arguments.security_opt {
        match option {
            SecurityOpt::NewPrivileges(allowed) => security.new_privileges = Some(*allowed),
            SecurityOpt::Unfiltered => security.seccomp = Seccomp::Unconfined,
            SecurityOpt::UsualFilter => security.seccomp = Seccomp::Usual,
            SecurityOpt::Filter(file) => security.seccomp = Seccomp::Profile(profile(&directory.join(file))?),
            SecurityOpt::AppArmor(profile) => security.app_armor.clone_from(profile),
            SecurityOpt::Label(part) => security.labels.push(part.clone()),
            SecurityOpt::SystemPaths => security.system_paths = true,
        }
    }
    Ok(security)
}

fn profile(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_PROFILE + 1).read_to_string(&mut text));
    match read {
        Ok(length) if length as u64 > LONGEST_PROFILE => {
            Err(Failure::invalid(format_args!("the seccomp profile {} is longer than 256 KiB", path.display())))
        }
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Failure::invalid(format_args!("the seccomp profile {} is no text", path.display())))
        }
        Err(error) => Err(Failure::invalid(format_args!("the seccomp profile {}: {error}", path.display()))
            .hint("name a file with a profile as Docker's, or `unconfined`")),
    }
}
