//! The listening sockets of an instance.

use crate::{acl, directories, lock};
use kit::orphans::Words;
use rustix::fs::{AtFlags, Mode, OFlags, chmodat, unlinkat};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use schema::{Failure, Instance};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Connections that may wait while a service restarts; the kernel's own limit (net.core.somaxconn) holds too.
const BACKLOG: i32 = 4096;

/// Makes the listening socket of a service, for root alone. A file that is left from an earlier
/// instance is replaced.
pub(crate) fn listen(instance: &Instance, service: &str) -> Result<OwnedFd, Failure> {
    let path = instance.socket(service);
    let listening = bind(&path, SocketType::STREAM).and_then(|socket| {
        net::listen(&socket, BACKLOG)?;
        Ok(socket)
    });
    listening.map_err(|error| Failure::io(format_args!("listening on {}", path.display()), &error))
}

/// Makes a service's notification socket.
pub(crate) fn notification(instance: &Instance, service: &str) -> Result<UnixDatagram, Failure> {
    let path = notification_path(instance, service);
    bind(&path, SocketType::DGRAM)
        .map(UnixDatagram::from)
        .map_err(|error| Failure::io(format_args!("making the socket {}", path.display()), &error))
}

/// Where a service's notification socket is.
pub(crate) fn notification_path(instance: &Instance, service: &str) -> PathBuf {
    directories::notify(instance).join(service)
}

/// Who may connect to a service that is neither root nor a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guests {
    /// User ids.
    pub(crate) users: BTreeSet<u32>,
    /// Group ids.
    pub(crate) groups: BTreeSet<u32>,
}

/// Lets users connect to the socket of a service, beside root: those of the services that call it, and guests. Who is
/// connected is told apart by the service. Nothing is changed that is as it should be: it may be in use.
pub(crate) fn admit(instance: &Instance, service: &str, callers: &[u32], guests: &Guests) -> io::Result<()> {
    let path = instance.socket(service);
    // One caller owns it; more are in its list.
    let (owner, others) = match callers {
        [one] => (*one, &[][..]),
        others => (0, others),
    };
    if fs::symlink_metadata(&path)?.uid() != owner {
        lchown(&path, Some(owner), Some(0))?;
    }
    let users: BTreeSet<u32> = guests.users.iter().chain(others).copied().filter(|user| *user != owner).collect();
    if users.is_empty() && guests.groups.is_empty() {
        acl::remove(&path)?;
        return fs::set_permissions(path, Permissions::from_mode(if callers.is_empty() { 0o600 } else { 0o660 }));
    }
    let list = acl::list(&users, &guests.groups);
    match acl::set(&path, &list) {
        Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => {
            tracing::error!(
                service,
                "its socket is on a file system without access control lists: only root can connect"
            );
            fs::set_permissions(path, Permissions::from_mode(if others.is_empty() { 0o660 } else { 0o666 }))
        }
        set => set,
    }
}

/// Lets a user write to the notification socket of a service.
pub(crate) fn give_notification(instance: &Instance, service: &str, uid: u32) -> io::Result<()> {
    let path = notification_path(instance, service);
    lchown(&path, Some(uid), Some(0))?;
    fs::set_permissions(path, Permissions::from_mode(0o660))
}

/// Removes what an instance has in its runtime directory for these services, in this order. The lock goes last: whoever gets
/// it next finds nothing of ours.
pub(crate) fn remove<'a>(instance: &Instance, services: impl Iterator<Item = &'a str>) -> io::Result<()> {
    for service in services {
        remove_file(&instance.socket(service))?;
        remove_file(&directories::pid_file(instance, service))?;
    }
    for directory in [directories::notify(instance), directories::view(instance), instance.access()] {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // What is in it belongs to containers that go on.
    let _ = fs::remove_dir(instance.sandboxes());
    let _ = fs::remove_dir(Words::of(instance).directory());
    remove_file(&lock::path(instance))
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Binds a socket of mode 0600 by way of its open directory: the kernel takes paths of up to 107 bytes only.
fn bind(path: &Path, kind: SocketType) -> io::Result<OwnedFd> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory = rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    match unlinkat(&directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let socket = net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    net::bind(&socket, &SocketAddrUnix::new(&short)?)?;
    // Nobody can connect before the mode is right: it does not listen yet, or its directory is closed.
    chmodat(&directory, name, Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_have_long_paths_and_tight_modes_and_replace_stale_files() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("r".repeat(200));
        let instance = Instance::new(directory.path(), &run).configured_by(directory.path().join("config"));
        directories::make(&instance).unwrap();
        for _ in 0..2 {
            listen(&instance, "a").unwrap();
            notification(&instance, "a").unwrap();
        }
        for path in [instance.socket("a"), notification_path(&instance, "a")] {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        remove(&instance, ["a", "b"].into_iter()).unwrap();
        assert_eq!(fs::read_dir(&run).unwrap().count(), 0);
    }
}
