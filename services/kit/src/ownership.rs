//! Gives a user what another had.

use crate::users::User;
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, fchown, fstat, openat, statat};
use rustix::path::Arg;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Gives a directory, and what its owner has in it, to a user; answers who the owner was, or nothing if it was this user.
/// Blocks. The directory itself is given last: whoever is killed before begins again.
pub fn give<P: Arg>(at: impl AsFd, path: P, user: User) -> io::Result<Option<u32>> {
    let directory = open(at, path)?;
    let stat = fstat(&directory)?;
    let before = stat.st_uid;
    if before == user.uid {
        return Ok(None);
    }
    give_entries(&directory, &stat, before, user)?;
    fchown(&directory, Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)))?;
    Ok(Some(before))
}

/// Only what was the former user's: that may have linked others' files into its directory.
fn give_entries(directory: &OwnedFd, parent: &Stat, before: u32, user: User) -> io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if stat.st_dev != parent.st_dev {
            continue;
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            give_entries(&open(directory, name)?, &stat, before, user)?;
        }
        if stat.st_uid == before {
            let (uid, gid) = (Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)));
            chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
    }
    Ok(())
}

fn open<P: Arg>(at: impl AsFd, path: P) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, chown, symlink};
    use std::path::Path;

    const USER: User = User { uid: 7001, gid: 7002 };

    fn owner(path: &Path) -> (u32, u32) {
        let found = fs::symlink_metadata(path).unwrap();
        (found.uid(), found.gid())
    }

    #[test]
    fn all_of_the_former_user_is_given_and_nothing_else() {
        if !rustix::process::geteuid().is_root() {
            // Nobody else can give anything away.
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let given = directory.path().join("a");
        fs::create_dir_all(given.join("d")).unwrap();
        for name in ["d/f", "others", "outside"] {
            fs::write(given.join(name), "").unwrap();
        }
        let outside = directory.path().join("outside");
        fs::rename(given.join("outside"), &outside).unwrap();
        symlink(&outside, given.join("link")).unwrap();
        chown(given.join("others"), Some(5), Some(5)).unwrap();
        let give = || give(rustix::fs::CWD, &given, USER).unwrap();
        for before in [Some(0), None] {
            assert_eq!(give(), before);
            for name in ["", "d", "d/f", "link"] {
                assert_eq!(owner(&given.join(name)), (USER.uid, USER.gid), "{name}");
            }
            assert_eq!((owner(&given.join("others")), owner(&outside)), ((5, 5), (0, 0)));
        }
        // Killed half-way: it goes on.
        chown(&given, Some(0), Some(0)).unwrap();
        chown(given.join("d"), Some(0), Some(0)).unwrap();
        assert_eq!(give(), Some(0));
        assert_eq!(owner(&given.join("d")), (USER.uid, USER.gid));
    }
}
