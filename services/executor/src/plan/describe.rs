//! What it means that a step of a plan has failed.

use schema::Failure;
use schema::security::resource_name;
use shim_protocol::plan::{STEP_CGROUP, STEP_CLONE, STEP_JOIN, STEP_READ, Step, Steps, Strings};
use std::ffi::CStr;
use std::io;

/// The failure that a user sees, from the plan, the number of the step that failed, and the error number.
pub(crate) fn failure(plan: &[u8], step: u32, errno: i32) -> Failure {
    let error = io::Error::from_raw_os_error(errno);
    let outside = match step {
        STEP_READ => Some("reading the plan of the process"),
        STEP_CLONE => Some("creating the process"),
        STEP_CGROUP => Some("joining the container's cgroup"),
        STEP_JOIN => Some("joining the container"),
        _ => None,
    };
    if let Some(doing) = outside {
        return Failure::io(doing, &error);
    }
    let number = usize::try_from(step).unwrap_or(usize::MAX);
    match Steps::new(plan).ok().and_then(|mut steps| steps.nth(number)) {
        Some(Ok(step)) => of_step(&step, errno, &error),
        _ => Failure::io(format_args!("step {step} of starting the process"), &error),
    }
}

fn of_step(step: &Step<'_>, errno: i32, error: &io::Error) -> Failure {
    let io = |doing: String| Failure::io(doing, error);
    match step {
        Step::Execute { candidates, arguments, .. } => of_execute(*candidates, *arguments, errno, error),
        Step::Pivot {} if matches!(errno, libc::EINVAL | libc::EBUSY) => {
            Failure::conflict("the container's root filesystem is not mounted")
        }
        Step::Directory { path, .. } if matches!(errno, libc::ENOTDIR | libc::ELOOP) => {
            Failure::invalid(format_args!("{} is not an ordinary directory in the image", text(path)))
                .hint("use an image in which it is one, or is missing")
        }
        Step::Node { path, .. } if errno == libc::EEXIST => {
            Failure::invalid(format_args!("the device {} is there already", text(path)))
                .hint("choose another path below /dev")
        }
        Step::WorkingDirectory { path, .. } => of_working_directory(path, errno, error),
        Step::Unshare { .. } => io("making namespaces".to_owned()),
        Step::Pivot {} => io("changing the root".to_owned()),
        Step::Directory { path, .. } => io(format!("making the directory {}", text(path))),
        Step::Mount { kind, target, .. } => io(format!("mounting {} on {}", text(kind), text(target))),
        Step::Node { path, .. } => io(format!("making the device {}", text(path))),
        Step::Link { path, .. } => io(format!("making the link {}", text(path))),
        Step::Mask { path } => io(format!("hiding {}", text(path))),
        Step::ReadOnly { path, .. } => io(format!("making {} read-only", text(path))),
        Step::Write { path, content } => of_write(&text(path), &String::from_utf8_lossy(content), error),
        Step::Give { path, .. } => io(format!("giving away {}", text(path))),
        Step::Limit { resource, soft, hard } => Failure::invalid(format_args!(
            "the limits {soft}:{hard} of {} cannot be set: {error}",
            resource_name(*resource)
        ))
        .hint("a limit cannot be above that of the executor, if the host does not give it CAP_SYS_RESOURCE"),
        Step::Join { .. } => io("joining the container's namespaces".to_owned()),
        Step::Terminal { .. } | Step::FurtherTerminal { .. } => io("making the terminal".to_owned()),
        Step::Streams {} | Step::Pipes { .. } => io("connecting the standard streams".to_owned()),
        Step::Mask022 {} => io("setting the file mode creation mask".to_owned()),
        Step::Credentials { uid, gid, .. } | Step::Identity { uid, gid, .. } => {
            io(format!("becoming user {uid} and group {gid}"))
        }
        Step::FilesOf { id } => io(format!("making files of user {id}")),
        Step::Await {} => io("waiting for the rest of the plan".to_owned()),
        Step::Users {} => io("entering the container's user namespace".to_owned()),
        Step::Seccomp { .. } => io("filtering system calls".to_owned()),
    }
}

/// A kernel parameter, a security profile, or something of ours.
fn of_write(path: &str, content: &str, error: &io::Error) -> Failure {
    if let Some(parameter) = path.strip_prefix("/proc/sys/") {
        let name = parameter.replace('/', ".");
        return Failure::invalid(format_args!("the kernel parameter {name} cannot be set to {content}: {error}"))
            .hint("`sysctl` on the host shows which there are, and their values");
    }
    if path.starts_with("/proc/self/attr/") {
        let label = content.trim_start_matches("exec ");
        return Failure::invalid(format_args!("the security label or profile {label:?} cannot be taken on: {error}"))
            .hint("see that it is loaded, and that the host's policy lets the executor take it on");
    }
    Failure::io(format_args!("writing to {path}"), error)
}

