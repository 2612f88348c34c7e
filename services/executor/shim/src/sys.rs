//! The kernel, called directly: the one place of this program with `unsafe`.
//!
//! What is offered to the other modules is safe: descriptors are owned, memory is borrowed, and the process
//! has one thread.
#![allow(unsafe_code)]

mod arch;

use arch::{nr, syscall};
use core::ffi::CStr;
pub use memory::Memory;

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// No such file or directory.
    pub const NOENT: Self = Self(2);
    /// Interrupted.
    pub const INTR: Self = Self(4);
    /// Input/output error: the other side of a terminal is gone.
    pub const IO: Self = Self(5);
    /// Nothing now.
    pub const AGAIN: Self = Self(11);
    /// Permission denied.
    pub const ACCES: Self = Self(13);
    /// It exists.
    pub const EXIST: Self = Self(17);
    /// No such device or filesystem.
    pub const NODEV: Self = Self(19);
    /// Not a directory.
    pub const NOTDIR: Self = Self(20);
    /// Invalid argument.
    pub const INVAL: Self = Self(22);
}

/// What a system call answers.
pub type Result<T> = core::result::Result<T, Errno>;

/// An open descriptor; closed when it is dropped.
#[derive(Debug)]
pub struct Fd(i32);

impl Fd {
    /// One that this process was started with.
    pub const fn inherited(number: i32) -> Self {
        Self(number)
    }

