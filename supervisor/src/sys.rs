//! The one place of this crate with `unsafe`: executing a program with prepared descriptors and environment.
#![allow(unsafe_code)]

use crate::confine::{self, Confinement};
use crate::program::Bond;
use nix::sys::signal::SigSet;
use rustix::fd::AsRawFd;
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use std::ffi::{CString, c_char};
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::ptr;

/// First descriptor that a starter passes (sd_listen_fds(3)).
const FIRST_PASSED: RawFd = 3;
/// The entry of the environment that names its own process: its digits are written after the fork.
const LISTEN_PID: &[u8] = b"LISTEN_PID=";
/// Digits of the greatest process id, and a terminating zero.
const PID_SPACE: usize = 11;

/// All that execve(2) needs, made before the fork, since nothing may be allocated after it.
pub(crate) struct Image {
    path: CString,
    /// Own what the pointers point to.
    _arguments: Vec<CString>,
    _environment: Vec<CString>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    listen_pid: Box<[u8]>,
    /// Duplicates with numbers above all that they will get.
    passed: Vec<OwnedFd>,
    parent: Option<Pid>,
    confinement: Option<Confinement>,
}

// SAFETY: the pointers point into heap memory that the same value owns and that no one else changes.
unsafe impl Send for Image {}
// SAFETY: as above; nothing can be changed through a shared reference.
unsafe impl Sync for Image {}

impl Image {
    /// Prepares a program. `LISTEN_PID` is added to the environment.
    pub(crate) fn new(
        path: CString,
        arguments: Vec<CString>,
        environment: Vec<CString>,
        passed: &[BorrowedFd<'_>],
        bond: Bond,
        confinement: Option<Confinement>,
    ) -> io::Result<Self> {
        let mut listen_pid = vec![0; LISTEN_PID.len() + PID_SPACE].into_boxed_slice();
        listen_pid[..LISTEN_PID.len()].copy_from_slice(LISTEN_PID);
        let pointers = |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).collect::<Vec<_>>();
        let (mut argv, mut envp) = (pointers(&arguments), pointers(&environment));
        argv.push(ptr::null());
        envp.extend([listen_pid.as_ptr().cast(), ptr::null()]);
        let end = end_of_passed(passed.len())?;
        let passed = passed.iter().map(|fd| fcntl_dupfd_cloexec(fd, end)).collect::<Result<_, Errno>>()?;
        let parent = (bond == Bond::DiesWithParent).then(getpid);
        Ok(Self {
            path,
            _arguments: arguments,
            _environment: environment,
            argv,
            envp,
            listen_pid,
            passed,
            parent,
            confinement,
        })
    }

