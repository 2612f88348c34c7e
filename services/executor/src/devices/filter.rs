//! The program that the kernel asks before a process of a cgroup opens a device or makes its node: a list of what is
//! allowed, as instructions of eBPF (`BPF_PROG_TYPE_CGROUP_DEVICE`, Linux 4.15).

use super::Node;
use schema::security::Access;

/// An instruction, as the kernel takes it (linux/bpf.h).
type Instruction = [u8; 8];

/// What the kernel asks about (linux/bpf.h).
const MAKE: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;
const BLOCK: u32 = 1;
const CHARACTER: u32 = 2;

/// Something that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    kind: u32,
    access: u32,
    /// None: all.
    major: Option<u32>,
    /// None: all.
    minor: Option<u32>,
}

const fn character(major: u32, minor: Option<u32>) -> Rule {
    Rule { kind: CHARACTER, access: MAKE | READ | WRITE, major: Some(major), minor }
}

/// What every container may: nodes can be made, by those who have the capability, but only these opened.
const USUAL: [Rule; 11] = [
    Rule { kind: CHARACTER, access: MAKE, major: None, minor: None },
    Rule { kind: BLOCK, access: MAKE, major: None, minor: None },
    // null, zero, full, random, urandom
    character(1, Some(3)),
    character(1, Some(5)),
    character(1, Some(7)),
    character(1, Some(8)),
    character(1, Some(9)),
    // tty, console, ptmx, and the terminals themselves
    character(5, Some(0)),
    character(5, Some(1)),
    character(5, Some(2)),
    character(136, None),
];

/// The program that allows what every container may, and these devices.
pub(crate) fn program(nodes: &[Node]) -> Vec<Instruction> {
    let given = nodes.iter().map(|node| {
        let Access { read, write, make } = node.access;
        let bit = |set, bit| if set { bit } else { 0 };
        let (major, minor) = node.numbers();
        Rule {
            kind: if node.is_block() { BLOCK } else { CHARACTER },
            access: bit(read, READ) | bit(write, WRITE) | bit(make, MAKE),
            major: Some(major),
            minor: Some(minor),
        }
    });
    compile(USUAL.into_iter().chain(given))
}

/// Registers: the verdict, the kernel's question, and what it is about.
const VERDICT: u8 = 0;
const QUESTION: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// Codes of instructions (linux/bpf_common.h, linux/bpf.h): on 32 bits, but for the jump.
const LOAD_WORD: u8 = 0x61;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const SET: u8 = 0xb4;
const COPY: u8 = 0xbc;
const JUMP_UNLESS_EQUAL: u8 = 0x55;
const END: u8 = 0x95;

fn instruction(code: u8, destination: u8, source: u8, offset: i16, value: u32) -> Instruction {
    let ([o0, o1], [v0, v1, v2, v3]) = (offset.to_ne_bytes(), value.to_ne_bytes());
    // The registers are halves of a byte, the first the lower on little-endian machines.
    [code, destination | source << 4, o0, o1, v0, v1, v2, v3]
}

fn compile(rules: impl Iterator<Item = Rule>) -> Vec<Instruction> {
    // struct bpf_cgroup_dev_ctx: access << 16 | kind, major, minor.
    let mut program = vec![
        instruction(LOAD_WORD, KIND, QUESTION, 0, 0),
        instruction(LOAD_WORD, ACCESS, QUESTION, 0, 0),
        instruction(LOAD_WORD, MAJOR, QUESTION, 4, 0),
        instruction(LOAD_WORD, MINOR, QUESTION, 8, 0),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
    ];
    for rule in rules {
        program.extend(allow(&rule));
    }
    program.extend([instruction(SET, VERDICT, 0, 0, 0), instruction(END, 0, 0, 0, 0)]);
    program
}

