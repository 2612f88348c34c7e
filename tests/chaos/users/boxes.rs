//! Leads containers through their whole life.

use crate::ledger::Recorded;
use crate::user::User;

/// A line a start, so that a start can be waited for.
const BOX: &str = "trap 'exit 5' TERM; echo up; echo >> /starts; while :; do sleep 0.05; done";

fn wait_for_start(user: &User, name: &str, starts: u32) -> Result<(), Recorded> {
    let script = format!("until [ \"$(wc -l < /starts)\" = {starts} ]; do sleep 0.02; done 2> /dev/null; echo ready");
    user.expect(&["exec", name, "sh", "-c", &script], 0, "ready\n")
}

pub(crate) fn round(user: &mut User, number: u64) -> Result<(), Recorded> {
    let name = &format!("box-{number}");
    let line = &format!("{name}\n");
    user.ask(&["run", "-d", "--name", name, "base", "sh", "-c", BOX])?;
    wait_for_start(user, name, 1)?;
    user.expect(&["exec", name, "sh", "-c", "echo hello; exit 7"], 7, "hello\n")?;
    if user.random.below(2) == 0 {
        user.expect(&["restart", name], 0, line)?;
    } else {
        user.expect(&["stop", name], 0, line)?;
        user.expect(&["wait", name], 0, "5\n")?;
        user.expect(&["start", name], 0, line)?;
    }
    wait_for_start(user, name, 2)?;
    user.expect_with_input(&["exec", "-i", name, "cat"], b"1\n2\n", 0, "1\n2\n")?;
    user.expect(&["kill", name], 0, line)?;
    user.expect(&["wait", name], 0, "137\n")?;
    user.expect(&["logs", name], 0, "up\nup\n")?;
    user.expect(&["rm", name], 0, line)
}
