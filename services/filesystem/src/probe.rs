//! Whether layers can be mounted here for a container with user ids of its own, for `cctl system doctor`: it is done once,
//! for a user namespace that ends with this process, in a mount namespace that does so too. Prints a [`Report`] as JSON.

use crate::mount::{Users, map_and_mount};
use crate::sys;
use schema::Failure;
use schema::common::IdRange;
use serde::Serialize;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

/// The argument that asks for it; the directory follows in which it is tried.
pub const ARGUMENT: &str = "--probe";
/// Which ids does not matter.
const BASE: u32 = 0x2000_0000;

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    /// Why there is no user namespace, or no mapped overlay; none: there was.
    users: Option<String>,
}

/// Tries, and prints. The exit code says only whether there is a report.
pub fn run(directory: &Path) -> ExitCode {
    let users = attempt(directory).err().map(|failure| failure.message);
    match serde_json::to_string(&Report { users }) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("printing the report: {error}");
            ExitCode::FAILURE
        }
    }
}

fn attempt(place: &Path) -> Result<(), Failure> {
    let ids = IdRange::new(BASE).ok_or_else(|| Failure::internal("no ids"))?;
    let namespace = sys::new_user_namespace(ids).map_err(|error| Failure::io("making a user namespace", &error))?;
    let users = Users { namespace, ids };
    let directory = place.join(format!(".cctl-probe-{}", std::process::id()));
    let failed = |error: io::Error| Failure::io(directory.display(), &error);
    let tried = make(&directory).map_err(failed).and_then(|()| {
        std::thread::scope(|scope| {
            // The thread is in another mount namespace afterwards, and somebody else to file systems.
            let thread = scope.spawn(|| write(&directory, &users));
            thread.join().unwrap_or_else(|_| Err(Failure::internal("the attempt has failed")))
        })
    });
    let owner = fs::metadata(directory.join("upper/file")).map(|file| file.uid());
    fs::remove_dir_all(&directory).map_err(failed)?;
    tried?;
    match owner.map_err(failed)? {
        0 => Ok(()),
        other => Err(Failure::internal(format_args!("what root has written belongs to {other} on the disk"))),
    }
}

fn make(directory: &Path) -> io::Result<()> {
    fs::create_dir(directory)?;
    ["lower", "upper", "work"].into_iter().try_for_each(|name| fs::create_dir(directory.join(name)))
}

fn write(directory: &Path, users: &Users) -> Result<(), Failure> {
    let root = map_and_mount(directory, users)?;
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CREATE | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::openat(&root, "file", flags, rustix::fs::Mode::RUSR);
    file.map(drop).map_err(|error| Failure::io("writing to an overlay with mapped ids", &error.into()))
}
