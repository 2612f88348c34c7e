//! Who a process runs as: names looked up in the image's own /etc/passwd and /etc/group.

use schema::common::IdRange;
use schema::{Failure, passwd};
use std::collections::HashMap;

/// A user, as processes have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
    /// The home directory.
    pub(crate) home: String,
}

/// Resolves `name or uid[:group or gid]`; empty means root. Numbers need no entry. Without a group, the user's own
/// is taken, and the groups that list the user as a member.
pub(crate) fn resolve(user: &str, users: &str, group: &str) -> Result<User, Failure> {
    let (wanted, wanted_group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (user, None),
    };
    let wanted = if wanted.is_empty() { "0" } else { wanted };
    let number = passwd::id(wanted);
    let entry = passwd::users(users).find(|entry| entry.name == wanted || Some(entry.uid) == number);
    let uid = match (&entry, number) {
        (Some(entry), _) => entry.uid,
        (None, Some(number)) => number,
        (None, None) => return Err(unknown("user", wanted, "/etc/passwd")),
    };
    let own = entry.as_ref().map_or(0, |entry| entry.gid);
    let (gid, groups) = match wanted_group {
        Some(name) if !name.is_empty() => (find_group(name, group)?, Vec::new()),
        _ => (own, entry.as_ref().map_or_else(Vec::new, |entry| memberships(entry.name, group))),
    };
    let home = entry.map(|entry| entry.home).filter(|home| !home.is_empty()).unwrap_or("/");
    Ok(User { uid, gid, groups, home: home.to_owned() })
}

/// Makes a user a member of further groups, names or numbers.
pub(crate) fn join(user: &mut User, wanted: &[String], group: &str) -> Result<(), Failure> {
    for name in wanted {
        let gid = find_group(name, group)?;
        if gid != user.gid && !user.groups.contains(&gid) {
            user.groups.push(gid);
        }
    }
    Ok(())
}

/// A user and a group, as the host numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Who a user of a container is on the host. Fails if the container has no such ids.
pub(crate) fn outside(user: &User, ids: Option<IdRange>) -> Result<Owner, Failure> {
    let outside = |what: &str, id: u32| match ids {
        None => Ok(id),
        Some(ids) => ids.outside(id).ok_or_else(|| {
            let greatest = IdRange::SIZE - 1;
            Failure::invalid(format_args!("{what} {id} does not exist: the container has 0 to {greatest}"))
                .hint("use a smaller number, or --userns host")
        }),
    };
    Ok(Owner { uid: outside("user", user.uid)?, gid: outside("group", user.gid)? })
}

/// The name of each user of a passwd file; the first, if there are several.
pub(crate) fn names(users: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for entry in passwd::users(users) {
        names.entry(entry.uid).or_insert_with(|| entry.name.to_owned());
    }
    names
}

fn unknown(what: &str, name: &str, file: &str) -> Failure {
    Failure::not_found(format_args!("{what} {name:?} is not in the image's {file}"))
        .hint(format_args!("use a {what} of the image, or a number"))
}

fn find_group(wanted: &str, group: &str) -> Result<u32, Failure> {
    passwd::group(group, wanted).or_else(|| passwd::id(wanted)).ok_or_else(|| unknown("group", wanted, "/etc/group"))
}

fn memberships(user: &str, group: &str) -> Vec<u32> {
    passwd::groups(group).filter(|group| group.has(user)).map(|group| group.gid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use schema::Code;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\n\nbroken\n#c\nwww:x:33:34:www:/var/www:/bin/sh\nnohome:x:5:5\n";
    const GROUP: &str = "root:x:0:\nwww:x:34:\naudio:x:29:root,www\nvideo:x:44:www\nbad:x:y:www\n";

    fn user(uid: u32, gid: u32, groups: &[u32], home: &str) -> User {
        User { uid, gid, groups: groups.to_vec(), home: home.to_owned() }
    }

    #[test]
    fn names_and_numbers_are_resolved() {
        let resolve = |text| resolve(text, PASSWD, GROUP).unwrap();
        assert_eq!(resolve(""), user(0, 0, &[29], "/root"));
        assert_eq!(resolve("www"), user(33, 34, &[29, 44], "/var/www"));
        assert_eq!(resolve("33"), user(33, 34, &[29, 44], "/var/www"));
        assert_eq!(resolve("www:video"), user(33, 44, &[], "/var/www"));
        assert_eq!(resolve("www:7"), user(33, 7, &[], "/var/www"));
        assert_eq!(resolve("1234"), user(1234, 0, &[], "/"));
        assert_eq!(resolve("1234:5"), user(1234, 5, &[], "/"));
        assert_eq!(resolve(":5"), user(0, 5, &[], "/root"));
        assert_eq!(resolve("nohome"), user(5, 5, &[], "/"));
    }

    #[test]
    fn further_groups_are_joined_once() {
        let mut user = user(33, 34, &[29], "/");
        join(&mut user, &["video".into(), "29".into(), "34".into(), "77".into(), "video".into()], GROUP).unwrap();
        assert_eq!(user.groups, [29, 44, 77]);
        assert!(join(&mut user, &["wheel".into()], GROUP).unwrap_err().message.contains("wheel"));
    }

    #[test]
    fn on_the_host_they_have_other_numbers() {
        let ids = IdRange::new(0x2000_0000);
        let www = resolve("www", PASSWD, GROUP).unwrap();
        assert_eq!(outside(&www, ids), Ok(Owner { uid: 0x2000_0021, gid: 0x2000_0022 }));
        assert_eq!(outside(&www, None), Ok(Owner { uid: 33, gid: 34 }));
        for text in ["65536", "5:65536"] {
            let failure = outside(&resolve(text, PASSWD, GROUP).unwrap(), ids).unwrap_err();
            assert!(failure.message.contains("65536") && failure.hint.contains("--userns host"), "{failure}");
        }
    }

    #[test]
    fn users_have_names() {
        let names = names("root:x:0:0::/:/x\ntoor:x:0:0::/:/x\nwww:x:33:34:::\nbroken\n");
        assert_eq!((names[&0].as_str(), names[&33].as_str(), names.len()), ("root", "www", 2));
    }

    #[test]
    fn numbers_need_no_files() {
        assert_eq!(super::resolve("7:8", "", ""), Ok(user(7, 8, &[], "/")));
        assert_eq!(super::resolve("", "", ""), Ok(user(0, 0, &[], "/")));
    }

    #[test]
    fn unknown_names_are_named() {
        for (text, named) in [("nobody", "nobody"), ("www:wheel", "wheel"), ("-1", "-1"), ("4294967295", "4294967295")]
        {
            let failure = super::resolve(text, PASSWD, GROUP).unwrap_err();
            assert_eq!(failure.code, Code::NotFound);
            assert!(failure.message.contains(named), "{failure}");
        }
    }

    proptest! {
        #[test]
        fn hostile_files_are_read_without_harm(text in ".{0,8}", passwd in "[a-z0-9:\n]{0,200}", group in "[a-z0-9:,\n]{0,200}") {
            let _ = resolve(&text, &passwd, &group);
        }
    }
}
