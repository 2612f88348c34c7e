//! Gives a service's files to the user that it runs as: those of an instance that was made when it ran as another.

use kit::users::User;
use rustix::fs::OFlags;
use schema::Instance;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, fchown};
use std::path::Path;

/// Makes the state directory of a service, and gives it and all that is in it to its user. Blocks.
pub(crate) fn give_state(instance: &Instance, service: &str, user: User) -> io::Result<()> {
    let path = instance.state(service);
    if user == User::ROOT && !path.exists() {
        // It makes what it needs itself.
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    if let Some(from) = kit::ownership::give(rustix::fs::CWD, &path, user)? {
        tracing::info!(service, from, to = user.uid, "the state was given to the user of the service");
    }
    Ok(())
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
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_state_is_made_for_its_user() {
        if !rustix::process::geteuid().is_root() {
            // Nobody else can give anything away.
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new(directory.path(), directory.path());
        give_state(&instance, "a", User::ROOT).unwrap();
        assert!(!instance.state("a").exists());
        give_state(&instance, "a", User { uid: 7001, gid: 7002 }).unwrap();
        let made = fs::metadata(instance.state("a")).unwrap();
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o777), (7001, 7002, 0o700));
    }
}