    /// Replaces this process. Allocates nothing and takes no lock: fit for a forked child.
    fn execute(&mut self) -> io::Error {
        match self.prepare() {
            Ok(()) => {
                // SAFETY: path, argv and envp are zero-terminated, and all they point to is owned by `self`.
                unsafe { libc::execve(self.path.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
                io::Error::last_os_error()
            }
            Err(error) => error,
        }
    }

    fn prepare(&mut self) -> io::Result<()> {
        self.confine(Confinement::apply)?;
        // After the change of the user, which undoes it.
        if let Some(parent) = self.parent {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // It may have died before the signal was set.
            if getppid() != Some(parent) {
                return Err(Errno::SRCH.into());
            }
        }
        let mut number = FIRST_PASSED;
        for descriptor in &self.passed {
            // SAFETY: dup2(2) replaces a descriptor that is of no use to the program that follows: either this
            // is a forked child, or a process that ends if execve(2) fails.
            if unsafe { libc::dup2(descriptor.as_raw_fd(), number) } < 0 {
                return Err(io::Error::last_os_error());
            }
            number += 1;
        }
        // The keeper blocks the signals that it waits for; the program starts with none blocked.
        SigSet::empty().thread_set_mask()?;
        // Whatever else is open, by whatever library, is not for the program.
        // SAFETY: close_range(2) with CLOEXEC only sets a flag.
        if unsafe { libc::syscall(libc::SYS_close_range, number, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
        write_digits(&mut self.listen_pid[LISTEN_PID.len()..], getpid().as_raw_nonzero().get().unsigned_abs());
        self.confine(Confinement::filter)
    }

    fn confine(&self, how: impl Fn(&Confinement) -> Result<(), confine::Failed>) -> io::Result<()> {
        let Some(Err((doing, error))) = self.confinement.as_ref().map(how) else { return Ok(()) };
        // The standard streams are those of the program by now: this goes to its log.
        for part in [doing, b": failed before the program was executed\n"] {
            let _ = rustix::io::write(rustix::stdio::stderr(), part);
        }
        Err(error.into())
    }
}

/// Forks, and executes the image with the standard streams of `command`.
pub(crate) fn spawn(mut command: Command, mut image: Image) -> io::Result<Child> {
    let _placeholders = occupy(end_of_passed(image.passed.len())?)?;
    // SAFETY: `execute` makes system calls and writes to memory of its own, no more.
    unsafe { command.pre_exec(move || Err(image.execute())) };
    command.spawn()
}

/// Executes the image in this process. Returns only if that failed.
pub(crate) fn become_image(mut image: Image) -> io::Error {
    image.execute()
}

/// Takes the descriptors that were passed to this process by the protocol of sd_listen_fds(3), with their
/// names; none if none were. To be called once, before anything else is opened.
pub(crate) fn passed() -> io::Result<Option<Vec<(String, OwnedFd)>>> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let (Some(pid), Some(count)) = (number("LISTEN_PID"), number("LISTEN_FDS")) else { return Ok(None) };
    if pid != std::process::id() {
        return Ok(None);
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut passed = Vec::new();
    for (name, number) in names.split(':').zip(FIRST_PASSED..).take(count as usize) {
        // SAFETY: borrowed only to ask the kernel whether it is open at all.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let flags = fcntl_getfd(descriptor)?;
        fcntl_setfd(descriptor, flags | FdFlags::CLOEXEC)?;
        // SAFETY: it is open, the starter passed it to this very process, and this function is called once.
        passed.push((name.to_owned(), unsafe { OwnedFd::from_raw_fd(number) }));
    }
    Ok(Some(passed))
}

fn end_of_passed(count: usize) -> io::Result<RawFd> {
    Ok(FIRST_PASSED + RawFd::try_from(count).map_err(io::Error::other)?)
}

/// Occupies every free descriptor below `end`, so that none that is opened later, such as the standard
/// library's pipe for errors of a child, is overwritten by one that is passed.
fn occupy(end: RawFd) -> io::Result<Vec<OwnedFd>> {
    let null = std::fs::File::open("/dev/null")?;
    let mut placeholders = Vec::new();
    loop {
        let placeholder = fcntl_dupfd_cloexec(&null, FIRST_PASSED)?;
        if placeholder.as_raw_fd() >= end {
            return Ok(placeholders);
        }
        placeholders.push(placeholder);
    }
}

/// Writes a number in decimal digits, and a zero behind it.
fn write_digits(space: &mut [u8], mut number: u32) {
    let mut length = 0;
    while let Some(byte) = space.get_mut(length) {
        #[allow(clippy::cast_possible_truncation)]
        let digit = (number % 10) as u8;
        *byte = b'0' + digit;
        length += 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if let Some(end) = space.get_mut(length) {
        *end = 0;
    }
    if let Some(digits) = space.get_mut(..length) {
        digits.reverse();
    }
}

/// What a ruleset of Landlock forbids, unless a rule allows it: `struct landlock_ruleset_attr`.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) files: u64,
    pub(crate) network: u64,
    pub(crate) scopes: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    descriptor: RawFd,
}

const VERSION_OF_RULESETS: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;

/// The version of landlock(7) that the kernel has.
pub(crate) fn ruleset_version() -> Result<u32, Errno> {
    // SAFETY: with this flag, the kernel reads nothing.
    let answer = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<Handled>(), 0_usize, VERSION_OF_RULESETS)
    };
    u32::try_from(answer).map_err(|_| last_errno())
}

/// Makes a ruleset in which nothing is allowed yet.
pub(crate) fn make_ruleset(handled: &Handled) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads as many bytes as are said; those that it does not know have to be zero, and may be.
    let answer = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, ptr::from_ref(handled), size_of::<Handled>(), 0_u32)
    };
    let descriptor = RawFd::try_from(answer).ok().filter(|descriptor| *descriptor >= 0);
    let descriptor = descriptor.ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just made it, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Allows this with what lies beneath a path, or with the file that it is.
pub(crate) fn allow_beneath(ruleset: &OwnedFd, path: BorrowedFd<'_>, allowed: u64) -> io::Result<()> {
    let rule = Beneath { allowed, descriptor: path.as_raw_fd() };
    // SAFETY: the rule is of the kind that is said, and lives longer than the call.
    let answer = unsafe {
        libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), RULE_PATH_BENEATH, ptr::from_ref(&rule), 0_u32)
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts this thread, and what comes of it, under a ruleset.
pub(crate) fn restrict(ruleset: &OwnedFd, flags: u32) -> Result<(), Errno> {
    // SAFETY: the kernel is given numbers alone.
    let answer = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), flags) };
    if answer == 0 { Ok(()) } else { Err(last_errno()) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// A child that has ended, with its status as wait(2) tells it. It stays to be reaped. None if none has.
pub(crate) fn ended_child() -> io::Result<Option<(Pid, i32)>> {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: it is plain data, for which zeroes are values; the kernel writes into it, and it lives longer than the call.
    let mut information: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    if unsafe { libc::waitid(libc::P_ALL, 0, &raw mut information, flags) } != 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ECHILD) => Ok(None),
            Some(libc::EINTR) => ended_child(),
            _ => Err(error),
        };
    }
    // SAFETY: these are the fields of a child's end, and zero if there is none.
    let (pid, status) = unsafe { (information.si_pid(), information.si_status()) };
    let status = if information.si_code == libc::CLD_EXITED { status << 8 } else { status };
    Ok(Pid::from_raw(pid).map(|pid| (pid, status)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn digits_are_exact(number in any::<u32>(), before in prop::array::uniform11(any::<u8>())) {
            let mut space = before;
            write_digits(&mut space, number);
            let text = std::ffi::CStr::from_bytes_until_nul(&space).unwrap().to_str().unwrap().to_owned();
            prop_assert_eq!(text, number.to_string());
        }
    }
}
