//! What a container may call besides, for the capabilities that it was given.

use crate::list::{Rule, Rules};

const TABLE: &str = include_str!("../../../deploy/seccomp/capabilities.txt");

/// Allows the calls of each capability that the container has. Fails with what is wrong in which line of the table.
pub(crate) fn allow(rules: &mut Rules, has: &dyn Fn(&str) -> bool) -> Result<(), String> {
    let mut held = None;
    for (number, line) in (1..).zip(TABLE.lines()) {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let calls = match line.split_once(':') {
            Some((capability, calls)) => {
                held = Some(has(capability));
                calls
            }
            None => line,
        };
        match held {
            None => return Err(format!("line {number}: it belongs to no capability")),
            Some(false) => {}
            Some(true) => {
                for call in calls.split_ascii_whitespace() {
                    let rule = rules.get_mut(call).ok_or_else(|| format!("line {number}: no rule for {call:?}"))?;
                    *rule = Rule::Allow;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::parse;

    fn container(has: &dyn Fn(&str) -> bool) -> Rules {
        let mut rules = parse(crate::text("container").unwrap(), &crate::text).unwrap();
        allow(&mut rules, has).unwrap();
        rules
    }

    #[test]
    fn a_capability_brings_its_calls_and_no_others() {
        let (none, time) = (container(&|_| false), container(&|name| name == "SYS_TIME"));
        let changed: Vec<&str> =
            time.iter().filter(|(call, rule)| none[*call] != **rule).map(|(call, _)| call.as_str()).collect();
        assert_eq!(changed, ["clock_settime", "settimeofday"]);
        let all = container(&|_| true);
        for call in ["mount", "clone", "clone3", "unshare", "reboot", "bpf", "perf_event_open"] {
            assert_eq!(all[call], Rule::Allow, "{call}");
        }
        // No capability makes these harmless.
        for call in ["keyctl", "kexec_load", "pivot_root", "userfaultfd", "io_uring_setup", "swapon"] {
            assert_eq!(all[call], Rule::Refuse, "{call}");
        }
    }
}
