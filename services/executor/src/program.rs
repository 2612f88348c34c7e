//! The monitor's program.

use crate::sys;
use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};
use schema::Failure;
use std::env;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where the program is looked for, if it does not lie beside this one.
const LIBEXEC: &str = "CCTL_LIBEXEC";
const NAME: &str = "cctl-shim";

/// Where the program is.
pub(crate) struct Program {
    path: PathBuf,
    /// Its directory, mounted read-only and nowhere to be seen. A container can get hold of the file that a process
    /// in it was executed from (/proc/self/exe, as in CVE-2019-5736), and through this it cannot write to it.
    shielded: Option<OwnedFd>,
}

impl Program {
    /// Looks for it.
    pub(crate) fn find() -> Result<Self, Failure> {
        let directory = match env::var_os(LIBEXEC) {
            Some(directory) => PathBuf::from(directory),
            None => {
                let own = env::current_exe().map_err(|error| Failure::io("finding this program's own file", &error))?;
                own.parent().map(PathBuf::from).unwrap_or_default()
            }
        };
        let path = directory.join(NAME);
        if !path.is_file() {
            return Err(Failure::internal(format_args!("the monitor's program {} is missing", path.display()))
                .hint(format_args!("install it there, or set {LIBEXEC} to the directory that has it")));
        }
        let shielded = shield(&directory)
            .inspect_err(|error| tracing::warn!(%error, path = %path.display(), "cannot shield the monitor's program"));
        Ok(Self { path, shielded: shielded.ok() })
    }

    /// Its name for people.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path by which it is executed.
    pub(crate) fn executable(&self) -> PathBuf {
        match &self.shielded {
            Some(directory) => format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd()).into(),
            None => self.path.clone(),
        }
    }
}

/// A read-only mount of a directory (open_tree and mount_setattr, Linux 5.12).
fn shield(directory: &Path) -> io::Result<OwnedFd> {
    let tree = open_tree(CWD, directory, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    sys::make_read_only(&tree)?;
    Ok(tree)
}
