//! Profiles in Docker's and OCI's format: JSON that says which system calls are carried out, refused, or end a process.
//!
//! They are read strictly: a key that has no meaning, or a call that is to be refused and that nobody knows, would mean
//! less protection than its author thinks. Where several rules are about one call, those for every argument go before
//! those for some; else the strictest counts, as the kernel has it with several filters.

use crate::calls::{Machine, numbers};
use crate::case::{Action, Case, Comparison, Test};
use crate::list::Rule;
use crate::{Filter, compile};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Bytes of a profile, at most.
pub const LONGEST_PROFILE: usize = 256 << 10;
/// Instructions of a program, at most (`BPF_MAXINSNS`).
const MOST_INSTRUCTIONS: usize = 4096;
/// `MAX_ERRNO` of the kernel.
const GREATEST_ERROR: u32 = 4095;
const EPERM: u16 = 1;

/// Calls that only machines have on which we do not run.
const OTHERS: &str = include_str!("others.txt");

/// Machines as profiles name them.
const ARCHITECTURES: [&str; 23] = [
    "X86",
    "X86_64",
    "X32",
    "ARM",
    "AARCH64",
    "MIPS",
    "MIPS64",
    "MIPS64N32",
    "MIPSEL",
    "MIPSEL64",
    "MIPSEL64N32",
    "PPC",
    "PPC64",
    "PPC64LE",
    "S390",
    "S390X",
    "PARISC",
    "PARISC64",
    "RISCV64",
    "LOONGARCH64",
    "M68K",
    "SH",
    "SHEB",
];

/// What a profile depends on besides itself.
pub struct Given<'a> {
    /// What it is for.
    pub machine: Machine,
    /// The kernel's version: 6.1.
    pub kernel: (u32, u32),
    /// Whether the container has a capability, named with `CAP_`.
    pub has: &'a dyn Fn(&str) -> bool,
}

/// A profile that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    default: Action,
    entries: Vec<Entry>,
}

/// A rule about some calls.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    names: Vec<String>,
    action: Action,
    when: Vec<Comparison>,
    includes: Conditions,
    excludes: Conditions,
}

/// Where a rule holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Conditions {
    machines: Vec<String>,
    capabilities: Vec<String>,
    kernel: Option<(u32, u32)>,
}

impl Profile {
    /// Reads a profile. Fails with what is wrong, in one line.
    pub fn parse(json: &str) -> Result<Self, String> {
        if json.len() > LONGEST_PROFILE {
            return Err(format!("it has {} bytes, more than {LONGEST_PROFILE}", json.len()));
        }
        let Document { default_action, default_errno_ret, architectures, arch_map, flags, syscalls } =
            serde_json::from_str(json).map_err(|error| error.to_string().replace(char::is_control, " "))?;
        if architectures.is_some() && arch_map.is_some() {
            return Err("it has both \"architectures\" and \"archMap\"".to_owned());
        }
        let maps = arch_map.into_iter().flatten();
        let mapped = maps.flat_map(|ArchMap { architecture, sub_architectures }| {
            std::iter::once(architecture).chain(sub_architectures.into_iter().flatten())
        });
        for name in architectures.into_iter().flatten().chain(mapped) {
            let known = name.strip_prefix("SCMP_ARCH_").is_some_and(|name| ARCHITECTURES.contains(&name));
            if !known {
                return Err(format!("{name:?} is no architecture"));
            }
        }
        // There is one thread when the filter is set.
        if let Some(flag) = flags.into_iter().flatten().find(|flag| flag != "SECCOMP_FILTER_FLAG_TSYNC") {
            return Err(format!("the flag {flag:?} is not supported"));
        }
        let default = action(&default_action, default_errno_ret)?;
        let known = Names::new();
        let entries =
            syscalls.into_iter().flatten().map(|call| entry(call, default, &known)).collect::<Result<_, _>>()?;
        Ok(Self { default, entries })
    }

    /// Its program. Fails if it is too long for the kernel.
    pub fn program(&self, given: &Given<'_>) -> Result<Filter, String> {
        let numbers = numbers(given.machine);
        let mut calls: BTreeMap<u32, (Option<Action>, Vec<Case>)> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.holds(given)) {
            for number in entry.names.iter().filter_map(|name| numbers.get(name.as_str()).copied().flatten()) {
                let (always, cases) = calls.entry(number).or_default();
                if entry.when.is_empty() {
                    *always = Some(always.map_or(entry.action, |other| other.max(entry.action)));
                } else {
                    cases.push(Case { when: entry.when.clone(), action: entry.action });
                }
            }
        }
        let mut rules: BTreeMap<u32, Rule> =
            calls.into_iter().map(|(number, (always, cases))| (number, self.rule(always, cases))).collect();
        let default = Rule::Cases(Vec::new(), self.default);
        // What a profile that permits what it does not name permits, it also permits of a newer kernel; for the others,
        // what is newer than our table does not exist, and programs do without it.
        let after = if self.default.permits() { &default } else { &Rule::Enosys };
        for number in numbers.values().flatten() {
            rules.entry(*number).or_insert_with(|| default.clone());
        }
        let program = compile::with_defaults(given.machine, &rules, &default, after);
        if program.len() > MOST_INSTRUCTIONS {
            return Err(format!(
                "it needs {} instructions, and the kernel takes {MOST_INSTRUCTIONS}: it has too many rules with arguments",
                program.len()
            ));
        }
        Ok(Filter { program, absent: compile::compile_only(given.machine, &BTreeMap::new()) })
    }

    /// The rule of a call, of those for every argument and those for some.
    fn rule(&self, always: Option<Action>, mut cases: Vec<Case>) -> Rule {
        // Stricter than what holds for every argument is only what is strict for some.
        cases.retain(|case| always.is_none_or(|always| case.action > always));
        cases.sort_by_key(|case| std::cmp::Reverse(case.action));
        Rule::Cases(cases, always.unwrap_or(self.default))
    }
}

