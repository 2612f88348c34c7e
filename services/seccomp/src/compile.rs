//! From a list of rules to a program: neighbours with the same rule become a range, and the range of a call is
//! found by binary search.

use crate::bpf::{self, Instruction};
use crate::calls::Machine;
use crate::case;
use crate::list::Rule;
use std::collections::BTreeMap;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// Calls from here to the next range are ruled alike.
struct Range {
    first: u32,
    rule: Rule,
}

/// The program that rules on calls as this list does. What is between them is refused; what comes after the newest of
/// them does not exist.
pub(crate) fn compile(machine: Machine, rules: &BTreeMap<u32, Rule>) -> Vec<Instruction> {
    program(machine, &ranges(rules, &Rule::Refuse, &Rule::Enosys))
}

/// The program that rules on these calls, and lets all others be.
pub(crate) fn compile_only(machine: Machine, rules: &BTreeMap<u32, Rule>) -> Vec<Instruction> {
    program(machine, &ranges(rules, &Rule::Allow, &Rule::Allow))
}

/// The program, with rules for calls between those that have one, and after the newest.
pub(crate) fn with_defaults(
    machine: Machine,
    rules: &BTreeMap<u32, Rule>,
    between: &Rule,
    after: &Rule,
) -> Vec<Instruction> {
    let mut ranges = ranges(rules, between, after);
    if *after != Rule::Enosys {
        ranges.push(Range { first: OTHER_CALLS, rule: Rule::Enosys });
    }
    program(machine, &ranges)
}

/// Numbers from here on are those of another way to call the same (x32 on x86_64), which would evade the rules.
const OTHER_CALLS: u32 = 0x4000_0000;

fn program(machine: Machine, ranges: &[Range]) -> Vec<Instruction> {
    let mut program = vec![
        Instruction::plain(bpf::LOAD, bpf::MACHINE),
        Instruction { code: bpf::EQUAL, if_true: 1, if_false: 0, value: machine.audit() },
        Instruction::plain(bpf::RETURN, bpf::KILL),
        Instruction::plain(bpf::LOAD, bpf::NUMBER),
    ];
    program.extend(search(ranges));
    program
}

fn ranges(rules: &BTreeMap<u32, Rule>, between: &Rule, after: &Rule) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    let mut push = |first, rule: &Rule| {
        if ranges.last().is_none_or(|last| last.rule != *rule) {
            ranges.push(Range { first, rule: rule.clone() });
        }
    };
    let mut next = 0;
    for (number, rule) in rules {
        if next < *number {
            push(next, between);
        }
        push(*number, rule);
        next = number + 1;
    }
    push(next, after);
    ranges
}

fn search(ranges: &[Range]) -> Vec<Instruction> {
    match ranges {
        [] => verdict(&Rule::Refuse),
        [only] => verdict(&only.rule),
        _ => {
            let (lower, upper) = ranges.split_at(ranges.len() / 2);
            let middle = upper.first().map_or(0, |range| range.first);
            let (lower, upper) = (search(lower), search(upper));
            let mut program = branch(middle, lower.len());
            program.extend(lower);
            program.extend(upper);
            program
        }
    }
}

/// Skips the lower half if the call is in the upper one. A comparison skips 255 instructions at most.
fn branch(middle: u32, lower: usize) -> Vec<Instruction> {
    match u8::try_from(lower) {
        Ok(skip) => vec![Instruction { code: bpf::AT_LEAST, if_true: skip, if_false: 0, value: middle }],
        Err(_) => vec![
            Instruction { code: bpf::AT_LEAST, if_true: 0, if_false: 1, value: middle },
            // A program of the kernel has at most 4096 instructions.
            Instruction::plain(bpf::JUMP, u32::try_from(lower).unwrap_or(u32::MAX)),
        ],
    }
}

fn verdict(rule: &Rule) -> Vec<Instruction> {
    let end = |value| Instruction::plain(bpf::RETURN, value);
    let (allow, refuse) = (end(bpf::ALLOW), end(bpf::ERRNO | EPERM));
    let load = Instruction::plain(bpf::LOAD, bpf::ARGUMENT);
    let compare = |code, value, if_true, if_false| Instruction { code, if_true, if_false, value };
    match rule {
        Rule::Cases(cases, otherwise) => case::compile(cases, *otherwise),
        Rule::Allow => vec![allow],
        Rule::Refuse => vec![refuse],
        Rule::Enosys => vec![end(bpf::ERRNO | ENOSYS)],
        Rule::AllowIfClear(mask) => vec![load, compare(bpf::ANY_BIT, *mask, 1, 0), allow, refuse],
        Rule::AllowUnless(value) => vec![load, compare(bpf::EQUAL, *value, 1, 0), allow, refuse],
        Rule::AllowIf(values) => {
            let tests = values.iter().flat_map(|value| [compare(bpf::EQUAL, *value, 0, 1), allow]);
            std::iter::once(load).chain(tests).chain([refuse]).collect()
        }
    }
}
