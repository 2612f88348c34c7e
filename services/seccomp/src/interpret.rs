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
    match verdict(program, call.machine, call.number, [call.argument.into(), 0, 0, 0, 0, 0]) {
        bpf::ALLOW => Verdict::Allow,
        bpf::KILL => Verdict::Kill,
        value => Verdict::Errno(u16::try_from(value & !bpf::ERRNO).unwrap()),
    }
}

/// What the kernel is told.
pub(crate) fn verdict(program: &[Instruction], machine: u32, call: u32, arguments: [u64; 6]) -> u32 {
    let (mut at, mut loaded) = (0, 0u32);
    loop {
        let Instruction { code, if_true, if_false, value } = program[at];
        at += 1;
        let mut skip = |holds| at += usize::from(if holds { if_true } else { if_false });
        match code {
            bpf::LOAD => {
                loaded = match value {
                    bpf::NUMBER => call,
                    bpf::MACHINE => machine,
                    _ => {
                        let place = value.checked_sub(bpf::ARGUMENT).filter(|place| place % 4 == 0).unwrap();
                        let argument = arguments[place as usize / 8];
                        if place % 8 == 0 { argument as u32 } else { (argument >> 32) as u32 }
                    }
                }
            }
            bpf::AND => loaded &= value,
            bpf::EQUAL => skip(loaded == value),
            bpf::AT_LEAST => skip(loaded >= value),
            bpf::MORE => skip(loaded > value),
            bpf::ANY_BIT => skip(loaded & value != 0),
            bpf::JUMP => at += value as usize,
            bpf::RETURN => return value,
            _ => panic!("instruction {code}"),
        }
    }
}
