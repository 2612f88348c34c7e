//! The one place of this crate with `unsafe`.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `struct mount_attr` (linux/mount.h).
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Makes a detached mount read-only, which no safe wrapper offers (mount_setattr(2)).
pub(crate) fn make_read_only(mount: impl AsFd) -> io::Result<()> {
    const READ_ONLY: u64 = 1;
    let attributes = MountAttributes { set: READ_ONLY, clear: 0, propagation: libc::MS_PRIVATE, user_namespace: 0 };
    // SAFETY: the descriptor is open, the path is a terminated text, and the struct has the size that is passed.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends any signal to a process by its descriptor: real-time signals too, which safe wrappers leave out.
pub(crate) fn signal(pidfd: impl AsFd, number: i32) -> io::Result<()> {
    let nothing = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open; the kernel accepts a null for the signal's information.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), number, nothing, 0) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Parameters of bpf(2) for a program (`union bpf_attr`, linux/bpf.h).
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log: [u32; 2],
    log_buffer: u64,
}

/// The same, for attaching one to a cgroup.
#[repr(C)]
struct Attach {
    cgroup: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Has the kernel ask this program which devices the processes of a cgroup (v2) may use. It stays until the cgroup goes.
pub(crate) fn guard_devices(cgroup: impl AsFd, program: &[[u8; 8]]) -> io::Result<()> {
    const LOAD: libc::c_int = 5;
    const ATTACH: libc::c_int = 8;
    const PROGRAM_OF_DEVICES: u32 = 15;
    const DEVICES: u32 = 6;
    /// Those of cgroups above, as of a service manager, are asked, too.
    const MULTIPLE: u32 = 2;
    let load = Load {
        kind: PROGRAM_OF_DEVICES,
        count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log: [0; 2],
        log_buffer: 0,
    };
    // SAFETY: the program and the text live through the call, and the structure has the size that is passed.
    let loaded = unsafe { libc::syscall(libc::SYS_bpf, LOAD, &raw const load, size_of::<Load>()) };
    let loaded = i32::try_from(loaded).map_err(io::Error::other)?;
    if loaded < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded) };
    let number = |descriptor: i32| u32::try_from(descriptor).map_err(io::Error::other);
    let attach = Attach {
        cgroup: number(cgroup.as_fd().as_raw_fd())?,
        program: number(loaded.as_raw_fd())?,
        kind: DEVICES,
        flags: MULTIPLE,
    };
    // SAFETY: both descriptors are open, and the structure has the size that is passed.
    match unsafe { libc::syscall(libc::SYS_bpf, ATTACH, &raw const attach, size_of::<Attach>()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What a process begins with.
pub(crate) struct Birth<'a> {
    pub(crate) program: &'a CStr,
    /// The first is how the program is called.
    pub(crate) arguments: &'a [&'a CStr],
    /// Its descriptors 0, 1 and 2; it has no other. Each is above 2 here.
    pub(crate) descriptors: [BorrowedFd<'a>; 3],
    /// Limit of open descriptors: soft and hard.
    pub(crate) files: (u64, u64),
    /// The cgroup of v2 that it is born in (CLONE_INTO_CGROUP, Linux 5.7); none: that of the calling thread.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// Written to its descriptor 2, and then the number of the error and a newline, if the program cannot be executed.
    pub(crate) complaint: &'a CStr,
}

/// Bytes of the stack of a child until it executes.
const STACK: usize = 64 << 10;

/// What the child is told.
struct Told<'a> {
    birth: &'a Birth<'a>,
    descriptors: [libc::c_int; 3],
    /// Ends with a null.
    arguments: &'a [*const libc::c_char],
    /// The signals that the caller has blocked, and nobody else.
    signals: libc::sigset_t,
}

/// Executes a program in a child, in the directory `/`, without an environment. Answers with the child's id and a descriptor
/// of it, when it has executed, or ended.
///
/// Until then the child runs in our memory, and the calling thread waits (CLONE_VM, CLONE_VFORK): a fork would copy the
/// tables of all of it.
pub(crate) fn spawn(birth: &Birth<'_>) -> io::Result<(i32, OwnedFd)> {
    let mut arguments: Vec<*const libc::c_char> = birth.arguments.iter().map(|argument| argument.as_ptr()).collect();
    arguments.push(std::ptr::null());
    let descriptors = birth.descriptors.map(|descriptor| descriptor.as_raw_fd());
    if descriptors.iter().any(|descriptor| *descriptor <= 2) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // linux/sched.h; what `libc` calls so is too narrow for them.
    const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut handle: libc::c_int = -1;
    // A stack is aligned to 16 bytes on both architectures.
    let mut stack = vec![0_u128; STACK / size_of::<u128>()];
    // SAFETY: the structure consists of integers, for which zero means that nothing is asked.
    let mut clone: libc::clone_args = unsafe { std::mem::zeroed() };
    // Our handlers of signals are not for the child (CLONE_CLEAR_SIGHAND, Linux 5.5).
    clone.flags = (libc::CLONE_PIDFD | libc::CLONE_VM | libc::CLONE_VFORK) as u64 | CLONE_CLEAR_SIGHAND;
    clone.pidfd = &raw mut handle as u64;
    clone.exit_signal = libc::SIGCHLD as u64;
    clone.stack = stack.as_mut_ptr() as u64;
    clone.stack_size = STACK as u64;
    if let Some(cgroup) = birth.cgroup {
        clone.flags |= CLONE_INTO_CGROUP;
        clone.cgroup = u64::try_from(cgroup.as_raw_fd()).map_err(io::Error::other)?;
    }
    let signals = block_signals()?;
    let told = Told { birth, descriptors, arguments: &arguments, signals };
    // SAFETY: the stack and all that the child is told live until the call returns, which it does not do before the child
    // has executed or ended. The child allocates nothing, takes no lock, and calls only functions that are
    // async-signal-safe (signal-safety(7)).
    let child = unsafe { clone_and_call(&clone, begin, &told) };
    set_signals(&signals);
    drop(stack);
    match child {
        child if child < 0 => Err(io::Error::from_raw_os_error(i32::try_from(-child).map_err(io::Error::other)?)),
        child => {
            let pid = i32::try_from(child).map_err(io::Error::other)?;
            // SAFETY: the kernel has just made this descriptor for us.
            Ok((pid, unsafe { OwnedFd::from_raw_fd(handle) }))
        }
    }
}

/// Blocks all signals in this thread; answers which were.
fn block_signals() -> io::Result<libc::sigset_t> {
    // SAFETY: a set of signals consists of integers.
    let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
    // SAFETY: both sets live through the calls.
    let answer = unsafe {
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before)
    };
    if answer == 0 { Ok(before) } else { Err(io::Error::from_raw_os_error(answer)) }
}

