//! Rules that look at arguments, as profiles of Docker and OCI have them: cases, of which the first that holds decides.
//!
//! Arguments have 64 bits, of which the kernel's machine compares 32 at a time: first the upper half, then the lower.

use crate::bpf::{self, Instruction};

/// What becomes of a call, the strictest last: the kernel's own order, if several filters speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Carried out.
    Allow,
    /// Carried out, and in the audit log.
    Log,
    /// A tracer is told this number; without one, ENOSYS.
    Trace(u16),
    /// It fails with this error number.
    Errno(u16),
    /// The thread gets SIGSYS.
    Trap,
    /// The thread ends.
    KillThread,
    /// The process ends.
    KillProcess,
}

impl Action {
    /// As a filter says it (linux/seccomp.h).
    fn value(self) -> u32 {
        match self {
            Self::Allow => bpf::ALLOW,
            Self::Log => 0x7ffc_0000,
            Self::Trace(number) => 0x7ff0_0000 | u32::from(number),
            Self::Errno(number) => bpf::ERRNO | u32::from(number),
            Self::Trap => 0x0003_0000,
            Self::KillThread => 0,
            Self::KillProcess => bpf::KILL,
        }
    }

    /// Whether the call is carried out.
    pub(crate) fn permits(self) -> bool {
        matches!(self, Self::Allow | Self::Log)
    }
}

/// How an argument, of which only the bits of a mask count, is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// A condition on an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// From 0 to 5.
    pub(crate) argument: u8,
    pub(crate) mask: u64,
    pub(crate) test: Test,
    pub(crate) value: u64,
}

/// Conditions, and what becomes of a call for which they all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) when: Vec<Comparison>,
    pub(crate) action: Action,
}

/// Where an instruction of a case goes on.
#[derive(Clone, Copy)]
enum To {
    /// With the next one.
    Next,
    /// Behind this comparison: it holds.
    Holds,
    /// Behind this case: it does not.
    Fails,
}

/// The program of some cases, and of what becomes of all else.
pub(crate) fn compile(cases: &[Case], otherwise: Action) -> Vec<Instruction> {
    let end = |action: Action| Instruction::plain(bpf::RETURN, action.value());
    let mut program = Vec::new();
    for Case { when, action } in cases {
        let comparisons: Vec<Vec<Draft>> = when.iter().map(compare).collect();
        // Six comparisons of six instructions each, at most: a jump is short.
        let mut left: usize = comparisons.iter().map(Vec::len).sum();
        for comparison in comparisons {
            let mut rest = comparison.len();
            for (mut instruction, targets) in comparison {
                (left, rest) = (left - 1, rest - 1);
                let skip = |to| match to {
                    To::Next => 0,
                    To::Holds => u8::try_from(rest).unwrap_or(u8::MAX),
                    // The verdict of this case is skipped, too.
                    To::Fails => u8::try_from(left + 1).unwrap_or(u8::MAX),
                };
                if let Some((if_true, if_false)) = targets {
                    (instruction.if_true, instruction.if_false) = (skip(if_true), skip(if_false));
                }
                program.push(instruction);
            }
        }
        program.push(end(*action));
    }
    program.push(end(otherwise));
    program
}

type Draft = (Instruction, Option<(To, To)>);

