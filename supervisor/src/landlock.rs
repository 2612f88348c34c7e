//! Landlock (landlock(7)): what a service may do with files, held by the kernel to paths that are named, whatever else it
//! comes to see. It also ends where the service ends: none of its processes traces, or sends a signal to, one of others.
//!
//! The rules are made before the fork; the child only takes them upon itself.

use crate::privileges::Network;
use crate::sys;
use crate::view::{Thing, Use};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// The version of the interface that first allows to move files between directories: that of Linux 5.19. By an older one, it
/// would be forbidden.
const OLDEST: u32 = 2;
/// Versions from which on there is more.
const TRUNCATE: u32 = 3;
const NETWORK: u32 = 4;
const DEVICES: u32 = 5;
const SCOPES: u32 = 6;
const AUDIT: u32 = 7;

/// What may be done with files: `LANDLOCK_ACCESS_FS_*`.
mod file {
    pub(super) const EXECUTE: u64 = 1 << 0;
    pub(super) const WRITE: u64 = 1 << 1;
    pub(super) const READ: u64 = 1 << 2;
    pub(super) const READ_DIRECTORY: u64 = 1 << 3;
    pub(super) const MAKE_CHARACTER_DEVICE: u64 = 1 << 6;
    pub(super) const MAKE_BLOCK_DEVICE: u64 = 1 << 11;
    pub(super) const TRUNCATE: u64 = 1 << 14;
    pub(super) const DEVICE_CONTROL: u64 = 1 << 15;
    /// All of the oldest version that is used.
    pub(super) const OLDEST: u64 = (1 << 14) - 1;
    /// What can be done with something that is no directory.
    pub(super) const OF_FILES: u64 = EXECUTE | WRITE | READ | TRUNCATE | DEVICE_CONTROL;
}

/// TCP, to listen and to connect: `LANDLOCK_ACCESS_NET_*`.
const TCP: u64 = 0b11;
/// Abstract sockets and signals: `LANDLOCK_SCOPE_*`.
const OUTSIDE: u64 = 0b11;
/// What is refused after the program is executed is in the kernel's audit log, too.
const LOG_AFTER_EXECUTION: u32 = 1 << 1;

/// Rules, ready to be taken on.
#[derive(Debug)]
pub(crate) struct Rules {
    ruleset: OwnedFd,
    flags: u32,
    version: u32,
}

impl Rules {
    /// Those by which these things, and no others, may be used as is said; without a network, no TCP either.
    pub(crate) fn new(things: &[Thing], network: Network, version: u32) -> io::Result<Self> {
        let handled = handled(network, version);
        let ruleset = sys::make_ruleset(&handled)?;
        for Thing { path, how, is_directory } in things {
            let opened = match openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
                // It is gone since it was found: then it is not seen either.
                Err(Errno::NOENT) => continue,
                other => other?,
            };
            sys::allow_beneath(&ruleset, opened.as_fd(), rights(*how, *is_directory) & handled.files)?;
        }
        let flags = if version >= AUDIT { LOG_AFTER_EXECUTION } else { 0 };
        Ok(Self { ruleset, flags, version })
    }

    /// Puts this process, and all that come of it, under the rules. Allocates nothing.
    pub(crate) fn take_on(&self) -> Result<(), Errno> {
        sys::restrict(&self.ruleset, self.flags)
    }

    /// The version of the kernel's interface.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }
}

/// The version of the interface that the kernel has; or why there is none to use.
pub(crate) fn version() -> Result<u32, &'static str> {
    match sys::ruleset_version() {
        Ok(version) if version >= OLDEST => Ok(version),
        Ok(_) => Err("the Landlock of this kernel is older than that of Linux 5.19"),
        Err(Errno::OPNOTSUPP) => Err("Landlock is not among the security modules that the kernel was booted with"),
        Err(_) => Err("the kernel has no Landlock"),
    }
}

/// All that a kernel of a version can forbid, and that is not the network's.
fn handled(network: Network, version: u32) -> sys::Handled {
    let since = |first: u32, what: u64| if version >= first { what } else { 0 };
    sys::Handled {
        files: file::OLDEST | since(TRUNCATE, file::TRUNCATE) | since(DEVICES, file::DEVICE_CONTROL),
        network: if network == Network::None { since(NETWORK, TCP) } else { 0 },
        scopes: since(SCOPES, OUTSIDE),
    }
}

