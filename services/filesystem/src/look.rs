//! Finding what a user names in a container.

use crate::beneath::{self, is_directory, lookup};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use schema::Failure;
use schema::filesystem::{FileKind, PathStat};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What lies at a path.
#[derive(Debug)]
pub(crate) struct Found {
    /// The directory that holds it, and its name there; `.` if it was named as a directory.
    pub(crate) parent: OwnedFd,
    pub(crate) name: OsString,
    pub(crate) stat: Stat,
    /// It, if it is a directory.
    pub(crate) directory: Option<OwnedFd>,
    /// How it was called: the last name of the path; empty if that names nothing (`/`, `a/.`, `a/..`).
    pub(crate) called: Vec<u8>,
}

/// Finds what lies at a path beneath a root. Links on the way are followed beneath the root; a last one only
/// if the path ends with a slash or a dot. Fails with `notFound`.
pub(crate) fn find(root: BorrowedFd<'_>, path: &str) -> Result<Found, Failure> {
    if path.contains('\0') {
        return Err(Failure::invalid(format_args!("{path:?} has a zero byte")));
    }
    let trimmed = path.trim_end_matches('/');
    let (parent, last) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
    let names_nothing = matches!(last, "" | "." | "..");
    let found = if names_nothing || path.ends_with('/') {
        beneath::open_directory(root, OsStr::new(trimmed)).and_then(|directory| {
            let stat = rustix::fs::fstat(&directory)?;
            Ok((directory, OsString::from("."), Some(stat)))
        })
    } else {
        beneath::open_directory(root, OsStr::new(parent)).and_then(|parent| {
            let stat = lookup(parent.as_fd(), OsStr::new(last))?;
            Ok((parent, OsString::from(last), stat))
        })
    };
    let (parent, name, stat) = found.map_err(|error| failed(path, error))?;
    let stat = stat.ok_or_else(|| failed(path, Errno::NOENT))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(&parent, &name, flags, Mode::empty());
    let directory = is_directory(&stat).then(open).transpose().map_err(|error| failed(path, error))?;
    let called = if names_nothing { Vec::new() } else { last.as_bytes().to_vec() };
    Ok(Found { parent, name, stat, directory, called })
}

/// What a user is told of it.
pub(crate) fn describe(root: BorrowedFd<'_>, path: &str) -> Result<PathStat, Failure> {
    let Found { parent, name, stat, .. } = find(root, path)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    };
    let link_target = match kind {
        FileKind::Symlink => {
            rustix::fs::readlinkat(&parent, &name, Vec::new()).map_err(|error| failed(path, error))?.into_bytes()
        }
        _ => Vec::new(),
    };
    Ok(PathStat {
        kind,
        mode: stat.st_mode & 0o7777,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified_at: nanoseconds(&stat),
        link_target,
    })
}

/// Time of last change, in nanoseconds since the epoch.
fn nanoseconds(stat: &Stat) -> i64 {
    stat.st_mtime.saturating_mul(1_000_000_000).saturating_add_unsigned(stat.st_mtime_nsec)
}

pub(crate) fn failed(path: &str, error: Errno) -> Failure {
    match error {
        Errno::NOENT => Failure::not_found(format_args!("the container has no {path}")),
        Errno::NOTDIR => Failure::not_found(format_args!("a part of {path} is not a directory")),
        Errno::LOOP => Failure::invalid(format_args!("too many links on the way to {path}")),
        Errno::NAMETOOLONG => Failure::invalid(format_args!("{path} is too long for a path")),
        _ => Failure::io(format_args!("looking for {path} in the container"), &error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::Code;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_last_link_is_named_and_those_before_are_followed() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        fs::create_dir_all(root.join("dir/sub")).unwrap();
        fs::write(root.join("dir/file"), "12345").unwrap();
        fs::write(outer.path().join("secret"), "").unwrap();
        symlink("/dir", root.join("link")).unwrap();
        symlink("../secret", root.join("out")).unwrap();
        let fd = beneath::open_root(&root).unwrap();
        let kind = |path: &str| describe(fd.as_fd(), path).map(|stat| stat.kind);
        assert_eq!(kind("/link").unwrap(), FileKind::Symlink);
        assert_eq!(describe(fd.as_fd(), "/out").unwrap().link_target, b"../secret");
        for directory in ["/link/", "link/.", "/", "", "dir", "dir/sub/..", "../../.."] {
            assert_eq!(kind(directory).unwrap(), FileKind::Directory, "{directory}");
        }
        assert_eq!(describe(fd.as_fd(), "/link/file").unwrap().size, 5);
        for none in ["/out/", "/none", "/dir/file/", "/dir/file/x", "/link/none/.."] {
            assert_eq!(kind(none).unwrap_err().code, Code::NotFound, "{none}");
        }
        let called = |path: &str| String::from_utf8(find(fd.as_fd(), path).unwrap().called).unwrap();
        let expected = [("/dir/", "dir"), ("/dir/.", ""), ("/", ""), ("link", "link"), ("dir/..", "")];
        for (path, name) in expected {
            assert_eq!(called(path), name, "{path}");
        }
    }
}