/// Blocks these signals in this thread, and no others.
fn set_signals(signals: &libc::sigset_t) {
    // SAFETY: the set lives through the call, which cannot fail with a valid instruction.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, signals, std::ptr::null_mut()) };
}

/// clone3(2) with a stack for the child, which calls `work` on it. Answers like the system call.
///
/// # Safety
/// `clone` must name a stack of the child's own, and what `work` needs must live as long as the child uses our memory.
unsafe fn clone_and_call(clone: &libc::clone_args, work: extern "C" fn(&Told<'_>) -> !, told: &Told<'_>) -> isize {
    let answer: isize;
    // SAFETY: the system call changes the registers that are named. In the child, all registers are as they were but the
    // stack pointer, which is at the end of its stack, and aligned: that is how a function may be called.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r13",
            "call r12",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => answer,
            in("rdi") std::ptr::from_ref(clone),
            in("rsi") size_of::<libc::clone_args>(),
            in("r12") work,
            in("r13") std::ptr::from_ref(told),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x21",
            "blr x20",
            "brk #1",
            "2:",
            inlateout("x0") std::ptr::from_ref(clone) as isize => answer,
            in("x1") size_of::<libc::clone_args>(),
            in("x8") libc::SYS_clone3,
            in("x20") work,
            in("x21") std::ptr::from_ref(told),
        );
    }
    answer
}

/// The child's part.
extern "C" fn begin(told: &Told<'_>) -> ! {
    let Told { birth, descriptors, arguments, signals } = told;
    let environment = [std::ptr::null::<libc::c_char>()];
    let limit = libc::rlimit { rlim_cur: birth.files.0, rlim_max: birth.files.1 };
    // SAFETY: system calls with descriptors that are open, with terminated texts and with lists that end with a null; all
    // live until the child executes or ends. A duplicate is not closed when the program is executed.
    unsafe {
        let fine = libc::dup2(descriptors[0], 0) == 0
            && libc::dup2(descriptors[1], 1) == 1
            && libc::dup2(descriptors[2], 2) == 2
            && libc::chdir(c"/".as_ptr()) == 0
            && libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0
            && libc::pthread_sigmask(libc::SIG_SETMASK, signals, std::ptr::null_mut()) == 0;
        if fine {
            libc::execve(birth.program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
        }
        let error = *libc::__errno_location();
        let digit = |place: libc::c_int| b'0' + u8::try_from(error / place % 10).unwrap_or(0);
        let number = [b' ', digit(100), digit(10), digit(1), b'\n'];
        libc::write(2, birth.complaint.as_ptr().cast(), birth.complaint.count_bytes());
        libc::write(2, number.as_ptr().cast(), number.len());
        libc::_exit(1)
    }
}