impl Entry {
    fn holds(&self, given: &Given<'_>) -> bool {
        let (includes, excludes) = (&self.includes, &self.excludes);
        let is_here = |machines: &[String]| machines.iter().any(|name| name == given.machine.go_name());
        let has = |name: &String| (given.has)(name);
        (includes.machines.is_empty() || is_here(&includes.machines))
            && includes.capabilities.iter().all(has)
            && includes.kernel.is_none_or(|least| given.kernel >= least)
            && !is_here(&excludes.machines)
            && !excludes.capabilities.iter().any(has)
            && excludes.kernel.is_none_or(|least| given.kernel < least)
    }
}

/// The names of calls.
struct Names {
    here: BTreeMap<&'static str, Option<u32>>,
}

impl Names {
    fn new() -> Self {
        Self { here: numbers(Machine::CURRENT) }
    }

    fn is_known(&self, name: &str) -> bool {
        self.here.contains_key(name) || OTHERS.lines().any(|other| other == name)
    }
}

fn entry(call: Call, default: Action, known: &Names) -> Result<Entry, String> {
    let Call { names, name, action: word, errno_ret, args, _comment: _, includes, excludes } = call;
    let names = match (names, name) {
        (Some(names), None) if !names.is_empty() => names,
        (None, Some(name)) => vec![name],
        (Some(_), Some(name)) => return Err(format!("the rule of {name:?} has both \"name\" and \"names\"")),
        _ => return Err("a rule names no system call".to_owned()),
    };
    let about = |error| format!("the rule of {:?}: {error}", names.first().map_or("", String::as_str));
    let action = action(&word, errno_ret).map_err(about)?;
    // One that is not permitted anyway need not be known: profiles are made for newer kernels, too.
    if action > default
        && let Some(name) = names.iter().find(|name| !known.is_known(name))
    {
        return Err(format!("there is no system call {name:?}, which it is to refuse"));
    }
    let when = args.into_iter().flatten().map(comparison).collect::<Result<_, _>>().map_err(about)?;
    let includes = conditions(includes).map_err(about)?;
    let excludes = conditions(excludes).map_err(about)?;
    Ok(Entry { names, action, when, includes, excludes })
}

fn action(word: &str, number: Option<u32>) -> Result<Action, String> {
    let number = match number {
        Some(number) if number > GREATEST_ERROR => {
            return Err(format!("{number} is no error number: they end at 4095"));
        }
        Some(number) => Some(u16::try_from(number).map_err(|error| error.to_string())?),
        None => None,
    };
    let action = match word {
        "SCMP_ACT_ERRNO" => return Ok(Action::Errno(number.unwrap_or(EPERM))),
        "SCMP_ACT_TRACE" => return Ok(Action::Trace(number.unwrap_or(EPERM))),
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_NOTIFY" => return Err("SCMP_ACT_NOTIFY is not supported: nobody would answer".to_owned()),
        _ => return Err(format!("{word:?} is no action")),
    };
    match number {
        Some(_) => Err(format!("{word} takes no error number")),
        None => Ok(action),
    }
}

fn comparison(argument: Argument) -> Result<Comparison, String> {
    let Argument { index, value, value_two, op } = argument;
    let argument = u8::try_from(index)
        .ok()
        .filter(|index| *index < 6)
        .ok_or_else(|| format!("{index} is no argument of a system call: they are numbered from 0 to 5"))?;
    let plain = |test| Comparison { argument, mask: u64::MAX, test, value };
    let comparison = match op.as_str() {
        "SCMP_CMP_NE" => plain(Test::NotEqual),
        "SCMP_CMP_LT" => plain(Test::Less),
        "SCMP_CMP_LE" => plain(Test::AtMost),
        "SCMP_CMP_EQ" => plain(Test::Equal),
        "SCMP_CMP_GE" => plain(Test::AtLeast),
        "SCMP_CMP_GT" => plain(Test::More),
        "SCMP_CMP_MASKED_EQ" => {
            return Ok(Comparison { argument, mask: value, test: Test::Equal, value: value_two.unwrap_or(0) });
        }
        _ => return Err(format!("{op:?} is no comparison")),
    };
    match value_two {
        None | Some(0) => Ok(comparison),
        Some(_) => Err(format!("{op} takes no second value")),
    }
}

fn conditions(filter: Option<Conditional>) -> Result<Conditions, String> {
    let Conditional { caps, arches, min_kernel } = filter.unwrap_or_default();
    let kernel = match min_kernel {
        None => None,
        Some(text) => {
            let numbers = text.split_once('.').and_then(|(one, two)| Some((one.parse().ok()?, two.parse().ok()?)));
            Some(numbers.ok_or_else(|| format!("{text:?} is no version of a kernel, as in 4.8"))?)
        }
    };
    let capabilities = caps.unwrap_or_default();
    match capabilities.iter().find(|name| !name.starts_with("CAP_")) {
        Some(name) => Err(format!("{name:?} is no capability: they begin with CAP_")),
        None => Ok(Conditions { machines: arches.unwrap_or_default(), capabilities, kernel }),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    default_action: String,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<ArchMap>>,
    flags: Option<Vec<String>>,
    syscalls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ArchMap {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Call {
    names: Option<Vec<String>>,
    name: Option<String>,
    action: String,
    errno_ret: Option<u32>,
    args: Option<Vec<Argument>>,
    #[serde(rename = "comment")]
    _comment: Option<String>,
    includes: Option<Conditional>,
    excludes: Option<Conditional>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    value_two: Option<u64>,
    op: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Conditional {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

#[cfg(test)]
mod tests;
