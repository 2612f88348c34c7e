//! Memory straight from the kernel, and the functions that the compiler expects to find.

use super::arch::nr;
use super::{Result, call};
use core::ops::{Deref, DerefMut};
use core::slice;

/// Zeroed memory of this process alone; given back when it is dropped. A page costs nothing until it is used.
pub struct Memory {
    start: *mut u8,
    length: usize,
}

impl Memory {
    /// Some bytes, at least one.
    pub fn map(length: usize) -> Result<Self> {
        const READ_WRITE: usize = 3;
        const PRIVATE_ANONYMOUS: usize = 0x22;
        let length = length.max(1);
        let start = kernel!(MMAP, 0usize, length, READ_WRITE, PRIVATE_ANONYMOUS, -1isize, 0usize)?;
        Ok(Self { start: start as *mut u8, length })
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is ours alone, of this length, initialised by the kernel, and lives as we do.
        unsafe { slice::from_raw_parts(self.start, self.length) }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and we are borrowed uniquely.
        unsafe { slice::from_raw_parts_mut(self.start, self.length) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = kernel!(MUNMAP, self.start, self.length);
    }
}

/// Copies bytes; the places do not overlap.
///
/// # Safety
/// As C's `memcpy`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { super::arch::copy_forwards(to, from, count) };
    to
}

/// Copies bytes.
///
/// # Safety
/// As C's `memmove`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= count {
        // SAFETY: the caller's promise; no byte is overwritten before it was read.
        unsafe { super::arch::copy_forwards(to, from, count) };
    } else {
        for at in (0..count).rev() {
            // SAFETY: as above, from the end on. Volatile, or the compiler would make this a call of itself.
            unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
        }
    }
    to
}

/// Fills bytes.
///
/// # Safety
/// As C's `memset`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { super::arch::fill(to, value as u8, count) };
    to
}

/// Compares bytes.
///
/// # Safety
/// As C's `memcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, count: usize) -> i32 {
    for at in 0..count {
        // SAFETY: the caller's promise. Volatile, or the compiler would make this a call of itself.
        let (left, right) = unsafe { (one.add(at).read_volatile(), other.add(at).read_volatile()) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}

/// Compares bytes for being equal.
///
/// # Safety
/// As `bcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, count: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { memcmp(one, other, count) }
}

/// Measures a text.
///
/// # Safety
/// As C's `strlen`.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller's promise: a NUL byte follows. Volatile as above.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}