fn compare(comparison: &Comparison) -> Vec<Draft> {
    let Comparison { argument, mask, test, value } = *comparison;
    let value = value & mask;
    // On little-endian machines, the lower half comes first.
    let place = bpf::ARGUMENT + 8 * u32::from(argument);
    let halves = |number: u64| ((number >> 32) as u32, number as u32);
    let ((high_mask, low_mask), (high, low)) = (halves(mask), halves(value));
    let load = |place, mask: u32| {
        let mut load: Vec<Draft> = vec![(Instruction::plain(bpf::LOAD, place), None)];
        if mask != u32::MAX {
            load.push((Instruction::plain(bpf::AND, mask), None));
        }
        load
    };
    let jump = |code, value, if_true, if_false| (Instruction::plain(code, value), Some((if_true, if_false)));
    // The upper half decides, unless it is equal.
    let upper = |more: To, less: To| {
        let mut upper = load(place + 4, high_mask);
        if !matches!((more, less), (To::Fails, To::Fails) | (To::Holds, To::Holds)) {
            upper.push(jump(bpf::MORE, high, more, To::Next));
        }
        upper.push(jump(bpf::EQUAL, high, To::Next, less));
        upper
    };
    let mut program = match test {
        // What is masked away is equal.
        Test::Equal | Test::NotEqual if high_mask == 0 => Vec::new(),
        Test::Equal => upper(To::Fails, To::Fails),
        Test::NotEqual => upper(To::Holds, To::Holds),
        Test::More | Test::AtLeast => upper(To::Holds, To::Fails),
        Test::Less | Test::AtMost => upper(To::Fails, To::Holds),
    };
    program.extend(load(place, low_mask));
    program.push(match test {
        Test::Equal => jump(bpf::EQUAL, low, To::Holds, To::Fails),
        Test::NotEqual => jump(bpf::EQUAL, low, To::Fails, To::Holds),
        Test::More => jump(bpf::MORE, low, To::Holds, To::Fails),
        Test::AtLeast => jump(bpf::AT_LEAST, low, To::Holds, To::Fails),
        Test::Less => jump(bpf::AT_LEAST, low, To::Fails, To::Holds),
        Test::AtMost => jump(bpf::MORE, low, To::Fails, To::Holds),
    });
    program
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::interpret::verdict;
    use proptest::prelude::*;

    fn holds(comparison: &Comparison, arguments: [u64; 6]) -> bool {
        let Comparison { argument, mask, test, value } = *comparison;
        let (argument, value) = (arguments[usize::from(argument)] & mask, value & mask);
        match test {
            Test::Equal => argument == value,
            Test::NotEqual => argument != value,
            Test::Less => argument < value,
            Test::AtMost => argument <= value,
            Test::More => argument > value,
            Test::AtLeast => argument >= value,
        }
    }

    /// What a rule says, without a program.
    pub(crate) fn decided(cases: &[Case], otherwise: Action, arguments: [u64; 6]) -> u32 {
        let case = cases.iter().find(|case| case.when.iter().all(|comparison| holds(comparison, arguments)));
        case.map_or(otherwise, |case| case.action).value()
    }

    /// Numbers that are likely to be near each other in one half or the other.
    pub(crate) fn numbers() -> impl Strategy<Value = u64> {
        prop_oneof![
            0u64..4,
            (0u64..3, 0u64..3).prop_map(|(high, low)| high << 32 | low),
            Just(u64::MAX),
            Just(u64::from(u32::MAX)),
            any::<u64>(),
        ]
    }

    pub(crate) fn actions() -> impl Strategy<Value = Action> {
        prop_oneof![
            Just(Action::Allow),
            Just(Action::Log),
            (0u16..4096).prop_map(Action::Trace),
            (0u16..4096).prop_map(Action::Errno),
            Just(Action::Trap),
            Just(Action::KillThread),
            Just(Action::KillProcess),
        ]
    }

    fn comparisons() -> impl Strategy<Value = Comparison> {
        let tests = vec![Test::Equal, Test::NotEqual, Test::Less, Test::AtMost, Test::More, Test::AtLeast];
        let masks = prop_oneof![3 => Just(u64::MAX), 1 => numbers()];
        (0u8..6, masks, prop::sample::select(tests), numbers()).prop_map(|(argument, mask, test, value)| Comparison {
            argument,
            mask,
            test,
            value,
        })
    }

    pub(crate) fn cases() -> impl Strategy<Value = Vec<Case>> {
        let case =
            (prop::collection::vec(comparisons(), 1..7), actions()).prop_map(|(when, action)| Case { when, action });
        prop::collection::vec(case, 0..5)
    }

    proptest! {
        #[test]
        fn a_program_decides_as_its_cases_do(
            cases in cases(), otherwise in actions(), arguments in prop::collection::vec(prop::array::uniform6(numbers()), 20),
        ) {
            let program = compile(&cases, otherwise);
            for arguments in arguments {
                prop_assert_eq!(verdict(&program, 0, 0, arguments), decided(&cases, otherwise, arguments));
            }
        }
    }

    #[test]
    fn the_strictest_is_the_greatest() {
        let all = [
            Action::Allow,
            Action::Log,
            Action::Trace(9),
            Action::Errno(1),
            Action::Trap,
            Action::KillThread,
            Action::KillProcess,
        ];
        assert!(all.is_sorted());
        // The kernel compares what filters say as signed numbers, and the least wins.
        assert!(all.iter().rev().map(|action| (action.value() & 0xffff_0000).cast_signed()).is_sorted());
    }
}
