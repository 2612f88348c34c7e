//! A list of system calls: what may be called, and how. `deploy/seccomp/base.txt` says how one is written.

use crate::calls::{Machine, numbers};
use crate::case::{Action, Case};
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
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
    /// What the first of these cases says that holds; else this. No list says so, but profiles do.
    Cases(Vec<Case>, Action),
}

/// The rules of a list, by the names of the calls.
pub(crate) type Rules = BTreeMap<String, Rule>;

/// Reads a list. What it says goes before what the lists say that it includes; `include` knows those by their names.
/// Fails with what is wrong, and the number of the line.
pub(crate) fn parse<'a>(text: &str, include: &dyn Fn(&str) -> Option<&'a str>) -> Result<Rules, String> {
    let known = numbers(Machine::CURRENT);
    let (mut rules, mut own) = (Rules::new(), BTreeSet::new());
    let mut current: Option<Rule> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let wrong = |what: String| format!("line {number}: {what}");
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let names = if line.starts_with(' ') {
            line
        } else {
            let (head, names) = line.split_once(':').ok_or_else(|| wrong("there is no colon in it".to_owned()))?;
            if head == "include" {
                let name = names.trim();
                let other = include(name).ok_or_else(|| wrong(format!("there is no list {name:?}")))?;
                // Lists are included before anything is said, and not in a circle: those that are included are ours.
                for (call, rule) in parse(other, include).map_err(|error| wrong(format!("{name}: {error}")))? {
                    if !own.contains(&call) {
                        rules.insert(call, rule);
                    }
                }
                current = None;
                continue;
            }
            let words: Vec<&str> = head.split_ascii_whitespace().collect();
            current = Some(rule(&words).ok_or_else(|| wrong(format!("{head:?} is no rule")))?);
            names
        };
        let rule = current.as_ref().ok_or_else(|| wrong("it belongs to no rule".to_owned()))?;
        for call in names.split_ascii_whitespace() {
            if !known.contains_key(call) {
                return Err(wrong(format!("there is no system call {call:?}")));
            }
            if !own.insert(call.to_owned()) {
                return Err(wrong(format!("{call} has a rule already")));
            }
            rules.insert(call.to_owned(), rule.clone());
        }
    }
    Ok(rules)
}

/// The rules for a machine, by the call's number. Whatever is known and not in the list is refused.
pub(crate) fn numbered(rules: &Rules, machine: Machine) -> BTreeMap<u32, Rule> {
    let known = numbers(machine).into_iter();
    known.filter_map(|(name, number)| Some((number?, rules.get(name).cloned().unwrap_or(Rule::Refuse)))).collect()
}

fn rule(words: &[&str]) -> Option<Rule> {
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

    fn refusal(text: &str) -> String {
        parse(text, &|_| None).unwrap_err()
    }

    #[test]
    fn a_line_without_meaning_is_named() {
        for (text, named) in [
            ("# comment\n\nallow: read\nperhaps: write", "line 4: \"perhaps\""),
            ("allow: read\n    raed", "line 2: there is no system call \"raed\""),
            ("allow: read\nrefuse: read", "line 2: read has a rule already"),
            ("allow if: socket", "line 1: \"allow if\""),
            ("allow if x: socket", "\"allow if x\""),
            ("read write", "no colon"),
            ("    read", "belongs to no rule"),
            ("include: other", "no list \"other\""),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(named), "{refusal}");
        }
    }

    #[test]
    fn what_a_list_says_goes_before_what_it_includes() {
        let base = |name: &str| (name == "base").then_some("allow: read write open\nenosys: clone3\n");
        let rules = parse("include: base\nrefuse: write\nallow if 1 0x2: socket\n    clone3\n", &base).unwrap();
        let only = |name: &str| rules.get(name).cloned();
        assert_eq!(only("read"), Some(Rule::Allow));
        assert_eq!(only("write"), Some(Rule::Refuse));
        assert_eq!(only("socket"), Some(Rule::AllowIf(vec![1, 2])));
        assert_eq!(only("clone3"), only("socket"));
        assert_eq!(only("close"), None);
        let numbered = numbered(&rules, Machine::Aarch64);
        // Not there, allowed, and not named.
        assert_eq!((numbered.get(&63), numbered.get(&57)), (Some(&Rule::Allow), Some(&Rule::Refuse)));
    }
}
