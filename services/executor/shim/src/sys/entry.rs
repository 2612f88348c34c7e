//! Where the kernel enters this program, and how it ends in a bug.

use super::exit;
use core::arch::global_asm;
use core::ffi::{CStr, c_char};

/// Exit code after a bug (EX_SOFTWARE of sysexits.h).
const BUG: i32 = 70;

// The kernel puts the count of arguments and then their pointers where the stack pointer points to.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {enter}",
    "ud2",
    enter = sym enter,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "bl {enter}",
    "brk #0",
    enter = sym enter,
);

/// # Safety
/// Called once, by `_start`, with the stack as the kernel made it.
unsafe extern "C" fn enter(stack: *const usize) -> ! {
    let argument = |number: usize| -> &'static CStr {
        // SAFETY: the kernel's contract: a count, then as many pointers to texts that live as the process does.
        unsafe { if number < *stack { CStr::from_ptr(*stack.add(1 + number) as *const c_char) } else { c"" } }
    };
    crate::run([argument(1), argument(2), argument(3), argument(4)])
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(BUG)
}

/// The precompiled core library names this, though nothing here unwinds.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
