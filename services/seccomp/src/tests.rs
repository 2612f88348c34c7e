use super::*;
use interpret::{Call, Verdict, run};
use list::{numbered, parse};
use proptest::prelude::*;
use std::collections::BTreeMap;

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
        Some(Rule::Cases(..)) => panic!("no list has cases"),
        None => Verdict::Errno(if number > newest { ENOSYS } else { EPERM }),
    }
}

fn rules_of(name: &str, machine: Machine) -> BTreeMap<u32, Rule> {
    numbered(&parse(text(name).unwrap(), &text).unwrap(), machine)
}

#[test]
fn every_program_rules_as_its_list_does_for_every_call() {
    for (machine, name) in MACHINES.into_iter().flat_map(|machine| names().into_iter().map(move |name| (machine, name)))
    {
        let rules = rules_of(name, machine);
        let newest = *rules.keys().last().unwrap();
        let Filter { program, absent } = Filter::built_in(name, machine).unwrap();
        let arguments = [0, 1, 2, 8, 10, 16, 39, 40, 41, 0x20000, 0x20008, 0x1000_0000, 0x4000_0000, u32::MAX];
        for number in (0..newest + 600).chain([0x3fff_ffff, 0x4000_0000, 0x4000_0001, u32::MAX]) {
            for argument in arguments {
                let call = Call { machine: machine.audit(), number, argument };
                let expected = verdict(rules.get(&number), number, newest, argument);
                assert_eq!(run(&program, call), expected, "{name}: {call:?}");
                let said = rules.get(&number) == Some(&Rule::Enosys);
                let expected = if said { expected } else { Verdict::Allow };
                assert_eq!(run(&absent, call), expected, "{name}: {call:?}");
            }
        }
    }
}

#[test]
fn calls_of_another_machine_kill() {
    const AUDIT_I386: u32 = 0x4000_0003;
    for machine in MACHINES {
        let Filter { program, .. } = Filter::built_in("container", machine).unwrap();
        for other in [AUDIT_I386, 0, u32::MAX] {
            let call = Call { machine: other, number: 0, argument: 0 };
            assert_eq!(run(&program, call), Verdict::Kill);
        }
    }
}

#[test]
fn nobody_may_call_what_is_for_the_host() {
    for (name, text) in BUILT_IN {
        let rules = parse(text, &super::text).unwrap();
        for call in
            ["bpf", "keyctl", "kexec_load", "init_module", "reboot", "perf_event_open", "swapon", "settimeofday"]
        {
            assert!(matches!(rules.get(call), None | Some(Rule::Refuse)), "{name}: {call}");
        }
        // Its flags cannot be seen by a filter: libraries then use clone.
        assert_eq!(rules.get("clone3"), Some(&Rule::Enosys), "{name}");
    }
    let container = parse(text("container").unwrap(), &text).unwrap();
    assert_eq!(container.get("mount"), Some(&Rule::Refuse));
    assert_eq!(container.get("socket"), Some(&Rule::AllowUnless(40)));
}

#[test]
fn an_unknown_list_is_named() {
    assert!(Filter::built_in("other", Machine::CURRENT).unwrap_err().contains("\"other\""));
    assert!(Filter::parse("include: base\nallow: raed", Machine::CURRENT).unwrap_err().contains("line 2"));
}

#[test]
fn programs_are_short() {
    for (machine, name) in MACHINES.into_iter().flat_map(|machine| names().into_iter().map(move |name| (machine, name)))
    {
        let length = Filter::built_in(name, machine).unwrap().program.len();
        assert!(length < 250, "{name}: {length}");
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
