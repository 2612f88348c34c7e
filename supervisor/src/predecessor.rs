//! A service's process of an earlier supervisor.
//!
//! It is killed by the kernel when its supervisor dies, but it may take a moment to go. Two processes of one
//! service must never work on the same state, so each process is recorded, and the next supervisor waits.

use crate::directories::pid_file;
use kit::process::{is_alive, start_time};
use kit::watch;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use schema::Instance;
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;

/// Records the process of a service: its id, and its start time, which make it unmistakable.
pub(crate) fn record(instance: &Instance, service: &str, pid: Pid) -> io::Result<()> {
    let pid = pid.as_raw_nonzero().get();
    let content = format!("{pid} {}\n", start_time(pid)?);
    kit::file::write_atomically(&pid_file(instance, service), content.as_bytes())
}

/// Kills the recorded process of a service, if it still lives, and waits for its end.
pub(crate) async fn end(instance: &Instance, service: &str) -> io::Result<()> {
    let text = match std::fs::read_to_string(pid_file(instance, service)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let Some((pid, started)) = parse(&text) else { return Ok(()) };
    let Some(pidfd) = find(pid)? else { return Ok(()) };
    // Asked after it was opened: so it is this very process.
    if !is_alive(pid.as_raw_nonzero().get(), started) {
        return Ok(());
    }
    tracing::info!(service, pid = pid.as_raw_nonzero(), "waiting for the end of the predecessor");
    pidfd_send_signal(&pidfd, Signal::KILL)?;
    ended(pidfd).await
}

/// A process, if there is one of that number. The number may have become that of a thread: then older kernels say
/// that it is invalid, and newer ones (6.18) that there is no entry.
pub(crate) fn find(pid: Pid) -> io::Result<Option<OwnedFd>> {
    match pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// Waits until a process has ended.
pub(crate) async fn ended(pidfd: OwnedFd) -> io::Result<()> {
    watch(pidfd, Interest::READABLE)?.readable().await?.retain_ready();
    Ok(())
}

fn parse(text: &str) -> Option<(Pid, u64)> {
    let (pid, started) = text.trim().split_once(' ')?;
    Some((Pid::from_raw(pid.parse().ok()?)?, started.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read() {
        assert_eq!(parse("7 42\n"), Some((Pid::from_raw(7).unwrap(), 42)));
        for text in ["", "7", "0 1", "7 x", "-"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[tokio::test]
    async fn the_recorded_process_is_ended_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new(directory.path(), directory.path());
        end(&instance, "a").await.unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_child(&child);
        record(&instance, "a", pid).unwrap();
        let file = pid_file(&instance, "a");
        let intact = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{} 1\n", child.id())).unwrap();
        end(&instance, "a").await.unwrap();
        assert!(child.try_wait().unwrap().is_none());
        std::fs::write(&file, intact).unwrap();
        end(&instance, "a").await.unwrap();
        assert!(!child.wait().unwrap().success());
        end(&instance, "a").await.unwrap();
    }

    #[test]
    fn the_number_of_a_thread_is_no_process() {
        let thread = std::thread::spawn(rustix::thread::gettid).join();
        let (alive, stay) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
        let other = std::thread::spawn(move || {
            alive.0.send(rustix::thread::gettid()).unwrap();
            stay.1.recv().ok();
        });
        let living = alive.1.recv().unwrap();
        assert!(find(living).unwrap().is_none());
        drop(stay.0);
        other.join().unwrap();
        assert!(find(thread.unwrap()).unwrap().is_none());
    }
}