fn text(path: &CStr) -> String {
    path.to_string_lossy().into_owned()
}

fn of_working_directory(path: &CStr, errno: i32, error: &io::Error) -> Failure {
    let path = text(path);
    match errno {
        libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENAMETOOLONG | libc::EACCES | libc::EROFS | libc::EINVAL => {
            Failure::invalid(format_args!("the working directory {path:?} cannot be entered: {error}"))
                .hint("use a directory of the image")
        }
        _ => Failure::io(format_args!("entering the working directory {path:?}"), error),
    }
}

fn of_execute(candidates: Strings<'_>, arguments: Strings<'_>, errno: i32, error: &io::Error) -> Failure {
    let command = arguments.iter().next().map(text).unwrap_or_default();
    // A name was looked up; a path was given.
    let looked_up = candidates.iter().next().is_none_or(|first| text(first) != command);
    let reason = match errno {
        libc::ENOENT | libc::ENOTDIR if looked_up => "executable file not found in $PATH".to_owned(),
        libc::ENOENT | libc::ENOTDIR => "no such file or directory".to_owned(),
        libc::EACCES => "permission denied".to_owned(),
        libc::ENOEXEC => "exec format error".to_owned(),
        libc::EISDIR => "is a directory".to_owned(),
        _ => error.to_string(),
    };
    let message = format!("exec: {command:?}: {reason}");
    match errno {
        libc::ENOENT | libc::ENOTDIR => {
            Failure::command_not_found(message).hint("check the command's spelling, and that the image has it")
        }
        libc::ENOEXEC => Failure::not_executable(message)
            .hint("check that the program is for this machine, or that the script has a #! line"),
        libc::E2BIG => Failure::invalid(message).hint("pass fewer or shorter arguments and environment variables"),
        libc::ENOMEM | libc::EAGAIN | libc::ENFILE | libc::EMFILE => {
            Failure::io(format_args!("exec: {command:?}"), error)
        }
        _ => Failure::not_executable(message).hint("check that the file is an executable program"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Code;
    use shim_protocol::plan;

    fn plan(command: &str) -> Vec<u8> {
        let arguments = format!("{command}\0-x\0");
        let strings = Strings::new(arguments.as_bytes()).unwrap();
        let candidates = if command.contains('/') { arguments.clone() } else { format!("/bin/{command}\0") };
        let candidates = Strings::new(candidates.as_bytes()).unwrap();
        let steps = [
            Step::Pivot {},
            Step::WorkingDirectory { path: c"/w", uid: 0, gid: 0 },
            Step::Execute { candidates, arguments: strings, environment: Strings::EMPTY },
        ];
        let mut bytes = Vec::new();
        plan::encode(steps, &mut |piece| bytes.extend_from_slice(piece));
        bytes
    }

    #[test]
    fn commands_that_are_not_there_are_told_from_those_that_are_no_programs() {
        let of = |command, errno| failure(&plan(command), 2, errno);
        let missing = of("foo", libc::ENOENT);
        assert_eq!(missing.code, Code::CommandNotFound);
        assert_eq!(missing.message, "exec: \"foo\": executable file not found in $PATH");
        assert_eq!(of("/foo", libc::ENOENT).message, "exec: \"/foo\": no such file or directory");
        for errno in [libc::EACCES, libc::ENOEXEC, libc::EISDIR, libc::ELOOP, libc::ETXTBSY] {
            assert_eq!(of("foo", errno).code, Code::NotExecutable);
        }
        assert_eq!(of("foo", libc::E2BIG).code, Code::InvalidArgument);
        assert_eq!(of("foo", libc::ENOMEM).code, Code::ResourceExhausted);
    }

    #[test]
    fn steps_are_named() {
        let of = |step, errno| failure(&plan("foo"), step, errno);
        assert_eq!(of(0, libc::EINVAL).code, Code::Conflict);
        assert_eq!(of(1, libc::ENOTDIR).code, Code::InvalidArgument);
        assert!(of(1, libc::ENOTDIR).message.contains("\"/w\""));
        assert_eq!(of(STEP_CLONE, libc::EAGAIN).code, Code::ResourceExhausted);
        assert_eq!(of(77, libc::EIO).code, Code::Internal);
        assert!(of(STEP_CGROUP, libc::EIO).message.contains("cgroup"));
    }
}
