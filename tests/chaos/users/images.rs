//! Makes images of containers, and sends them to a registry and back.

use crate::ledger::Recorded;
use crate::user::User;

pub(crate) fn round(user: &mut User, number: u64) -> Result<(), Recorded> {
    let (name, image) = (&format!("maker-{number}"), &format!("made:{number}"));
    let kilobytes = user.random.between(1, 2000);
    let script = format!("dd if=/dev/urandom of=/data bs=1k count={kilobytes} 2> /dev/null; sha256sum /data");
    let sum = user.ask(&["run", "--name", name, "base", "sh", "-c", &script])? + "\n";
    let id = user.ask(&["commit", name, image])?;
    user.expect(&["rm", name], 0, &format!("{name}\n"))?;
    user.ask(&["push", "-q", image])?;
    user.ask(&["rmi", image])?;
    user.ask(&["pull", "-q", image])?;
    user.expect(&["images", "-q", "--no-trunc", image], 0, &format!("{id}\n"))?;
    user.expect(&["run", "--rm", image, "sha256sum", "/data"], 0, &sum)?;
    user.ask(&["rmi", image])?;
    Ok(())
}
