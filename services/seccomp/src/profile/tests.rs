use super::*;
use crate::bpf;
use crate::interpret::verdict;
use proptest::prelude::*;

const NONE: Given<'static> = Given { machine: Machine::X86_64, kernel: (6, 1), has: &|_| false };
const READ: u32 = 0;
const SOCKET: u32 = 41;
const CLONE: u32 = 56;
const MKDIR: u32 = 83;
const EPERM: u32 = bpf::ERRNO | 1;
const ENOSYS: u32 = bpf::ERRNO | 38;

/// What becomes of a call whose first arguments are these.
fn decides(profile: &Profile, given: &Given<'_>, call: u32, arguments: &[u64]) -> u32 {
    let Filter { program, .. } = profile.program(given).unwrap();
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    verdict(&program, given.machine.audit(), call, all)
}

fn read(json: &str) -> Profile {
    Profile::parse(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

#[test]
fn one_that_refuses_a_few() {
    let profile = read(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13},
            {"name": "chown32", "action": "SCMP_ACT_KILL_PROCESS", "args": null, "comment": "of another machine"}]}"#,
    );
    let of = |call| decides(&profile, &NONE, call, &[]);
    assert_eq!((of(MKDIR), of(258), of(READ)), (bpf::ERRNO | 13, bpf::ERRNO | 13, bpf::ALLOW));
    // A call that is newer than our table is permitted; x32 is no way around.
    assert_eq!((of(900), of(0x4000_0000 | MKDIR)), (bpf::ALLOW, ENOSYS));
}

#[test]
fn one_that_permits_a_few() {
    let profile = read(
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
            "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
            "syscalls": [
            {"names": ["read", "a_call_of_tomorrow"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 12, "op": "SCMP_CMP_LT"}]},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 3, "op": "SCMP_CMP_NE"}]},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}], "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["mkdir"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2", "arches": ["amd64", "x32"]}}]}"#,
    );
    let of = |call, arguments: &[u64]| decides(&profile, &NONE, call, arguments);
    assert_eq!((of(READ, &[]), of(1, &[]), of(900, &[])), (bpf::ALLOW, EPERM, ENOSYS));
    for (arguments, expected) in
        [([11, 0], bpf::ALLOW), ([12, 0], EPERM), ([1 << 32, 0], EPERM), ([16, 2], bpf::ALLOW), ([16, 3], EPERM)]
    {
        assert_eq!(of(SOCKET, &arguments), expected, "{arguments:?}");
    }
    assert_eq!((of(CLONE, &[0x11]), of(CLONE, &[0x1000_0000])), (bpf::ALLOW, EPERM));
    let admin = Given { has: &|name| name == "CAP_SYS_ADMIN", ..NONE };
    assert_eq!(decides(&profile, &admin, CLONE, &[0x1000_0000]), bpf::ALLOW);
    for (kernel, machine, expected) in
        [((6, 1), Machine::X86_64, EPERM), ((6, 2), Machine::X86_64, bpf::ALLOW), ((6, 2), Machine::Aarch64, EPERM)]
    {
        // mkdir is not there on aarch64, where 83 is fdatasync.
        assert_eq!(decides(&profile, &Given { kernel, machine, ..NONE }, MKDIR, &[]), expected);
    }
}

