//! The directories of an instance.

use kit::orphans::Words;
use schema::{Failure, Instance};
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Makes the directories of an instance, where they are missing. What is in them has modes of its own; only
/// the runtime directory is open to all, so that everybody can connect to a socket that lets them.
pub(crate) fn make(instance: &Instance) -> Result<(), Failure> {
    make_one(instance.root(), 0o711)?;
    make_one(instance.run(), 0o755)?;
    // A service that is shown this directory does not see one that is made later. Where /etc cannot be changed, there
    // is nothing to be read in it either.
    let _ = make_one(instance.config(), 0o755);
    make_one(&notify(instance), 0o700)?;
    Words::of(instance).make().map_err(|error| Failure::io("making the directory of what orphans leave", &error))?;
    make_one(&view(instance), 0o700)?;
    make_one(&instance.access(), 0o755)?;
    make_one(&instance.sandboxes(), 0o711)?;
    // One of before may be closed to those who need what is in it.
    fs::set_permissions(instance.sandboxes(), Permissions::from_mode(0o711))
        .map_err(|error| Failure::io(format_args!("opening {}", instance.sandboxes().display()), &error))?;
    if let Some(logs) = instance.log("").parent() {
        make_one(logs, 0o700)?;
    }
    Ok(())
}

/// Where the services' notification sockets are.
pub(crate) fn notify(instance: &Instance) -> PathBuf {
    instance.run().join("notify")
}

/// Where a service's view of the host is put together, in a mount namespace of its own; elsewhere it is empty.
pub(crate) fn view(instance: &Instance) -> PathBuf {
    instance.run().join("view")
}

/// Where the running process of a service is recorded.
pub(crate) fn pid_file(instance: &Instance, service: &str) -> PathBuf {
    instance.run().join(format!("{service}.pid"))
}

fn make_one(path: &Path, mode: u32) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|error| {
        let failure = Failure::io(format_args!("making the directory {}", path.display()), &error);
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => failure.hint("run cctl as root"),
            _ => failure,
        }
    })
}
