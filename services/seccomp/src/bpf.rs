//! Instructions of the classic packet filter, as far as a filter of system calls needs them (linux/filter.h).

/// `struct sock_filter`: in memory as the kernel reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    /// What to do.
    pub(crate) code: u16,
    /// Instructions to skip if the comparison holds.
    pub(crate) if_true: u8,
    /// Instructions to skip if not.
    pub(crate) if_false: u8,
    /// The operand.
    pub(crate) value: u32,
}

/// Load a word of the call's description.
pub(crate) const LOAD: u16 = 0x20;
/// Skip instructions.
pub(crate) const JUMP: u16 = 0x05;
/// Is it equal?
pub(crate) const EQUAL: u16 = 0x15;
/// Is it at least as great?
pub(crate) const AT_LEAST: u16 = 0x35;
/// Has it any of these bits?
pub(crate) const ANY_BIT: u16 = 0x45;
/// Is it greater?
pub(crate) const MORE: u16 = 0x25;
/// Keep these bits.
pub(crate) const AND: u16 = 0x54;
/// The verdict.
pub(crate) const RETURN: u16 = 0x06;

/// Where the call's number is in its description (`struct seccomp_data`).
pub(crate) const NUMBER: u32 = 0;
/// Where the machine is.
pub(crate) const MACHINE: u32 = 4;
/// Where the low half of the first argument is, on little-endian machines.
pub(crate) const ARGUMENT: u32 = 16;

/// Verdict: carry it out.
pub(crate) const ALLOW: u32 = 0x7fff_0000;
/// Verdict: the call fails with the error number in the low bits.
pub(crate) const ERRNO: u32 = 0x0005_0000;
/// Verdict: kill the process.
pub(crate) const KILL: u32 = 0x8000_0000;

impl Instruction {
    /// One that does not compare.
    pub(crate) fn plain(code: u16, value: u32) -> Self {
        Self { code, if_true: 0, if_false: 0, value }
    }
}

/// The program in the kernel's form.
pub(crate) fn encode(program: &[Instruction]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(program));
    for Instruction { code, if_true, if_false, value } in program {
        bytes.extend_from_slice(&code.to_ne_bytes());
        bytes.extend_from_slice(&[*if_true, *if_false]);
        bytes.extend_from_slice(&value.to_ne_bytes());
    }
    bytes
}