#[test]
fn the_stricter_of_two_rules_counts() {
    let rule = |action: &str, args: &str| format!(r#"{{"names": ["mkdir"], "action": "SCMP_ACT_{action}"{args}}}"#);
    let some = r#", "args": [{"index": 1, "value": 5, "op": "SCMP_CMP_EQ"}]"#;
    let of = |default: &str, rules: &[String]| {
        let profile = read(&format!(r#"{{"defaultAction": "SCMP_ACT_{default}", "syscalls": [{}]}}"#, rules.join(",")));
        [decides(&profile, &NONE, MKDIR, &[0, 5]), decides(&profile, &NONE, MKDIR, &[0, 6])]
    };
    let (allow, refuse) = (rule("ALLOW", ""), rule("ERRNO", ""));
    for rules in [[allow.clone(), refuse.clone()], [refuse.clone(), allow.clone()]] {
        assert_eq!(of("ALLOW", &rules), [EPERM; 2]);
    }
    assert_eq!(of("ERRNO", &[allow, rule("KILL_PROCESS", some)]), [bpf::KILL, bpf::ALLOW]);
    assert_eq!(of("ALLOW", &[refuse, rule("ALLOW", some)]), [EPERM; 2]);
    assert_eq!(of("ALLOW", &[rule("LOG", some), rule("ERRNO", some)]), [EPERM, bpf::ALLOW]);
}

#[test]
fn what_has_no_meaning_is_named() {
    let call = |body: &str| format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{body}]}}"#);
    for (json, named) in [
        (String::new(), "EOF"),
        ("[]".to_owned(), "invalid"),
        ("{}".to_owned(), "defaultAction"),
        (r#"{"defaultAction": "ALLOW"}"#.to_owned(), "\"ALLOW\" is no action"),
        (r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#.to_owned(), "SCMP_ACT_NOTIFY"),
        (r#"{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}"#.to_owned(), "takes no error number"),
        (r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}"#.to_owned(), "4096"),
        (r#"{"defaultAction": "SCMP_ACT_ALLOW", "defaultAction": "SCMP_ACT_ALLOW"}"#.to_owned(), "duplicate"),
        (r#"{"defaultAction": "SCMP_ACT_ALLOW", "default": 1}"#.to_owned(), "`default`"),
        (r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["X86_64"]}"#.to_owned(), "\"X86_64\""),
        (r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": [], "archMap": []}"#.to_owned(), "both"),
        (r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}"#.to_owned(), "FLAG_LOG"),
        (call(r#"{"names": ["mkdri"], "action": "SCMP_ACT_ERRNO"}"#), "\"mkdri\""),
        (call(r#"{"names": [], "action": "SCMP_ACT_ERRNO"}"#), "names no system call"),
        (call(r#"{"names": ["read"], "name": "read", "action": "SCMP_ACT_ERRNO"}"#), "both"),
        (call(r#"{"names": ["read"], "action": "SCMP_ACT_ERRNO", "arguments": []}"#), "`arguments`"),
        (call(r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1}"#), "takes no error number"),
        (
            call(
                r#"{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}"#,
            ),
            "6",
        ),
        (
            call(
                r#"{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]}"#,
            ),
            "-1",
        ),
        (
            call(r#"{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 0, "op": "EQ"}]}"#),
            "\"EQ\"",
        ),
        (call(r#"{"names": ["read"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "new"}}"#), "\"new\""),
        (call(r#"{"names": ["read"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["ADMIN"]}}"#), "\"ADMIN\""),
        (" ".repeat(LONGEST_PROFILE + 1), "bytes"),
        ("[".repeat(10_000), "invalid"),
    ] {
        let error = Profile::parse(&json).unwrap_err();
        assert!(error.contains(named) && !error.contains('\n'), "{json:.80}: {error}");
    }
}

#[test]
fn one_that_is_too_long_for_the_kernel_is_refused() {
    let rule = |value: usize| {
        format!(
            r#"{{"name": "read", "action": "SCMP_ACT_ERRNO", "args": [{{"index": 0, "value": {value}, "op": "SCMP_CMP_EQ"}}]}}"#
        )
    };
    let of = |count| {
        let rules: Vec<String> = (0..count).map(rule).collect();
        read(&format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{}]}}"#, rules.join(","))).program(&NONE)
    };
    assert!(of(700).is_ok());
    assert!(of(1000).unwrap_err().contains("too many rules"));
}

/// JSON that looks like a profile.
fn documents() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("\"SCMP_ACT_ALLOW\"".to_owned()),
        Just("\"SCMP_ACT_ERRNO\"".to_owned()),
        Just("\"SCMP_CMP_MASKED_EQ\"".to_owned()),
        Just("\"read\"".to_owned()),
        Just("\"socket\"".to_owned()),
        Just("null".to_owned()),
        any::<u64>().prop_map(|number| number.to_string()),
        (0u64..8).prop_map(|number| number.to_string()),
        "\"[a-z_]{0,6}\"",
    ];
    let key = prop::sample::select(vec![
        "defaultAction",
        "syscalls",
        "names",
        "name",
        "action",
        "args",
        "index",
        "value",
        "valueTwo",
        "op",
        "errnoRet",
        "includes",
        "excludes",
        "caps",
        "arches",
        "minKernel",
        "archMap",
        "x",
    ]);
    word.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|fields| {
                let fields: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

fn rules() -> impl Strategy<Value = String> {
    let action = prop::sample::select(vec!["ALLOW", "LOG", "ERRNO", "TRAP", "KILL_PROCESS"]);
    let op = prop::sample::select(vec!["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]);
    let argument = (0u8..6, 0u64..9, op)
        .prop_map(|(index, value, op)| format!(r#"{{"index":{index},"value":{value},"op":"SCMP_CMP_{op}"}}"#));
    let names = prop::sample::subsequence(vec!["\"read\"", "\"socket\"", "\"mkdir\"", "\"clone\""], 1..4);
    (names, action, prop::collection::vec(argument, 0..3)).prop_map(|(names, action, arguments)| {
        let (names, arguments) = (names.join(","), arguments.join(","));
        format!(r#"{{"names":[{names}],"action":"SCMP_ACT_{action}","args":[{arguments}]}}"#)
    })
}

proptest! {
    #[test]
    fn any_text_is_answered(text in ".{0,200}") {
        let _ = Profile::parse(&text);
    }

    #[test]
    fn any_json_is_answered(json in documents()) {
        if let Ok(profile) = Profile::parse(&json) {
            let _ = profile.program(&NONE);
        }
    }

    #[test]
    fn a_profile_permits_no_more_than_each_rule_for_every_argument(
        rules in prop::collection::vec(rules(), 0..8), arguments in prop::array::uniform6(0u64..9),
    ) {
        let json = |rules: &[String]| format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{}]}}"#, rules.join(","));
        let all = read(&json(&rules));
        for rule in &rules {
            let one = read(&json(std::slice::from_ref(rule)));
            for call in [READ, SOCKET, MKDIR, CLONE] {
                let permits = |profile: &Profile| matches!(decides(profile, &NONE, call, &arguments), bpf::ALLOW | 0x7ffc_0000);
                // In a profile that permits what it does not name, more rules never permit more.
                prop_assert!(permits(&one) || !permits(&all), "{rule}");
            }
        }
    }
}