    /// Its number.
    pub fn number(&self) -> i32 {
        self.0
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours, and nobody uses it after this.
        let _ = unsafe { syscall(nr::CLOSE, [self.0 as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Calls the kernel.
///
/// # Safety
/// Whatever the call reads or writes must be valid for it.
unsafe fn call<const N: usize>(number: usize, arguments: [usize; N]) -> Result<usize> {
    let mut all = [0; 6];
    all.iter_mut().zip(arguments).for_each(|(place, argument)| *place = argument);
    // SAFETY: the caller's promise.
    let answer = unsafe { syscall(number, all) };
    if (-4095..0).contains(&answer) { Err(Errno(-answer as i32)) } else { Ok(answer as usize) }
}

/// Calls the kernel with numbers, descriptors, texts and slices, which all are valid for the call.
macro_rules! kernel {
    ($number:ident $(, $argument:expr)* $(,)?) => {{
        let arguments = [$(($argument) as usize),*];
        // SAFETY: every pointer among the arguments comes from a reference or slice that lives through the
        // call, with its true length; the kernel touches no other memory of ours in this call.
        unsafe { call(nr::$number, arguments) }
    }};
}

mod entry;
mod memory;

const AT_FDCWD: i32 = -100;

/// A directory to resolve paths from: an open one, or the current one.
#[derive(Clone, Copy)]
pub enum At<'a> {
    /// This one.
    Dir(&'a Fd),
    /// The current one; absolute paths start at the root.
    Current,
}

impl At<'_> {
    fn number(self) -> i32 {
        match self {
            Self::Dir(directory) => directory.number(),
            Self::Current => AT_FDCWD,
        }
    }
}

fn owned(answer: Result<usize>) -> Result<Fd> {
    answer.map(|number| Fd(number as i32))
}

/// Flags of open(2).
pub mod flag {
    pub use super::arch::O_DIRECTORY;
    /// Read.
    pub const O_RDONLY: i32 = 0;
    /// Write.
    pub const O_WRONLY: i32 = 1;
    /// Both.
    pub const O_RDWR: i32 = 2;
    /// Make it if it is missing.
    pub const O_CREAT: i32 = 0o100;
    /// A terminal does not become ours.
    pub const O_NOCTTY: i32 = 0o400;
    /// Empty it.
    pub const O_TRUNC: i32 = 0o1000;
    /// Never wait.
    pub const O_NONBLOCK: i32 = 0o4000;
    /// Not for programs that are executed.
    pub const O_CLOEXEC: i32 = 0o2000000;
    /// Only the place in the tree.
    pub const O_PATH: i32 = 0o10000000;
}

/// openat(2); the descriptor is never passed on to programs.
pub fn open(at: At<'_>, path: &CStr, flags: i32, mode: u32) -> Result<Fd> {
    owned(kernel!(OPENAT, at.number(), path.as_ptr(), flags | flag::O_CLOEXEC, mode))
}

/// Opens a directory by a path without symbolic links.
pub fn open_real_directory(path: &CStr) -> Result<Fd> {
    const RESOLVE_NO_SYMLINKS: u64 = 4;
    let how = [(flag::O_PATH | flag::O_DIRECTORY | flag::O_CLOEXEC) as u64, 0, RESOLVE_NO_SYMLINKS];
    owned(kernel!(OPENAT2, AT_FDCWD, path.as_ptr(), how.as_ptr(), size_of_val(&how)))
}

/// read(2), again when interrupted.
pub fn read(fd: &Fd, buffer: &mut [u8]) -> Result<usize> {
    loop {
        let answer = kernel!(READ, fd.number(), buffer.as_mut_ptr(), buffer.len());
        if answer != Err(Errno::INTR) {
            return answer;
        }
    }
}

/// write(2), again when interrupted.
pub fn write(fd: &Fd, bytes: &[u8]) -> Result<usize> {
    loop {
        let answer = kernel!(WRITE, fd.number(), bytes.as_ptr(), bytes.len());
        if answer != Err(Errno::INTR) {
            return answer;
        }
    }
}

/// The length of a file.
pub fn length(file: &Fd) -> Result<usize> {
    const SEEK_END: usize = 2;
    let length = kernel!(LSEEK, file.number(), 0usize, SEEK_END)?;
    kernel!(LSEEK, file.number(), 0usize, 0usize)?;
    Ok(length)
}

/// Moves all that is in a pipe to the end of a file, without a copy of ours: what a kill interrupts is in
/// the one or in the other. Done when the pipe is empty.
pub fn splice_all(pipe: &Fd, file: &Fd) -> Result<()> {
    const NONBLOCK: usize = 2;
    const CHUNK: usize = 1 << 20;
    loop {
        match kernel!(SPLICE, pipe.number(), 0usize, file.number(), 0usize, CHUNK, NONBLOCK) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// How many bytes wait in a pipe.
pub fn waiting(pipe: &Fd) -> Result<u32> {
    const FIONREAD: usize = 0x541b;
    let mut count = 0u32;
    kernel!(IOCTL, pipe.number(), FIONREAD, &raw mut count)?;
    Ok(count)
}

/// dup3(2) onto a given number, to be passed on to programs.
pub fn duplicate_onto(fd: &Fd, number: i32) -> Result<()> {
    kernel!(DUP3, fd.number(), number, 0usize).map(drop)
}

/// Closes every descriptor from this number on.
pub fn close_from(first: u32) -> Result<()> {
    kernel!(CLOSE_RANGE, first, u32::MAX, 0usize).map(drop)
}

/// mkdirat(2).
pub fn make_directory(path: &CStr, mode: u32) -> Result<()> {
    kernel!(MKDIRAT, AT_FDCWD, path.as_ptr(), mode).map(drop)
}

/// mknodat(2).
pub fn make_node(path: &CStr, mode: u32, device: u64) -> Result<()> {
    kernel!(MKNODAT, AT_FDCWD, path.as_ptr(), mode, device).map(drop)
}

/// symlinkat(2).
pub fn link(content: &CStr, path: &CStr) -> Result<()> {
    kernel!(SYMLINKAT, content.as_ptr(), AT_FDCWD, path.as_ptr()).map(drop)
}

/// Gives a file to a user and group, not following a symbolic link.
pub fn change_owner(path: &CStr, uid: u32, gid: u32) -> Result<()> {
    const NOFOLLOW: usize = 0x100;
    kernel!(FCHOWNAT, AT_FDCWD, path.as_ptr(), uid, gid, NOFOLLOW).map(drop)
}

/// Gives an open file to a user; its group stays.
pub fn change_user(file: &Fd, uid: u32) -> Result<()> {
    kernel!(FCHOWN, file.number(), uid, u32::MAX).map(drop)
}

/// rename(2) within a directory.
pub fn rename(directory: &Fd, from: &CStr, to: &CStr) -> Result<()> {
    let number = directory.number();
    kernel!(RENAMEAT2, number, from.as_ptr(), number, to.as_ptr(), 0usize).map(drop)
}

/// chdir(2).
pub fn change_directory(path: &CStr) -> Result<()> {
    kernel!(CHDIR, path.as_ptr()).map(drop)
}

/// umask(2).
pub fn set_mask(mask: u32) {
    let _ = kernel!(UMASK, mask);
}

/// Flags of mount(2).
pub mod mounting {
    /// Read-only.
    pub const RDONLY: u64 = 1;
    /// No set-user-id programs.
    pub const NOSUID: u64 = 2;
    /// No device nodes.
    pub const NODEV: u64 = 4;
    /// No programs.
    pub const NOEXEC: u64 = 8;
    /// Change an existing mount.
    pub const REMOUNT: u64 = 32;
    /// Another place of the same tree.
    pub const BIND: u64 = 4096;
    /// With all below.
    pub const REC: u64 = 16384;
    /// Without propagation.
    pub const PRIVATE: u64 = 1 << 18;
}

/// mount(2).
pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u64, data: &CStr) -> Result<()> {
    kernel!(MOUNT, source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr()).map(drop)
}

/// Makes the current directory, a mount point, the root, and lets go of all that was mounted before.
pub fn pivot_here() -> Result<()> {
    const DETACH: usize = 2;
    kernel!(PIVOT_ROOT, c".".as_ptr(), c".".as_ptr())?;
    // Both are in the same place now, the old one on top.
    kernel!(UMOUNT2, c".".as_ptr(), DETACH)?;
    change_directory(c"/")
}

/// `CLONE_NEW…`.
pub mod namespace {
    /// Mounts.
    pub const MOUNT: u64 = 0x0002_0000;
    /// Hostname.
    pub const UTS: u64 = 0x0400_0000;
    /// System V IPC and message queues.
    pub const IPC: u64 = 0x0800_0000;
    /// Process ids.
    pub const PID: u64 = 0x2000_0000;
    /// Network.
    pub const NET: u64 = 0x4000_0000;
}

/// unshare(2).
pub fn unshare(flags: u64) -> Result<()> {
    kernel!(UNSHARE, flags).map(drop)
}

/// sethostname(2).
pub fn set_hostname(hostname: &CStr) -> Result<()> {
    kernel!(SETHOSTNAME, hostname.as_ptr(), hostname.count_bytes()).map(drop)
}

/// Which side of a fork this is.
pub enum Fork {
    /// The new process.
    Child,
    /// The old one.
    Parent(Child),
}

/// A process that this one forked and has to reap.
#[derive(Debug)]
pub struct Child {
    /// Its id.
    pub pid: i32,
    /// Readable when it has ended.
    pub handle: Fd,
}

/// Forks; `namespaces` are new for the child.
pub fn fork(namespaces: u64) -> Result<Fork> {
    const PIDFD: u64 = 0x1000;
    const SIGCHLD: u64 = 17;
    let mut handle = -1i32;
    // struct clone_args, first version: flags, pidfd, child_tid, parent_tid, exit_signal, stack, its size, tls.
    let arguments = [namespaces | PIDFD, &raw mut handle as u64, 0, 0, SIGCHLD, 0, 0, 0];
    match kernel!(CLONE3, arguments.as_ptr(), size_of_val(&arguments))? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(Child { pid: pid as i32, handle: Fd(handle) })),
    }
}

impl Child {
    /// Sends it a signal; it is ours, so its id cannot mean another.
    pub fn signal(&self, number: i32) -> Result<()> {
        kernel!(PIDFD_SEND_SIGNAL, self.handle.number(), number, 0usize, 0usize).map(drop)
    }

    /// Waits for its end: the status as wait(2) tells it.
    pub fn reap(&self) -> Result<i32> {
        let mut status = 0i32;
        loop {
            match kernel!(WAIT4, self.pid, &raw mut status, 0usize, 0usize) {
                Ok(_) => return Ok(status),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
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

/// The process's own id.
pub fn process_id() -> i32 {
    kernel!(GETPID).unwrap_or(0) as i32
}

/// setsid(2).
pub fn new_session() -> Result<()> {
    kernel!(SETSID).map(drop)
}

/// Ends this process.
pub fn exit(code: i32) -> ! {
    loop {
        let _ = kernel!(EXIT_GROUP, code);
    }
}

/// Nanoseconds since the Unix epoch.
pub fn now() -> i64 {
    const REALTIME: usize = 0;
    let mut time = [0i64; 2];
    let _ = kernel!(CLOCK_GETTIME, REALTIME, time.as_mut_ptr());
    let [seconds, nanoseconds] = time;
    seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds)
}

/// Locks a file, waiting for it or not.
pub fn lock(file: &Fd, wait: bool) -> Result<()> {
    const EXCLUSIVE: usize = 2;
    const NONBLOCK: usize = 4;
    kernel!(FLOCK, file.number(), EXCLUSIVE | if wait { 0 } else { NONBLOCK }).map(drop)
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

/// Operations of prctl(2).
mod operation {
    pub(super) const SET_PDEATHSIG: usize = 1;
    pub(super) const CAPBSET_DROP: usize = 24;
    pub(super) const SET_NO_NEW_PRIVS: usize = 38;
    pub(super) const CAP_AMBIENT: usize = 47;
}

/// Has this process killed when its parent ends.
pub fn die_with_parent() -> Result<()> {
    const SIGKILL: usize = 9;
    kernel!(PRCTL, operation::SET_PDEATHSIG, SIGKILL).map(drop)
}

/// Gives up a capability, for this process and all that it becomes.
pub fn drop_capability(number: u32) -> Result<()> {
    kernel!(PRCTL, operation::CAPBSET_DROP, number, 0usize, 0usize, 0usize).map(drop)
}

/// Empties the ambient capabilities.
pub fn clear_ambient() -> Result<()> {
    const CLEAR_ALL: usize = 4;
    kernel!(PRCTL, operation::CAP_AMBIENT, CLEAR_ALL, 0usize, 0usize, 0usize).map(drop)
}

/// Sets effective and permitted capabilities; none are inheritable.
pub fn set_capabilities(set: u64) -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let (low, high) = (set as u32, (set >> 32) as u32);
    let data = [low, low, 0, high, high, 0];
    kernel!(CAPSET, header.as_ptr(), data.as_ptr()).map(drop)
}

/// No program that is executed gives more power than its executor has.
pub fn no_new_privileges() -> Result<()> {
    kernel!(PRCTL, operation::SET_NO_NEW_PRIVS, 1usize, 0usize, 0usize, 0usize).map(drop)
}

/// Becomes a user and group. `groups` are 32-bit numbers one behind the other.
pub fn become_user(uid: u32, gid: u32, groups: &[u8]) -> Result<()> {
    kernel!(SETGROUPS, groups.len() / size_of::<u32>(), groups.as_ptr())?;
    kernel!(SETRESGID, gid, gid, gid)?;
    kernel!(SETRESUID, uid, uid, uid).map(drop)
}

/// Filters system calls by a program: `struct sock_filter` one behind the other.
pub fn filter_calls(program: &[u8]) -> Result<()> {
    const SET_MODE_FILTER: usize = 1;
    const INSTRUCTION: usize = 8;
    let length = u16::try_from(program.len() / INSTRUCTION).map_err(|_| Errno::INVAL)?;
    // struct sock_fprog: the length, padded, and the pointer.
    let description = [u64::from(length), program.as_ptr() as u64];
    kernel!(SECCOMP, SET_MODE_FILTER, 0usize, description.as_ptr()).map(drop)
}

/// Something to wait for.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Poll {
    fd: i32,
    events: i16,
    happened: i16,
}

impl Poll {
    const IN: i16 = 1;
    const OUT: i16 = 4;
    /// Nothing.
    pub const NONE: Self = Self { fd: -1, events: 0, happened: 0 };

    /// For a descriptor to become readable or writable.
    pub fn new(fd: &Fd, readable: bool, writable: bool) -> Self {
        if !readable && !writable {
            return Self::NONE;
        }
        let events = if readable { Self::IN } else { 0 } | if writable { Self::OUT } else { 0 };
        Self { fd: fd.number(), events, happened: 0 }
    }

    /// For a descriptor that may be there to become readable.
    pub fn readable(fd: Option<&Fd>) -> Self {
        fd.map_or(Self::NONE, |fd| Self::new(fd, true, false))
    }

    /// Whether anything has happened, also an error or the end.
    pub fn happened(&self) -> bool {
        self.happened != 0
    }
}

/// Waits, without bound, until something happens.
pub fn poll(polls: &mut [Poll]) -> Result<()> {
    kernel!(PPOLL, polls.as_mut_ptr(), polls.len(), 0usize, 0usize, 0usize).map(drop)
}

/// accept4(2).
pub fn accept(listener: &Fd) -> Result<Fd> {
    const CLOEXEC: usize = 0o2000000;
    owned(kernel!(ACCEPT4, listener.number(), 0usize, 0usize, CLOEXEC))
}

/// A pair of connected sockets that keep messages apart.
pub fn socket_pair() -> Result<[Fd; 2]> {
    const UNIX: usize = 1;
    const SEQPACKET_CLOEXEC: usize = 5 | 0o2000000;
    let mut numbers = [-1i32; 2];
    kernel!(SOCKETPAIR, UNIX, SEQPACKET_CLOEXEC, 0usize, numbers.as_mut_ptr())?;
    Ok(numbers.map(Fd))
}

/// `struct iovec`.
#[repr(C)]
struct Slice {
    start: usize,
    length: usize,
}

/// `struct msghdr`.
#[repr(C)]
struct Header {
    address: usize,
    address_length: u32,
    slices: *const Slice,
    slice_count: usize,
    control: *mut Control,
    control_length: usize,
    flags: i32,
}

const MOST_DESCRIPTORS: usize = shim_protocol::control::MOST_DESCRIPTORS;

/// `struct cmsghdr` with room for descriptors.
#[repr(C)]
struct Control {
    length: usize,
    level: i32,
    kind: i32,
    descriptors: [i32; MOST_DESCRIPTORS],
}

impl Control {
    const HEAD: usize = 16;
    const SOCKET: i32 = 1;
    const RIGHTS: i32 = 1;
    const EMPTY: Self = Self { length: 0, level: 0, kind: 0, descriptors: [-1; MOST_DESCRIPTORS] };
}

/// Descriptors that came with a message.
pub type Received = [Option<Fd>; MOST_DESCRIPTORS];

/// Receives a message and the descriptors that go with it: its length; 0 at the end.
pub fn receive(socket: &Fd, buffer: &mut [u8]) -> Result<(usize, Received)> {
    const CLOEXEC: usize = 0x4000_0000;
    const NONBLOCK: usize = 0x40;
    let slice = Slice { start: buffer.as_mut_ptr() as usize, length: buffer.len() };
    let mut control = Control::EMPTY;
    let mut header = Header {
        address: 0,
        address_length: 0,
        slices: &raw const slice,
        slice_count: 1,
        control: &raw mut control,
        control_length: size_of::<Control>(),
        flags: 0,
    };
    let length = kernel!(RECVMSG, socket.number(), &raw mut header, CLOEXEC | NONBLOCK)?;
    let mut received = [const { None }; MOST_DESCRIPTORS];
    let passed =
        header.control_length >= Control::HEAD && control.level == Control::SOCKET && control.kind == Control::RIGHTS;
    if passed {
        let count = control.length.saturating_sub(Control::HEAD) / size_of::<i32>();
        let numbers = control.descriptors.into_iter().take(count);
        received.iter_mut().zip(numbers).for_each(|(place, number)| *place = Some(Fd(number)));
    }
    Ok((length, received))
}

/// Sends a message, and a descriptor with it. Never waits, and a peer that is gone is an error.
pub fn send(socket: &Fd, message: &[u8], descriptor: Option<&Fd>) -> Result<()> {
    const NOSIGNAL_NONBLOCK: usize = 0x4000 | 0x40;
    let slice = Slice { start: message.as_ptr() as usize, length: message.len() };
    let mut control = Control::EMPTY;
    let mut control_length = 0;
    if let (Some(descriptor), [first, ..]) = (descriptor, &mut control.descriptors) {
        *first = descriptor.number();
        control_length = Control::HEAD + size_of::<i32>();
        (control.length, control.level, control.kind) = (control_length, Control::SOCKET, Control::RIGHTS);
        // Aligned as the kernel wants it.
        control_length = control_length.next_multiple_of(size_of::<usize>());
    }
    let header = Header {
        address: 0,
        address_length: 0,
        slices: &raw const slice,
        slice_count: 1,
        control: &raw mut control,
        control_length,
        flags: 0,
    };
    kernel!(SENDMSG, socket.number(), &raw const header, NOSIGNAL_NONBLOCK).map(drop)
}

/// Terminals.
pub mod terminal {
    use super::{Fd, Result, arch::nr, call, flag, owned};

    const TIOCSCTTY: usize = 0x540e;
    const TIOCSWINSZ: usize = 0x5414;
    const TIOCSPTLCK: usize = 0x4004_5431;
    const TIOCGPTPEER: usize = 0x5441;

    /// Lets the other side of a new pseudo-terminal be opened.
    pub fn unlock(master: &Fd) -> Result<()> {
        let no = 0i32;
        kernel!(IOCTL, master.number(), TIOCSPTLCK, &raw const no).map(drop)
    }

    /// Opens the other side.
    pub fn peer(master: &Fd) -> Result<Fd> {
        owned(kernel!(IOCTL, master.number(), TIOCGPTPEER, flag::O_RDWR | flag::O_NOCTTY | flag::O_CLOEXEC))
    }

    /// Sets the size; whoever is in the foreground is told.
    pub fn set_size(master: &Fd, rows: u16, columns: u16) -> Result<()> {
        let size = [rows, columns, 0, 0];
        kernel!(IOCTL, master.number(), TIOCSWINSZ, size.as_ptr()).map(drop)
    }

    /// Makes it the terminal of this process's session.
    pub fn control(terminal: &Fd) -> Result<()> {
        kernel!(IOCTL, terminal.number(), TIOCSCTTY, 0usize).map(drop)
    }
}
