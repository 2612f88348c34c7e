//! What processes hold, in words.

use super::listing::{Headings, Listing};
use super::table::Table;
use crate::error::Result;
use schema::supervisor::Held;
use serde_json::json;

/// A list in one word: `none`, or its members with commas between them.
fn words(list: &[String]) -> String {
    if list.is_empty() { "none".to_owned() } else { list.join(",") }
}

/// The sockets, if they are few: those who hold all are not interesting.
fn sockets(list: &[String]) -> String {
    if list.len() > 3 { format!("{} sockets", list.len()) } else { words(list) }
}

/// The capabilities; `all`: as many as the supervisor, which is the first, has.
fn capabilities(held: &Held, first: &Held) -> String {
    if held.capabilities == first.capabilities && !held.capabilities.is_empty() {
        return "all".to_owned();
    }
    words(&held.capabilities)
}

/// All processes, for templates.
pub(crate) fn listing(processes: &[Held]) -> Result<Listing> {
    const HEADINGS: &Headings = &[
        ("Process", "PROCESS"),
        ("PID", "PID"),
        ("UID", "UID"),
        ("GID", "GID"),
        ("Capabilities", "CAPABILITIES"),
        ("NoNewPrivileges", "NO NEW PRIVILEGES"),
        ("Seccomp", "SECCOMP"),
        ("Landlock", "LANDLOCK"),
        ("Namespaces", "NAMESPACES"),
        ("Listens", "LISTENS"),
        ("Excess", "EXCESS"),
        ("Lacks", "LACKS"),
    ];
    let mut listing = Listing::new(HEADINGS, ["Process"]);
    for held in processes {
        let Held {
            process,
            pid,
            uid,
            gid,
            capabilities,
            no_new_privileges,
            seccomp,
            namespaces,
            listens,
            excess,
            landlock,
            lacks,
        } = held;
        listing.push(&json!({
            "Process": process,
            "PID": pid,
            "UID": uid,
            "GID": gid,
            "Capabilities": words(capabilities),
            "NoNewPrivileges": no_new_privileges,
            "Seccomp": seccomp,
            "Landlock": landlock,
            "Namespaces": words(namespaces),
            "Listens": words(listens),
            "Excess": excess.join("; "),
            "Lacks": lacks.join("; "),
        }))?;
    }
    Ok(listing)
}

/// All processes, for people.
pub(crate) fn table(processes: &[Held]) -> String {
    let mut table = Table::new(&[
        "PROCESS",
        "PID",
        "UID",
        "NEW PRIVILEGES",
        "SECCOMP",
        "LANDLOCK",
        "OWN NAMESPACES",
        "LISTENS",
        "CAPABILITIES",
    ]);
    let Some(first) = processes.first() else { return table.render() };
    for held in processes {
        let Held { process, pid, uid, no_new_privileges, seccomp, landlock, namespaces, listens, .. } = held;
        table.row([
            process.clone(),
            pid.to_string(),
            uid.to_string(),
            if *no_new_privileges { "never" } else { "possible" }.to_owned(),
            if *seccomp { "filter" } else { "none" }.to_owned(),
            if *landlock > 0 { format!("v{landlock}") } else { "none".to_owned() },
            words(namespaces),
            sockets(listens),
            capabilities(held, first),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_all_and_none() {
        let all = || vec!["CHOWN".to_owned(), "KILL".to_owned()];
        let root = Held { process: "supervisor".into(), pid: 1, capabilities: all(), ..Held::default() };
        let service = Held {
            process: "a".into(),
            pid: 2,
            uid: 7,
            no_new_privileges: true,
            seccomp: true,
            landlock: 7,
            namespaces: vec!["mnt".into(), "net".into()],
            listens: vec!["a.sock".into()],
            ..Held::default()
        };
        let text = table(&[root, service]);
        let lines: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["supervisor", "1", "0", "possible", "none", "none", "none", "none", "all"]);
        assert_eq!(lines[1], ["a", "2", "7", "never", "filter", "v7", "mnt,net", "a.sock", "none"]);
    }
}
