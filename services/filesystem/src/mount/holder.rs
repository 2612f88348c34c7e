//! Which sandbox has a container's writable layer. Two at once would damage it, and the kernel only warns.

use schema::Failure;
use schema::common::SandboxRef;
use std::fs;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const FILE: &str = "holder";
/// How long the previous sandbox, which was killed, may take to disappear.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// Gives the writable layer to a sandbox, when no other has it any more. The container's directory exists.
pub(super) fn take(directory: &Path, sandbox: &SandboxRef) -> Result<(), Failure> {
    let path = directory.join(FILE);
    let boot = free(&path, Some(sandbox))?;
    let SandboxRef { pid, start_time } = sandbox;
    kit::file::write_atomically(&path, format!("{boot} {pid} {start_time}\n").as_bytes())
        .map_err(|error| recording(&path, &error))
}

/// Waits until no sandbox has the writable layer.
pub(super) fn wait(directory: &Path) -> Result<(), Failure> {
    free(&directory.join(FILE), None).map(drop)
}

/// Whether a sandbox that lives has the writable layer.
pub(super) fn is_held(directory: &Path) -> Result<bool, Failure> {
    let path = directory.join(FILE);
    let failed = |error: io::Error| recording(&path, &error);
    let boot = kit::process::boot_id().map_err(failed)?;
    let holder = holder(&path, &boot).map_err(failed)?;
    Ok(holder.is_some_and(|holder| kit::process::is_alive(holder.pid, holder.start_time)))
}

/// Waits until no other sandbox has the writable layer. Gives the id of this boot.
fn free(path: &Path, sandbox: Option<&SandboxRef>) -> Result<String, Failure> {
    let failed = |error: io::Error| recording(path, &error);
    let boot = kit::process::boot_id().map_err(failed)?;
    let until = Instant::now() + PATIENCE;
    while let Some(other) = holder(path, &boot).map_err(failed)?.filter(|other| Some(other) != sandbox) {
        if !kit::process::is_alive(other.pid, other.start_time) {
            break;
        }
        if Instant::now() > until {
            return Err(Failure::conflict(format_args!(
                "the container's filesystem is in use by another sandbox, of process {}",
                other.pid
            ))
            .hint("stop the container first"));
        }
        sleep(PAUSE);
    }
    Ok(boot)
}

fn recording(path: &Path, error: &io::Error) -> Failure {
    Failure::io(format_args!("recording the sandbox in {}", path.display()), error)
}

/// The recorded sandbox, if it is one of this boot.
fn holder(path: &Path, boot: &str) -> io::Result<Option<SandboxRef>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text, boot)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(text: &str, boot: &str) -> Option<SandboxRef> {
    let (pid, start_time) = text.strip_prefix(boot)?.trim().split_once(' ')?;
    Some(SandboxRef { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Code;

    #[test]
    fn only_a_living_sandbox_of_this_boot_is_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        let ours = SandboxRef { pid, start_time: kit::process::start_time(pid).unwrap() };
        let other = SandboxRef { pid: 999_999_999, start_time: 1 };
        for sandbox in [&other, &ours, &ours] {
            take(directory.path(), sandbox).unwrap();
        }
        assert!(is_held(directory.path()).unwrap());
        assert_eq!(take(directory.path(), &other).unwrap_err().code, Code::Conflict);
        fs::write(directory.path().join(FILE), format!("another-boot {pid} {}", ours.start_time)).unwrap();
        take(directory.path(), &other).unwrap();
        assert!(!is_held(directory.path()).unwrap());
    }
}
