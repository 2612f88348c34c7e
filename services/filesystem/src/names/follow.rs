//! Noticing that the host has other name servers.

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// A file that is written in place is looked at when its writer is done.
const EVENTS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// Calls `changed` once at the beginning, and then whenever what one of these files says is other than before.
/// Blocks; ends only if the kernel has no more watches to give, with the reason.
pub(crate) fn follow(files: &[PathBuf], mut changed: impl FnMut()) -> rustix::io::Result<()> {
    let watches = inotify::init(CreateFlags::CLOEXEC)?;
    let mut before = None;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    loop {
        // Watched first, read then: what comes between is an event.
        for path in places(files) {
            watch(watches.as_fd(), &path)?;
        }
        let now: Vec<_> = files.iter().map(|file| fs::read(file).ok()).collect();
        if before.as_ref() != Some(&now) {
            before = Some(now);
            changed();
        }
        let mut events = Reader::new(&watches, &mut buffer);
        loop {
            match events.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {}
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            if events.is_buffer_empty() {
                break;
            }
        }
    }
}

/// What must be watched to learn of a change of these files: the files, the directories that hold them, the same
/// of what they are links to, and where there is no such directory the one in which it would appear.
fn places(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut places = BTreeSet::new();
    for file in files {
        let link = fs::read_link(file).ok().map(|target| file.parent().unwrap_or(Path::new("/")).join(target));
        for path in [Some(file.clone()), link, fs::canonicalize(file).ok()].into_iter().flatten() {
            places.extend(path.ancestors().skip(1).find(|above| above.is_dir()).map(Path::to_owned));
            places.insert(path);
        }
    }
    places
}

fn watch(watches: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<()> {
    match inotify::add_watch(watches, path, EVENTS) {
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    fn following(file: &Path) -> Receiver<Option<Vec<u8>>> {
        let (sender, changes) = channel();
        let file = file.to_owned();
        std::thread::spawn(move || follow(std::slice::from_ref(&file), || drop(sender.send(fs::read(&file).ok()))));
        changes
    }

    /// Waits until the follower has seen this. Each change may be seen in steps.
    fn expect(changes: &Receiver<Option<Vec<u8>>>, content: Option<&str>) {
        while changes.recv_timeout(Duration::from_secs(20)).expect("the change is noticed").as_deref()
            != content.map(str::as_bytes)
        {}
    }

    #[test]
    fn a_file_is_followed_however_it_changes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("etc/resolv.conf");
        let changes = following(&file);
        expect(&changes, None);
        fs::create_dir(directory.path().join("etc")).unwrap();
        fs::write(&file, "1").unwrap();
        expect(&changes, Some("1"));
        fs::write(&file, "2").unwrap();
        expect(&changes, Some("2"));
        fs::write(directory.path().join("etc/new"), "3").unwrap();
        fs::rename(directory.path().join("etc/new"), &file).unwrap();
        expect(&changes, Some("3"));
        fs::remove_file(&file).unwrap();
        expect(&changes, None);
        symlink("../run/stub", &file).unwrap();
        fs::create_dir(directory.path().join("run")).unwrap();
        fs::write(directory.path().join("run/stub"), "4").unwrap();
        expect(&changes, Some("4"));
        fs::write(directory.path().join("run/stub"), "5").unwrap();
        expect(&changes, Some("5"));
    }
}
