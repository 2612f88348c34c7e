//! What differs between machines.

use core::arch::asm;

macro_rules! numbers {
    ($($name:ident $x86_64:literal $aarch64:literal;)*) => {
        /// Numbers of system calls.
        pub(super) mod nr {
            $(#[cfg(target_arch = "x86_64")] pub(in super::super) const $name: usize = $x86_64;)*
            $(#[cfg(target_arch = "aarch64")] pub(in super::super) const $name: usize = $aarch64;)*
        }
    };
}

numbers! {
    READ 0 63;
    WRITE 1 64;
    CLOSE 3 57;
    LSEEK 8 62;
    MMAP 9 222;
    MUNMAP 11 215;
    RT_SIGACTION 13 134;
    RT_SIGPROCMASK 14 135;
    IOCTL 16 29;
    PREAD64 17 67;
    PWRITE64 18 68;
    GETPID 39 172;
    SENDMSG 46 211;
    RECVMSG 47 212;
    SOCKETPAIR 53 199;
    EXECVE 59 221;
    WAIT4 61 260;
    FCNTL 72 25;
    FLOCK 73 32;
    FTRUNCATE 77 46;
    CHDIR 80 49;
    FCHOWN 93 55;
    UMASK 95 166;
    SETSID 112 157;
    SETGROUPS 116 159;
    SETRESUID 117 147;
    SETRESGID 119 149;
    SETFSUID 122 151;
    SETFSGID 123 152;
    CAPGET 125 90;
    CAPSET 126 91;
    PIVOT_ROOT 155 41;
    PRCTL 157 167;
    MOUNT 165 40;
    UMOUNT2 166 39;
    SETHOSTNAME 170 161;
    CLOCK_GETTIME 228 113;
    EXIT_GROUP 231 94;
    OPENAT 257 56;
    MKDIRAT 258 34;
    MKNODAT 259 33;
    FCHOWNAT 260 54;
    UNLINKAT 263 35;
    WAITID 247 95;
    SYMLINKAT 266 36;
    PPOLL 271 73;
    UNSHARE 272 97;
    SPLICE 275 76;
    FALLOCATE 285 47;
    ACCEPT4 288 242;
    DUP3 292 24;
    SETNS 308 268;
    RENAMEAT2 316 276;
    SECCOMP 317 277;
    STATX 332 291;
    PIDFD_SEND_SIGNAL 424 424;
    PRLIMIT64 302 261;
    PIDFD_OPEN 434 434;
    CLONE3 435 435;
    CLOSE_RANGE 436 436;
    OPENAT2 437 437;
}

/// Fail if it is not a directory.
#[cfg(target_arch = "x86_64")]
pub const O_DIRECTORY: i32 = 0o200000;
/// Fail if it is not a directory.
#[cfg(target_arch = "aarch64")]
pub const O_DIRECTORY: i32 = 0o40000;

/// Calls the kernel.
///
/// # Safety
/// Whatever the call reads or writes must be valid for it.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn syscall(number: usize, arguments: [usize; 6]) -> isize {
    let answer: isize;
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the kernel keeps all registers but rax, rcx and r11; memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => answer,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    answer
}

/// Calls the kernel.
///
/// # Safety
/// Whatever the call reads or writes must be valid for it.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn syscall(number: usize, arguments: [usize; 6]) -> isize {
    let answer: isize;
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the kernel keeps all registers but x0; memory is the caller's promise.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a as isize => answer,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack),
        );
    }
    answer
}

/// Copies bytes in ascending order.
///
/// # Safety
/// Both places must be valid for `count` bytes.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn copy_forwards(to: *mut u8, from: *const u8, count: usize) {
    // SAFETY: the caller's promise; the direction flag is clear, as the ABI has it.
    unsafe {
        asm!(
            "rep movsb",
            inout("rdi") to => _, inout("rsi") from => _, inout("rcx") count => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Fills bytes.
///
/// # Safety
/// The place must be valid for `count` bytes.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn fill(to: *mut u8, value: u8, count: usize) {
    // SAFETY: the caller's promise; the direction flag is clear, as the ABI has it.
    unsafe {
        asm!(
            "rep stosb",
            inout("rdi") to => _, in("al") value, inout("rcx") count => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Copies bytes in ascending order.
///
/// # Safety
/// Both places must be valid for `count` bytes.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn copy_forwards(to: *mut u8, from: *const u8, count: usize) {
    for at in 0..count {
        // SAFETY: the caller's promise. Volatile, or the compiler would make this a call of memcpy.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
}

/// Fills bytes.
///
/// # Safety
/// The place must be valid for `count` bytes.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn fill(to: *mut u8, value: u8, count: usize) {
    for at in 0..count {
        // SAFETY: the caller's promise. Volatile, or the compiler would make this a call of memset.
        unsafe { to.add(at).write_volatile(value) };
    }
}
