//! The users that the services of an instance run as, by what the supervisor says in the environment.

use std::env;

/// Who runs as whom: `NAME=UID:GID`, separated by commas. A service that is not named runs as root.
pub const USERS: &str = "CCTL_USERS";
/// The user ids that a service lets connect, beside root's, separated by commas.
pub const CALLERS: &str = "CCTL_CALLERS";

/// A user of the host. It need not have a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl User {
    /// Root.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

/// The user that a service runs as.
pub fn of(service: &str) -> User {
    find(&env::var(USERS).unwrap_or_default(), service).unwrap_or(User::ROOT)
}

/// The user ids that may connect, beside root's.
pub fn callers() -> Vec<u32> {
    let text = env::var(CALLERS).unwrap_or_default();
    text.split(',').filter_map(|number| number.parse().ok()).collect()
}

fn find(users: &str, service: &str) -> Option<User> {
    users.split(',').find_map(|entry| {
        let (uid, gid) = entry.strip_prefix(service)?.strip_prefix('=')?.split_once(':')?;
        Some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_whole_names() {
        let users = "log=1:2,log-collector=3:4";
        assert_eq!(find(users, "log-collector"), Some(User { uid: 3, gid: 4 }));
        assert_eq!(find(users, "log"), Some(User { uid: 1, gid: 2 }));
        for service in ["collector", "lo", ""] {
            assert_eq!(find(users, service), None);
        }
        assert_eq!(find("a=x:1", "a"), None);
    }
}
