//! One keeper an instance: whoever keeps holds a lock on a file.

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::Pid;
use schema::supervisor::SERVICE;
use schema::{Failure, Instance};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a keeper may take to end, once its sockets are gone.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// Where the lock is; the file says who the keeper is.
pub(crate) fn path(instance: &Instance) -> PathBuf {
    instance.run().join("keeper.lock")
}

/// Takes the lock of an instance. It is held as long as any process has this descriptor, so keeper and
/// supervisor share it. Waits for a keeper that is ending; fails with `conflict` if another keeper lives.
pub(crate) fn take(instance: &Instance) -> Result<OwnedFd, Failure> {
    let path = path(instance);
    let failed = |error: std::io::Error| Failure::io(format_args!("locking {}", path.display()), &error);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            // The supervisor's socket goes last before the lock: without it, the other is ending.
            Err(Errno::WOULDBLOCK) if !instance.socket(SERVICE).exists() && Instant::now() < deadline => {
                std::thread::sleep(PAUSE);
                continue;
            }
            Err(Errno::WOULDBLOCK) => return Err(taken(instance, &mut file)),
            Err(error) => return Err(failed(error.into())),
        }
        // A keeper that ends removes the file; what we have locked may be gone.
        if file.metadata().map_err(failed)?.nlink() > 0 {
            return Ok(file.into());
        }
    }
}

/// Who keeps an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A keeper lives; its process, as far as it has said so.
    Alive(Option<Pid>),
    /// Keeper and supervisor were killed, and have left the file.
    Dead,
    /// There is none: none was started, or it has ended in order.
    Nobody,
}

/// Looks who holds the lock, and takes nothing.
pub(crate) fn holder(instance: &Instance) -> std::io::Result<Holder> {
    let mut file = match File::open(path(instance)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        // Removed meanwhile: in order.
        Ok(()) if file.metadata()?.nlink() == 0 => Ok(Holder::Nobody),
        Ok(()) => Ok(Holder::Dead),
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok(Holder::Alive(text.trim().parse().ok().and_then(Pid::from_raw)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes into the locked file who the keeper is now.
pub(crate) fn sign(lock: &OwnedFd) -> std::io::Result<()> {
    let mut file = File::from(lock.as_fd().try_clone_to_owned()?);
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn taken(instance: &Instance, file: &mut File) -> Failure {
    let mut keeper = String::new();
    // Who it is only makes the message better.
    let _ = file.read_to_string(&mut keeper);
    let keeper = match keeper.trim() {
        "" => String::new(),
        pid => format!(" (keeper: process {pid})"),
    };
    Failure::conflict(format_args!("cctl runs already in {}{keeper}", instance.run().display()))
        .hint("stop it with `cctl system stop`, or set CCTL_RUN and CCTL_ROOT for another instance")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seen_who_holds_it() {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new(directory.path(), directory.path());
        assert_eq!(holder(&instance).unwrap(), Holder::Nobody);
        let lock = take(&instance).unwrap();
        assert_eq!(holder(&instance).unwrap(), Holder::Alive(None));
        sign(&lock).unwrap();
        assert_eq!(holder(&instance).unwrap(), Holder::Alive(Some(rustix::process::getpid())));
        drop(lock);
        assert_eq!(holder(&instance).unwrap(), Holder::Dead);
    }

    #[test]
    fn the_second_is_refused_and_told_who_is_first() {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new(directory.path(), directory.path());
        std::fs::write(instance.socket(SERVICE), "").unwrap();
        let first = take(&instance).unwrap();
        sign(&first).unwrap();
        let refusal = take(&instance).unwrap_err();
        assert!(refusal.message.contains(&std::process::id().to_string()), "{refusal}");
        // Removed by the first before it lets go: the second makes a new one.
        std::fs::remove_file(path(&instance)).unwrap();
        let second = take(&instance).unwrap();
        drop(first);
        assert!(take(&instance).is_err());
        std::fs::remove_file(instance.socket(SERVICE)).unwrap();
        let ending = std::thread::spawn(move || {
            std::thread::sleep(PAUSE * 5);
            drop(second);
        });
        assert!(take(&instance).is_ok());
        ending.join().unwrap();
    }
}
