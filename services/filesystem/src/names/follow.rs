//! Noticing that the host has other name servers.

use kit::actor::on_thread;
use kit::watch;
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use schema::Failure;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;

/// A file that is written in place is looked at when its writer is done.
const EVENTS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);
/// How long nothing is looked at when the kernel has no more watches to give: a user's are counted for all of its
/// programs together, inotify(7).
const AGAIN: Duration = Duration::from_secs(5);

/// What each of the files says; nothing of one that cannot be read.
type Contents = Vec<Option<Vec<u8>>>;

/// Calls `changed` once at the beginning, and then whenever what one of these files says is other than before.
/// Never ends. While they cannot be watched they are read from time to time.
pub(crate) async fn follow(files: Arc<[PathBuf]>, mut changed: impl FnMut()) -> Infallible {
    let mut before = None;
    let mut look = |now: Contents| {
        if before.as_ref() != Some(&now) {
            before = Some(now);
            changed();
        }
    };
    let mut told = None;
    loop {
        let Err(failure) = watched(&files, &mut look).await;
        if told.as_ref() != Some(&failure.message) {
            tracing::warn!(%failure, "the host's name servers are looked at every {} s only", AGAIN.as_secs());
            told = Some(failure.message);
        }
        let read = Arc::clone(&files);
        if let Ok(now) = on_thread(move || Ok(contents(&read))).await {
            look(now);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Tells what the files say, at the beginning and after each change.
async fn watched(files: &Arc<[PathBuf]>, look: &mut impl FnMut(Contents)) -> Result<Infallible, Failure> {
    let failed = |error: io::Error| {
        Failure::io("watching the files that name the host's name servers", &error)
            .hint("see the sysctls fs.inotify.max_user_instances and fs.inotify.max_user_watches")
    };
    let start = || {
        let watches = Arc::new(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?);
        Ok((Arc::clone(&watches), watch(watches, Interest::READABLE)?))
    };
    let (watches, events) = start().map_err(failed)?;
    loop {
        let (watches, files) = (Arc::clone(&watches), Arc::clone(files));
        let read = on_thread(move || {
            // Watched first, read then: what comes between is an event.
            for path in places(&files) {
                place(watches.as_fd(), &path).map_err(|error| failed(error.into()))?;
            }
            Ok(contents(&files))
        });
        look(read.await?);
        let mut ready = events.readable().await.map_err(failed)?;
        drain(events.as_fd()).map_err(|error| failed(error.into()))?;
        ready.clear_ready();
    }
}

/// Takes all that has come: what it was is of no interest, the files are read.
fn drain(watches: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = Reader::new(watches, &mut buffer);
    loop {
        match events.next() {
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn contents(files: &[PathBuf]) -> Contents {
    files.iter().map(|file| fs::read(file).ok()).collect()
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

fn place(watches: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<()> {
    match inotify::add_watch(watches, path, EVENTS) {
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::sync::mpsc::{Receiver, channel};

    fn following(file: &Path) -> Receiver<Option<Vec<u8>>> {
        let (sender, changes) = channel();
        let file = file.to_owned();
        std::thread::spawn(move || {
            let followed = follow([file.clone()].into(), move || drop(sender.send(fs::read(&file).ok())));
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(followed)
        });
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

    /// In a child, in whose user namespace there is nothing to watch with, user_namespaces(7).
    #[test]
    fn without_watches_a_file_is_looked_at() {
        const INSIDE: &str = "CCTL_TEST_WITHOUT_WATCHES";
        if std::env::var_os(INSIDE).is_none() {
            let program = std::env::current_exe().unwrap();
            let child = Command::new("unshare")
                .args(["--user", "--map-root-user", "sh", "-c"])
                .arg("echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"")
                .args([OsStr::new("sh"), program.as_os_str()])
                .args(["--exact", "names::follow::tests::without_watches_a_file_is_looked_at"])
                .env(INSIDE, "")
                .output()
                .unwrap();
            let output = String::from_utf8_lossy(&child.stdout);
            assert!(child.status.success() && output.contains("1 passed"), "{child:?}");
            return;
        }
        assert_eq!(inotify::init(CreateFlags::CLOEXEC).unwrap_err(), Errno::MFILE);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("resolv.conf");
        let changes = following(&file);
        expect(&changes, None);
        fs::write(&file, "1").unwrap();
        expect(&changes, Some("1"));
    }
}
