//! Looks into a container from outside, and stops it where it is.

use crate::ledger::Recorded;
use crate::user::User;
use std::fs;

pub(crate) fn round(user: &mut User, number: u64) -> Result<(), Recorded> {
    let name = &format!("files-{number}");
    let line = &format!("{name}\n");
    user.ask(&["run", "-d", "--name", name, "-m", "64m", "base", "sleep", "600"])?;
    let sent = user.cctl.scratch().join("sent");
    let content = format!("{number}\n").repeat(usize::try_from(user.random.between(1, 50_000)).expect("small"));
    fs::write(&sent, &content).expect("a file of the test");
    user.expect(&["cp", sent.to_str().expect("UTF-8"), &format!("{name}:/sent")], 0, "")?;
    user.expect(&["diff", name], 0, "A /sent\n")?;
    user.expect(&["exec", name, "cat", "/sent"], 0, &content)?;
    let received = user.cctl.scratch().join("received");
    user.expect(&["cp", &format!("{name}:/sent"), received.to_str().expect("UTF-8")], 0, "")?;
    if fs::read_to_string(&received).ok().as_deref() != Some(content.as_str()) {
        return Err(user.ledger.wrong(crate::ledger::Wrong::Command, 1, "files: `cp` brought back something else"));
    }
    user.expect(&["pause", name], 0, line)?;
    user.expect(&["ps", "-q", "--no-trunc", "--filter", "status=paused", "--format", "{{.Names}}"], 0, line)?;
    user.expect(&["unpause", name], 0, line)?;
    user.expect(&["stop", "-t", "0", name], 0, line)?;
    user.expect(&["rm", name], 0, line)
}
