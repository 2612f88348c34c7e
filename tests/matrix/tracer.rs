//! Follows a process through its system calls, and kills it at one of them.

use crate::{steps, sys};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

const PAUSE: Duration = Duration::from_micros(100);

/// What was seen of a process.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// At which step it was killed; none if it did not take so many.
    pub(crate) killed_at: Option<&'static str>,
}

/// Follows a process until it is dead, or [`Tracer::end`].
pub(crate) struct Tracer {
    thread: JoinHandle<Seen>,
    enough: Arc<AtomicBool>,
}

impl Tracer {
    /// Kills a process at the beginning of its step of that number, from 1. Returns as soon as it is followed.
    pub(crate) fn kill_at(pid: i32, step: usize) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let (ready, followed) = mpsc::channel();
        let thread = thread::spawn({
            let enough = Arc::clone(&enough);
            // A tracer is a thread; what it traces goes free when it ends.
            move || follow(Pid::from_raw(pid), step, &ready, &enough)
        });
        followed.recv().expect("the tracer has failed");
        Self { thread, enough }
    }

    /// Lets the process go, if it lives.
    pub(crate) fn end(self) -> Seen {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("the tracer has failed")
    }
}

fn follow(process: Pid, last: usize, ready: &mpsc::Sender<()>, enough: &AtomicBool) -> Seen {
    seize(process);
    ready.send(()).expect("somebody waits");
    let mut seen = Seen::default();
    let mut steps = 0;
    // Only what this thread traces, not the children of others in this process.
    let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD | WaitPidFlag::WNOHANG;
    loop {
        match waitpid(None, Some(flags)) {
            Ok(WaitStatus::StillAlive) if enough.load(Ordering::Relaxed) => return seen,
            Ok(WaitStatus::StillAlive) => thread::sleep(PAUSE),
            Ok(WaitStatus::PtraceSyscall(thread)) => {
                if let Some(name) = entered(thread) {
                    steps += 1;
                    if steps == last {
                        seen.killed_at = Some(name);
                        kill(process, Signal::SIGKILL).expect("kill");
                    }
                }
                go_on(thread, None);
            }
            Ok(WaitStatus::PtraceEvent(thread, ..)) if is_of(thread, process) => go_on(thread, None),
            // A process that it has made.
            Ok(WaitStatus::PtraceEvent(other, ..)) => drop(ptrace::detach(other, None)),
            Ok(WaitStatus::Stopped(thread, signal)) => go_on(thread, Some(signal)),
            Ok(_) => {}
            Err(Errno::ECHILD) => return seen,
            Err(error) => panic!("waiting for what is traced: {error}"),
        }
    }
}

/// All threads; those that they make later are followed by themselves.
fn seize(process: Pid) {
    let mut known = BTreeSet::new();
    loop {
        let found: BTreeSet<i32> = fs::read_dir(format!("/proc/{process}/task"))
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        let new: Vec<i32> = found.difference(&known).copied().collect();
        if new.is_empty() {
            return;
        }
        for thread in new {
            known.insert(thread);
            let thread = Pid::from_raw(thread);
            // One that has just ended, or is followed already, says no.
            if ptrace::seize(thread, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE).is_ok() {
                let _gone = ptrace::interrupt(thread);
            }
        }
    }
}

fn entered(thread: Pid) -> Option<&'static str> {
    let (number, arguments) = sys::entered(&ptrace::syscall_info(thread).ok()?)?;
    steps::step(number, arguments)
}

fn is_of(thread: Pid, process: Pid) -> bool {
    fs::exists(format!("/proc/{process}/task/{thread}")).unwrap_or_default()
}

/// One that was killed meanwhile is gone.
fn go_on(thread: Pid, signal: Option<Signal>) {
    let _gone = ptrace::syscall(thread, signal);
}
