//! The system calls of a machine, by name.

use std::collections::BTreeMap;

const TABLE: &str = include_str!("calls.txt");

/// A machine that cctl runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// x86, 64 bit.
    X86_64,
    /// Arm, 64 bit.
    Aarch64,
}

impl Machine {
    /// The one that this program was built for.
    pub const CURRENT: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// How the kernel names it to filters (linux/audit.h).
    pub(crate) fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
        }
    }

    /// How profiles name it in their conditions.
    pub(crate) fn go_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// The column of its numbers in the table.
    fn column(self) -> usize {
        match self {
            Self::X86_64 => 1,
            Self::Aarch64 => 2,
        }
    }
}

/// All that the table knows, with their numbers; none: the machine does not have the call.
pub(crate) fn numbers(machine: Machine) -> BTreeMap<&'static str, Option<u32>> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let calls = lines.filter_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        Some((*words.first()?, words.get(machine.column())?.parse().ok()))
    });
    calls.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_line_of_the_table_is_a_call_with_a_number_of_its_own() {
        for machine in [Machine::X86_64, Machine::Aarch64] {
            let lines: Vec<&str> = TABLE.lines().filter(|line| !line.starts_with('#')).collect();
            let known = numbers(machine);
            assert_eq!(known.len(), lines.len());
            for line in lines {
                let words: Vec<&str> = line.split(' ').collect();
                let [name, numbers @ ..] = words.as_slice() else { panic!("{line}") };
                assert_eq!(numbers.len(), 2, "{line}");
                let number = numbers[machine.column() - 1];
                assert_eq!(known[name].map_or("-".to_owned(), |number| number.to_string()), number, "{line}");
            }
            let used: Vec<u32> = known.values().flatten().copied().collect();
            assert_eq!(used.iter().collect::<BTreeSet<_>>().len(), used.len());
        }
    }

    #[test]
    fn the_numbers_are_those_of_this_machine() {
        let known = numbers(Machine::CURRENT);
        for (name, number) in [
            ("read", libc::SYS_read),
            ("execve", libc::SYS_execve),
            ("openat2", libc::SYS_openat2),
            ("mount", libc::SYS_mount),
            ("clone3", libc::SYS_clone3),
            ("landlock_restrict_self", libc::SYS_landlock_restrict_self),
        ] {
            assert_eq!(known[name].map(libc::c_long::from), Some(number), "{name}");
        }
    }
}
