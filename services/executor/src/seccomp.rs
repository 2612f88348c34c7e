//! The filter of system calls that every container gets: a list as data, compiled once into a program for the
//! kernel (seccomp(2)).

mod bpf;
mod compile;
#[cfg(test)]
mod interpret;
mod list;

pub(crate) use list::Machine;

use schema::Failure;

const DEFAULT: &str = include_str!("seccomp/default.txt");

/// The default filter for a machine, in the kernel's form.
pub(crate) fn default_program(machine: Machine) -> Result<Vec<u8>, Failure> {
    let rules = list::parse(DEFAULT, machine)
        .map_err(|line| Failure::internal(format_args!("the list of system calls: line {line} has no meaning")))?;
    Ok(bpf::encode(&compile::compile(machine, &rules)))
}

#[cfg(test)]
mod tests {
    use super::interpret::{Call, Verdict, run};
    use super::list::{Machine, Rule, parse};
    use super::*;
    use proptest::prelude::*;

    const MACHINES: [Machine; 2] = [Machine::X86_64, Machine::Aarch64];

    fn verdict(rule: Option<&Rule>, number: u32, newest: u32, argument: u32) -> Verdict {
        const EPERM: u16 = 1;
        const ENOSYS: u16 = 38;
        let when = |allowed| if allowed { Verdict::Allow } else { Verdict::Errno(EPERM) };
        match rule {
            Some(Rule::Allow) => Verdict::Allow,
            Some(Rule::AllowIf(values)) => when(values.contains(&argument)),
            Some(Rule::AllowIfClear(mask)) => when(argument & mask == 0),
            Some(Rule::AllowUnless(value)) => when(argument != *value),
            Some(Rule::Refuse) => Verdict::Errno(EPERM),
            Some(Rule::Enosys) => Verdict::Errno(ENOSYS),
            None => Verdict::Errno(if number > newest { ENOSYS } else { EPERM }),
        }
    }

    #[test]
    fn the_program_rules_as_the_list_does_for_every_call() {
        for machine in MACHINES {
            let rules = parse(DEFAULT, machine).unwrap();
            let newest = *rules.keys().last().unwrap();
            let program = compile::compile(machine, &rules);
            let arguments = [0, 1, 8, 39, 40, 41, 0x20000, 0x20008, 0x0002_0000, 0x1000_0000, 0x4000_0000, u32::MAX];
            for number in (0..newest + 600).chain([0x3fff_ffff, 0x4000_0000, 0x4000_0001, u32::MAX]) {
                for argument in arguments {
                    let call = Call { machine: machine.audit(), number, argument };
                    assert_eq!(run(&program, call), verdict(rules.get(&number), number, newest, argument), "{call:?}");
                }
            }
        }
    }

    #[test]
    fn calls_of_another_machine_kill() {
        const AUDIT_I386: u32 = 0x4000_0003;
        for machine in MACHINES {
            let program = compile::compile(machine, &parse(DEFAULT, machine).unwrap());
            for other in [AUDIT_I386, 0, u32::MAX] {
                let call = Call { machine: other, number: 0, argument: 0 };
                assert_eq!(run(&program, call), Verdict::Kill);
            }
        }
    }

    #[test]
    fn the_numbers_are_those_of_this_machine() {
        let rules = parse(DEFAULT, Machine::CURRENT).unwrap();
        let rule = |number: libc::c_long| rules.get(&u32::try_from(number).unwrap());
        for allowed in [libc::SYS_read, libc::SYS_execve, libc::SYS_openat2, libc::SYS_landlock_restrict_self] {
            assert_eq!(rule(allowed), Some(&Rule::Allow));
        }
        for refused in [libc::SYS_mount, libc::SYS_bpf, libc::SYS_keyctl, libc::SYS_unshare, libc::SYS_kexec_load] {
            assert_eq!(rule(refused), Some(&Rule::Refuse));
        }
        assert_eq!(rule(libc::SYS_clone3), Some(&Rule::Enosys));
        assert_eq!(rule(libc::SYS_socket), Some(&Rule::AllowUnless(40)));
    }

    #[test]
    fn programs_are_short() {
        for machine in MACHINES {
            let program = compile::compile(machine, &parse(DEFAULT, machine).unwrap());
            assert!(program.len() < 250, "{}", program.len());
        }
    }

    fn rules() -> impl Strategy<Value = Rule> {
        prop_oneof![
            Just(Rule::Allow),
            Just(Rule::Refuse),
            Just(Rule::Enosys),
            proptest::collection::vec(0u32..4, 1..4).prop_map(Rule::AllowIf),
            any::<u32>().prop_map(Rule::AllowIfClear),
            (0u32..4).prop_map(Rule::AllowUnless),
        ]
    }

    proptest! {
        #[test]
        fn any_list_is_compiled_right(
            rules in proptest::collection::btree_map(0u32..2000, rules(), 1..900),
            numbers in proptest::collection::vec(0u32..2100, 50),
            argument in 0u32..6,
        ) {
            let program = compile::compile(Machine::X86_64, &rules);
            let newest = *rules.keys().last().unwrap();
            for number in numbers {
                let call = Call { machine: Machine::X86_64.audit(), number, argument };
                prop_assert_eq!(run(&program, call), verdict(rules.get(&number), number, newest, argument));
            }
        }
    }
}
