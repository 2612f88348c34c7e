//! Where the programs of the services are.

use crate::replacement;
use rustix::fs::{Access, access};
use schema::Failure;
use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Says where the programs are; set it to an absolute path.
pub(crate) const VARIABLE: &str = "CCTL_LIBEXEC";
/// Where a package installs them, from the directory of this program.
const INSTALLED: &str = "../libexec/cctl";

/// The directory that holds these programs: `CCTL_LIBEXEC` if it is set, else the directory of this program if
/// it holds any of them, else `../libexec/cctl` from there. Fails if one is missing.
pub(crate) fn find(executables: &[&str]) -> Result<PathBuf, Failure> {
    let own = env::current_exe().map_err(|error| Failure::io("finding the path of this program", &error))?;
    let given = env::var_os(VARIABLE).map(PathBuf::from);
    let directory = choose(given, own.parent().unwrap_or(&own), |directory| {
        executables.iter().any(|name| !name.starts_with('/') && directory.join(name).exists())
    })?;
    check(&directory, executables)?;
    Ok(directory)
}

/// Fails if a program is missing in this directory, or elsewhere if that is said, where it must be root's.
pub(crate) fn check(directory: &Path, executables: &[&str]) -> Result<(), Failure> {
    for name in executables {
        if name.starts_with('/') {
            replacement::check(Path::new(name))?;
            continue;
        }
        let path = directory.join(name);
        if !path.is_file() || access(&path, Access::EXEC_OK).is_err() {
            return Err(Failure::not_found(format_args!("{} is missing or not executable", path.display()))
                .hint(format_args!("install all programs of cctl together, or set {VARIABLE} to their directory")));
        }
    }
    Ok(())
}

/// The directory that the process that started this one has found.
pub(crate) fn given() -> Result<PathBuf, Failure> {
    env::var_os(VARIABLE).map(PathBuf::from).ok_or_else(|| Failure::invalid(format_args!("{VARIABLE} is not set")))
}

/// The file of this program as it is installed now: what runs may have been replaced meanwhile. Fails if there is none
/// that can be executed.
pub(crate) fn own_file() -> io::Result<PathBuf> {
    let path = installed(std::fs::read_link(crate::handover::THIS_PROGRAM)?);
    access(&path, Access::EXEC_OK)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(path)
}

/// The kernel marks the name of a file that was removed or replaced (proc(5), /proc/pid/exe).
fn installed(link: PathBuf) -> PathBuf {
    match link.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(path) => PathBuf::from(OsStr::from_bytes(path)),
        None => link,
    }
}

fn choose(given: Option<PathBuf>, own: &Path, holds_any: impl Fn(&Path) -> bool) -> Result<PathBuf, Failure> {
    match given {
        Some(path) if path.is_absolute() => Ok(path),
        Some(path) => Err(Failure::invalid(format_args!("{VARIABLE}={} is not an absolute path", path.display()))),
        None if holds_any(own) => Ok(own.to_owned()),
        None => Ok(own.join(INSTALLED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_its_name() {
        assert_eq!(installed("/a/b (deleted)".into()), Path::new("/a/b"));
        assert_eq!(installed("/a/b".into()), Path::new("/a/b"));
    }

    #[test]
    fn the_variable_goes_first_then_our_own_directory() {
        let own = Path::new("/usr/bin");
        assert_eq!(choose(Some("/x".into()), own, |_| true).unwrap(), Path::new("/x"));
        assert_eq!(choose(None, own, |path| path == own).unwrap(), own);
        assert_eq!(choose(None, own, |_| false).unwrap(), Path::new("/usr/bin/../libexec/cctl"));
        assert!(choose(Some("x".into()), own, |_| true).unwrap_err().message.contains("CCTL_LIBEXEC=x"));
    }
}
