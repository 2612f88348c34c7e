//! Processes: how they begin, what they are told, how they end.

use super::arch::nr;
use super::{Errno, Fd, Memory, Result, call, owned, process_id};
use core::ffi::CStr;

/// `CLONE_NEW…`.
pub mod namespace {
    /// Mounts.
    pub const MOUNT: u64 = 0x0002_0000;
    /// Hostname.
    pub const UTS: u64 = 0x0400_0000;
    /// System V IPC and message queues.
    pub const IPC: u64 = 0x0800_0000;
    /// Users.
    pub const USER: u64 = 0x1000_0000;
    /// Process ids.
    pub const PID: u64 = 0x2000_0000;
    /// Network.
    pub const NET: u64 = 0x4000_0000;
}

/// unshare(2).
pub fn unshare(flags: u64) -> Result<()> {
    kernel!(UNSHARE, flags).map(drop)
}

/// A descriptor of this process.
pub fn own_handle() -> Result<Fd> {
    owned(kernel!(PIDFD_OPEN, process_id(), 0usize))
}

/// Enters namespaces of a process (setns(2) with a pidfd, Linux 5.8), or one that is open. Of PID namespaces, that is told
/// of the children.
pub fn join(process: &Fd, namespaces: u64) -> Result<()> {
    kernel!(SETNS, process.number(), namespaces).map(drop)
}

/// Which side of a fork this is.
pub enum Fork {
    /// The new process.
    Child,
    /// The old one.
    Parent(Child),
}

/// A process that this one forked and has to reap; or, in a sandbox that was adopted, that another did.
#[derive(Debug)]
pub struct Child {
    /// Its id.
    pub pid: i32,
    /// Readable when it has ended.
    pub handle: Fd,
}

/// Forks; `namespaces` are new for the child, and a cgroup of v2 is its own from the beginning, if one is given
/// (CLONE_INTO_CGROUP, Linux 5.7): to join it would take the kernel about a millisecond.
pub fn fork(namespaces: u64, cgroup: Option<&Fd>) -> Result<Fork> {
    const PIDFD: u64 = 0x1000;
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    const SIGCHLD: u64 = 17;
    let mut handle = -1i32;
    let (into, cgroup) = cgroup.map_or((0, 0), |cgroup| (INTO_CGROUP, cgroup.number() as u64));
    let flags = namespaces | PIDFD | into;
    // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, its size, tls, set_tid, its size, cgroup.
    let arguments = [flags, &raw mut handle as u64, 0, 0, SIGCHLD, 0, 0, 0, 0, 0, cgroup];
    match kernel!(CLONE3, arguments.as_ptr(), size_of_val(&arguments))? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(Child { pid: pid as i32, handle: Fd(handle) })),
    }
}

impl Child {
    /// Sends it a signal; the descriptor means this process and no other.
    pub fn signal(&self, number: i32) -> Result<()> {
        kernel!(PIDFD_SEND_SIGNAL, self.handle.number(), number, 0usize, 0usize).map(drop)
    }

    /// How it has ended, as wait(2) tells it, and leaves it to be reaped. If it is not our child, others reap it,
    /// and the kernel tells afterwards (PIDFD_GET_INFO, Linux 6.15). None if nobody can know.
    pub fn end(&self) -> Option<i32> {
        const PID: usize = 1;
        const EXITED_NOWAIT: usize = 4 | 0x0100_0000;
        const CLD_EXITED: i32 = 1;
        // siginfo_t: signal, errno, code, and from the seventh word on the status.
        let mut information = [0i32; 32];
        match kernel!(WAITID, PID, self.pid, information.as_mut_ptr(), EXITED_NOWAIT, 0usize) {
            Ok(_) => {
                let [_, _, code, _, _, _, status, ..] = information;
                Some(if code == CLD_EXITED { status << 8 } else { status })
            }
            Err(_) => self.told_end(),
        }
    }

    fn told_end(&self) -> Option<i32> {
        const PIDFD_GET_INFO: usize = 0xc040_ff0b;
        const INFO_EXIT: u64 = 1 << 3;
        /// How long whoever inherited it may take to reap it: so many times so many nanoseconds.
        const TIMES: usize = 400;
        const PAUSE: i64 = 5_000_000;
        /// As often it may be neither there nor told: asked while it is reaped, the kernel has looked for its end before
        /// that, and for itself after it.
        const BETWEEN: usize = 3;
        let mut missing = 0;
        for _ in 0..TIMES {
            // struct pidfd_info, first version: mask, cgroup, eleven ids, exit code.
            let mut information = [INFO_EXIT, 0, 0, 0, 0, 0, 0, 0];
            let answer = kernel!(IOCTL, self.handle.number(), PIDFD_GET_INFO, information.as_mut_ptr());
            let [mask, .., last] = information;
            match answer {
                Ok(_) if mask & INFO_EXIT != 0 => return Some((last >> 32) as i32),
                // Not reaped yet; or, if it was reaped before the descriptor was made, gone.
                Ok(_) => {}
                Err(Errno::SRCH) if missing < BETWEEN => missing += 1,
                Err(_) => return None,
            }
            let _ = super::poll(&mut [], Some(PAUSE));
        }
        None
    }

    /// Reaps it, if it is our child.
    pub fn reap(&self) {
        let mut status = 0i32;
        while kernel!(WAIT4, self.pid, &raw mut status, 0usize, 0usize) == Err(Errno::INTR) {}
    }
}

/// Replaces this process by a program; answers only if that failed. The lists end with a null.
pub fn execute(path: &CStr, arguments: &PointerList, environment: &PointerList) -> Errno {
    let answer = kernel!(EXECVE, path.as_ptr(), arguments.memory.as_ptr(), environment.memory.as_ptr());
    answer.err().unwrap_or(Errno::INVAL)
}

/// Pointers to texts, ended by a null: `argv` and `envp`.
pub struct PointerList<'a> {
    memory: Memory,
    texts: core::marker::PhantomData<&'a CStr>,
}

impl<'a> PointerList<'a> {
    /// From `count` texts.
    pub fn new(count: usize, texts: impl Iterator<Item = &'a CStr>) -> Result<Self> {
        let mut memory = Memory::map((count + 1) * size_of::<usize>())?;
        let (places, _) = memory.as_chunks_mut::<{ size_of::<usize>() }>();
        // The last place stays null.
        for (place, text) in places.iter_mut().take(count).zip(texts) {
            *place = (text.as_ptr() as usize).to_ne_bytes();
        }
        Ok(Self { memory, texts: core::marker::PhantomData })
    }
}

/// Blocks every signal that can be blocked, or none.
pub fn block_signals(all: bool) -> Result<()> {
    const SETMASK: usize = 2;
    let mask = if all { u64::MAX } else { 0 };
    kernel!(RT_SIGPROCMASK, SETMASK, &raw const mask, 0usize, size_of::<u64>()).map(drop)
}

/// Gives every signal its default meaning.
pub fn reset_signals() {
    const LAST: usize = 64;
    let default = [0u64; 4];
    for number in 1..=LAST {
        // SIGKILL and SIGSTOP cannot be set, and need not.
        let _ = kernel!(RT_SIGACTION, number, default.as_ptr(), 0usize, size_of::<u64>());
    }
}
