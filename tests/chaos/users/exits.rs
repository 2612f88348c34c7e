//! Starts containers that end by themselves, and asks how.

use crate::ledger::Recorded;
use crate::user::User;

pub(crate) fn round(user: &mut User, number: u64) -> Result<(), Recorded> {
    let name = &format!("exit-{number}");
    let code = user.random.below(256);
    let (tenths, hundredths) = (user.random.below(4), user.random.below(10));
    let script = format!("sleep 0.{tenths}{hundredths}; echo last; echo words >&2; exit {code}");
    let wanted = format!("{code}\n");
    user.ask(&["create", "--name", name, "base", "sh", "-c", &script])?;
    user.expect(&["start", name], 0, &format!("{name}\n"))?;
    if user.random.below(2) == 0 {
        user.expect(&["wait", name], 0, &wanted)?;
    } else {
        // The answer is as true when it is asked for later.
        user.think(600);
        user.expect(&["wait", name], 0, &wanted)?;
    }
    user.expect_both(&["logs", name], 0, "last\n", "words\n")?;
    let template = "{{.State.Status}} {{.State.ExitCode}}";
    user.expect(&["inspect", "--format", template, name], 0, &format!("exited {code}\n"))?;
    user.expect(&["rm", name], 0, &format!("{name}\n"))
}
