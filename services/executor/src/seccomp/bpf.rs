//! Instructions of the classic packet filter, as far as a filter of system calls needs them (linux/filter.h).

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// What to do.
    pub(super) code: u16,
    /// Instructions to skip if the comparison holds.
    pub(super) if_true: u8,
    /// Instructions to skip if not.
    pub(super) if_false: u8,
    /// The operand.
    pub(super) value: u32,
}

/// Load a word of the call's description.
pub(super) const LOAD: u16 = 0x20;
/// Skip instructions.
pub(super) const JUMP: u16 = 0x05;
/// Is it equal?
pub(super) const EQUAL: u16 = 0x15;
/// Is it at least as great?
pub(super) const AT_LEAST: u16 = 0x35;
/// Has it any of these bits?
pub(super) const ANY_BIT: u16 = 0x45;
/// The verdict.
pub(super) const RETURN: u16 = 0x06;

/// Where the call's number is in its description (`struct seccomp_data`).
pub(super) const NUMBER: u32 = 0;
/// Where the machine is.
pub(super) const MACHINE: u32 = 4;
/// Where the low half of the first argument is, on little-endian machines.
pub(super) const ARGUMENT: u32 = 16;

/// Verdict: carry it out.
pub(super) const ALLOW: u32 = 0x7fff_0000;
/// Verdict: the call fails with the error number in the low bits.
pub(super) const ERRNO: u32 = 0x0005_0000;
/// Verdict: kill the process.
pub(super) const KILL: u32 = 0x8000_0000;

impl Instruction {
    /// One that does not compare.
    pub(super) fn plain(code: u16, value: u32) -> Self {
        Self { code, if_true: 0, if_false: 0, value }
    }
}

/// The program in the kernel's form.
pub(super) fn encode(program: &[Instruction]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(program));
    for Instruction { code, if_true, if_false, value } in program {
        bytes.extend_from_slice(&code.to_ne_bytes());
        bytes.extend_from_slice(&[*if_true, *if_false]);
        bytes.extend_from_slice(&value.to_ne_bytes());
    }
    bytes
}