fn rights(how: Use, is_directory: bool) -> u64 {
    let rights = match how {
        Use::Read | Use::Processes => file::READ | file::READ_DIRECTORY,
        Use::Execute => file::READ | file::READ_DIRECTORY | file::EXECUTE,
        Use::Device => file::READ | file::WRITE,
        Use::Write => {
            let never = file::EXECUTE | file::MAKE_CHARACTER_DEVICE | file::MAKE_BLOCK_DEVICE;
            (file::OLDEST | file::TRUNCATE) & !never
        }
    };
    if is_directory { rights } else { rights & file::OF_FILES }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::net::TcpListener;
    use std::path::Path;

    #[test]
    fn newer_kernels_are_asked_for_more() {
        let bits = |network, version| {
            let sys::Handled { files, network, scopes } = handled(network, version);
            (files.count_ones(), network, scopes)
        };
        assert_eq!(bits(Network::None, 2), (14, 0, 0));
        assert_eq!(bits(Network::None, 4), (15, 3, 0));
        assert_eq!(bits(Network::None, 99), (16, 3, 3));
        assert_eq!(bits(Network::Host, 7), (16, 0, 3));
    }

    #[test]
    fn files_have_no_rights_of_directories() {
        assert_eq!(rights(Use::Write, false), file::READ | file::WRITE | file::TRUNCATE);
        assert_eq!(rights(Use::Read, false), file::READ);
        assert_eq!(rights(Use::Execute, false), file::READ | file::EXECUTE);
        assert_eq!(rights(Use::Write, true).count_ones(), 12);
    }

    /// On a thread of its own, which alone is under the rules.
    fn under(things: Vec<Thing>, network: Network, test: impl FnOnce() + Send + 'static) {
        let rules = Rules::new(&things, network, version().unwrap()).unwrap();
        let thread = std::thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            rules.take_on().unwrap();
            test();
        });
        thread.join().unwrap();
    }

    #[test]
    fn what_is_not_named_cannot_be_read_or_written() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().to_owned();
        for made in ["own/a", "own/b", "seen", "other"] {
            fs::create_dir_all(base.join(made)).unwrap();
        }
        for made in ["own/a/file", "seen/file", "other/file", "log", "log.other"] {
            fs::write(base.join(made), "text").unwrap();
        }
        let thing = |name: &str, how| Thing { path: base.join(name), how, is_directory: base.join(name).is_dir() };
        let things = [("own", Use::Write), ("seen", Use::Read), ("log", Use::Write), ("missing", Use::Write)];
        under(things.map(|(name, how)| thing(name, how)).into(), Network::None, move || {
            let at = |name: &str| base.join(name);
            let refused = |done: io::Result<()>| {
                assert_eq!(done.map_err(|error| error.kind()), Err(io::ErrorKind::PermissionDenied));
            };
            let read = |path: &Path| fs::read(path).map(drop);
            fs::rename(at("own/a/file"), at("own/b/file")).unwrap();
            fs::write(at("own/new"), "").unwrap();
            fs::remove_file(at("own/new")).unwrap();
            assert_eq!(fs::read_dir(at("own")).unwrap().count(), 2);
            read(&at("seen/file")).unwrap();
            fs::write(at("log"), "more").unwrap();
            refused(fs::write(at("seen/file"), ""));
            refused(fs::write(at("seen/new"), ""));
            for name in ["other/file", "log.other"] {
                refused(read(&at(name)));
                refused(fs::write(at(name), ""));
                refused(fs::remove_file(at(name)));
            }
            refused(fs::read_dir(at("other")).map(drop));
            refused(fs::read_dir("/").map(drop));
            refused(fs::rename(at("own/b/file"), at("other/moved")));
            refused(TcpListener::bind("127.0.0.1:0").map(drop));
        });
    }

    #[test]
    fn a_network_of_ones_own_may_be_used() {
        under(Vec::new(), Network::Host, || drop(TcpListener::bind("127.0.0.1:0").unwrap()));
    }
}
