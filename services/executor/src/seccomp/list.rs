//! The list of system calls: what may be called, and how.

use std::collections::BTreeMap;

/// A machine that containers run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    /// x86, 64 bit.
    X86_64,
    /// Arm, 64 bit.
    Aarch64,
}

impl Machine {
    /// The one that this program was built for.
    pub(crate) const CURRENT: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// How the kernel names it to filters (linux/audit.h).
    pub(super) fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
        }
    }

    /// The column of its numbers in the list.
    fn column(self) -> usize {
        match self {
            Self::X86_64 => 1,
            Self::Aarch64 => 2,
        }
    }
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Carried out.
    Allow,
    /// Carried out if the first argument is one of these.
    AllowIf(Vec<u32>),
    /// Carried out if the first argument has none of these bits.
    AllowIfClear(u32),
    /// Carried out if the first argument is another.
    AllowUnless(u32),
    /// EPERM.
    Refuse,
    /// ENOSYS.
    Enosys,
}

/// The rules of a machine, by the call's number. Fails with the number of the line that it does not understand.
pub(super) fn parse(list: &str, machine: Machine) -> Result<BTreeMap<u32, Rule>, usize> {
    let mut rules = BTreeMap::new();
    for (number, line) in (1..).zip(list.lines()) {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let rule = parse_rule(words.get(3..).unwrap_or_default()).ok_or(number)?;
        match words.get(machine.column()) {
            Some(&"-") => {}
            Some(call) => {
                let taken = rules.insert(call.parse().map_err(|_| number)?, rule);
                if taken.is_some() {
                    return Err(number);
                }
            }
            None => return Err(number),
        }
    }
    Ok(rules)
}

fn parse_rule(words: &[&str]) -> Option<Rule> {
    match words {
        ["allow"] => Some(Rule::Allow),
        ["allow", "if", values @ ..] if !values.is_empty() => {
            values.iter().copied().map(value).collect::<Option<_>>().map(Rule::AllowIf)
        }
        ["allow", "if-clear", mask] => value(mask).map(Rule::AllowIfClear),
        ["allow", "unless", other] => value(other).map(Rule::AllowUnless),
        ["refuse"] => Some(Rule::Refuse),
        ["enosys"] => Some(Rule::Enosys),
        _ => None,
    }
}

fn value(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_meaning_is_named() {
        let parse = |list| parse(list, Machine::X86_64);
        assert_eq!(parse("# comment\n\nread 0 63 allow\nwrite 1 64 perhaps\n"), Err(4));
        assert_eq!(parse("read zero 63 allow"), Err(1));
        assert_eq!(parse("read 0 63 allow\nwrite 0 64 allow"), Err(2));
        assert_eq!(parse("socket 1 2 allow if"), Err(1));
        assert_eq!(parse("only_arm - 1 allow"), Ok(BTreeMap::new()));
    }
}
