//! Runs something in the foreground, in a container that is gone afterwards.

use crate::ledger::Recorded;
use crate::user::User;

pub(crate) fn round(user: &mut User, number: u64) -> Result<(), Recorded> {
    match user.random.below(4) {
        0 => {
            let code = i32::try_from(user.random.below(125)).expect("a small code");
            let script = format!("echo {number}; exit {code}");
            user.expect(&["run", "--rm", "base", "sh", "-c", &script], code, &format!("{number}\n"))
        }
        1 => {
            // More than a pipe holds.
            let last = user.random.between(20_000, 60_000);
            let wanted: String = (1..=last).map(|line| format!("{line}\n")).collect();
            user.expect(&["run", "--rm", "base", "seq", "1", &last.to_string()], 0, &wanted)
        }
        2 => {
            let lines = user.random.between(1, 20_000);
            let input: String = (1..=lines).map(|line| format!("{line}\n")).collect();
            user.expect_with_input(&["run", "-i", "--rm", "base", "cat"], input.as_bytes(), 0, &input)
        }
        _ => {
            let script = "for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.03; done; exit 3";
            user.expect(&["run", "--rm", "base", "sh", "-c", script], 3, "1\n2\n3\n4\n5\n6\n7\n8\n9\n")
        }
    }
}