fn allow(rule: &Rule) -> Vec<Instruction> {
    let Rule { kind, access, major, minor } = *rule;
    let tests = [Some((KIND, kind)), major.map(|number| (MAJOR, number)), minor.map(|number| (MINOR, number))];
    let mut body: Vec<Instruction> = tests
        .into_iter()
        .flatten()
        .map(|(register, value)| instruction(JUMP_UNLESS_EQUAL, register, 0, 0, value))
        .collect();
    // Nothing is asked for that is not allowed.
    body.extend([
        instruction(COPY, VERDICT, ACCESS, 0, 0),
        instruction(AND, VERDICT, 0, 0, !access),
        instruction(JUMP_UNLESS_EQUAL, VERDICT, 0, 0, 0),
        instruction(SET, VERDICT, 0, 0, 1),
        instruction(END, 0, 0, 0, 0),
    ]);
    let length = body.len();
    for (place, [code, _, low, high, ..]) in body.iter_mut().enumerate() {
        if *code == JUMP_UNLESS_EQUAL {
            [*low, *high] = i16::try_from(length - place - 1).unwrap_or(i16::MAX).to_ne_bytes();
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs a program as the kernel does.
    fn run(program: &[Instruction], question: [u32; 3]) -> bool {
        let mut registers = [0u64; 11];
        let mut at = 0;
        loop {
            let [code, both, o0, o1, value @ ..] = program[at];
            let (destination, source) = (usize::from(both & 15), usize::from(both >> 4));
            let (offset, value) = (i16::from_ne_bytes([o0, o1]), u32::from_ne_bytes(value));
            let low = registers[destination] as u32;
            at += 1;
            match code {
                LOAD_WORD => registers[destination] = question[usize::try_from(offset).unwrap() / 4].into(),
                AND => registers[destination] = (low & value).into(),
                SHIFT_RIGHT => registers[destination] = (low >> value).into(),
                SET => registers[destination] = value.into(),
                COPY => registers[destination] = u64::from(registers[source] as u32),
                JUMP_UNLESS_EQUAL => {
                    if registers[destination] != i64::from(value.cast_signed()).cast_unsigned() {
                        at += usize::try_from(offset).unwrap();
                    }
                }
                END => return registers[0] == 1,
                _ => panic!("instruction {code:x}"),
            }
        }
    }

    fn node(block: bool, major: u32, minor: u32, access: Access) -> Node {
        let mode = if block { libc::S_IFBLK } else { libc::S_IFCHR } | 0o600;
        Node { names: vec!["x".into()], mode, uid: 0, gid: 0, device: libc::makedev(major, minor), access }
    }

    #[test]
    fn a_disk_that_may_be_read_is_not_written() {
        let read = Access { read: true, write: false, make: false };
        let program = program(&[node(true, 8, 0, read)]);
        let asks = |access: u32, kind, major, minor| run(&program, [access << 16 | kind, major, minor]);
        assert!(asks(READ, BLOCK, 8, 0) && asks(MAKE, BLOCK, 8, 0));
        assert!(!asks(WRITE, BLOCK, 8, 0) && !asks(READ | WRITE, BLOCK, 8, 0));
        assert!(!asks(READ, BLOCK, 8, 1) && !asks(READ, CHARACTER, 8, 0));
        assert!(asks(READ | WRITE, CHARACTER, 1, 3) && asks(READ | WRITE, CHARACTER, 136, 77));
        assert!(asks(MAKE, BLOCK, 7, 7) && !asks(READ, BLOCK, 7, 7));
    }

    fn accesses() -> impl Strategy<Value = Access> {
        any::<[bool; 3]>().prop_map(|[read, write, make]| Access { read, write, make })
    }

    proptest! {
        #[test]
        fn a_program_allows_what_its_rules_do(
            nodes in prop::collection::vec((any::<bool>(), 0u32..4, 0u32..4, accesses()), 0..5),
            kind in 1u32..3, access in 0u32..8, numbers in (0u32..6, 0u32..6),
        ) {
            let nodes: Vec<Node> = nodes.into_iter().map(|(block, major, minor, access)| node(block, major, minor, access)).collect();
            let allowed = run(&program(&nodes), [access << 16 | kind, numbers.0, numbers.1]);
            let given = |node: &Node| {
                let Access { read, write, make } = node.access;
                let all = u32::from(make) | u32::from(read) << 1 | u32::from(write) << 2;
                node.is_block() == (kind == BLOCK) && node.numbers() == numbers && access & !all == 0
            };
            let usual = |rule: &Rule| {
                rule.kind == kind && access & !rule.access == 0
                    && rule.major.is_none_or(|major| major == numbers.0) && rule.minor.is_none_or(|minor| minor == numbers.1)
            };
            prop_assert_eq!(allowed, nodes.iter().any(given) || USUAL.iter().any(usual));
        }
    }
}
