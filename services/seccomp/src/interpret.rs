//! Runs a filter as the kernel does, for tests.

use crate::bpf::{self, Instruction};

/// A system call, as a filter sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) machine: u32,
    pub(crate) number: u32,
    pub(crate) argument: u32,
}

/// What becomes of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    Errno(u16),
    Kill,
}

pub(crate) fn run(program: &[Instruction], call: Call) -> Verdict {
    let (mut at, mut loaded) = (0, 0);
    loop {
        let Instruction { code, if_true, if_false, value } = program[at];
        at += 1;
        let mut skip = |holds| at += usize::from(if holds { if_true } else { if_false });
        match code {
            bpf::LOAD => {
                loaded = match value {
                    bpf::NUMBER => call.number,
                    bpf::MACHINE => call.machine,
                    bpf::ARGUMENT => call.argument,
                    _ => panic!("load of {value}"),
                }
            }
            bpf::EQUAL => skip(loaded == value),
            bpf::AT_LEAST => skip(loaded >= value),
            bpf::ANY_BIT => skip(loaded & value != 0),
            bpf::JUMP => at += value as usize,
            bpf::RETURN if value == bpf::ALLOW => return Verdict::Allow,
            bpf::RETURN if value == bpf::KILL => return Verdict::Kill,
            bpf::RETURN => return Verdict::Errno(u16::try_from(value & !bpf::ERRNO).unwrap()),
            _ => panic!("instruction {code}"),
        }
    }
}
