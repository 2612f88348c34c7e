//! Gives a service's files to the user that it runs as: those of an instance that was made when it ran as another.

use kit::users::User;
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, fstat, openat, statat};
use schema::Instance;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, fchown};
use std::path::Path;

/// Makes the state directory of a service, and gives it and all that is in it to its user. Blocks. The directory itself
/// is given last: whoever is killed before begins again.
pub(crate) fn give_state(instance: &Instance, service: &str, user: User) -> io::Result<()> {
    let path = instance.state(service);
    if user == User::ROOT && !path.exists() {
        // It makes what it needs itself.
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    let directory = open(rustix::fs::CWD, &path)?;
    let stat = fstat(&directory)?;
    let before = stat.st_uid;
    if before == user.uid {
        return Ok(());
    }
    tracing::info!(service, from = before, to = user.uid, "giving the state to the user of the service");
    give_entries(&directory, &stat, before, user)?;
    fchown(&directory, Some(user.uid), Some(user.gid))
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

fn open<P: rustix::path::Arg>(at: impl AsFd, path: P) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, path, flags, Mode::empty())?)
}

/// Makes the log files of a service, for its user alone.
pub(crate) fn give_log(instance: &Instance, service: &str, user: User) -> io::Result<()> {
    let log = instance.log(service);
    for path in [kit::log::previous(&log), log] {
        let file = append(&path)?;
        fchown(&file, Some(user.uid), Some(user.gid))?;
    }
    Ok(())
}

fn append(path: &Path) -> io::Result<File> {
    #[allow(clippy::cast_possible_wrap)]
    let flags = OFlags::NOFOLLOW.bits() as i32;
    OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, chown, symlink};

    const FORMER: User = User { uid: 0, gid: 0 };
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
        let instance = Instance::new(directory.path(), directory.path());
        let state = instance.state("a");
        give_state(&instance, "a", FORMER).unwrap();
        fs::create_dir(&state).unwrap();
        fs::create_dir(state.join("d")).unwrap();
        for name in ["d/f", "others", "outside"] {
            fs::write(state.join(name), "").unwrap();
        }
        let outside = directory.path().join("outside");
        fs::rename(state.join("outside"), &outside).unwrap();
        symlink(&outside, state.join("link")).unwrap();
        chown(state.join("others"), Some(5), Some(5)).unwrap();
        for _ in 0..2 {
            give_state(&instance, "a", USER).unwrap();
            for name in ["", "d", "d/f", "link"] {
                assert_eq!(owner(&state.join(name)), (USER.uid, USER.gid), "{name}");
            }
            assert_eq!((owner(&state.join("others")), owner(&outside)), ((5, 5), (0, 0)));
        }
        // Killed half-way: it goes on.
        chown(&state, Some(0), Some(0)).unwrap();
        chown(state.join("d"), Some(0), Some(0)).unwrap();
        give_state(&instance, "a", USER).unwrap();
        assert_eq!(owner(&state.join("d")), (USER.uid, USER.gid));
    }
}
