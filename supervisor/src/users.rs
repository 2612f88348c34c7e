//! Which user a service runs as: that of the manifest's name, where the host has one; else a number that is the
//! instance's own.

use crate::manifest::Manifest;
use kit::users::User;
use schema::{Failure, Instance, passwd};
use std::collections::BTreeMap;
use std::fs;

/// The first number. From here to 2147483647 nobody assigns any: neither distributions, nor systemd, nor the managers
/// of containers with users of their own.
const FIRST: u32 = 0x7000_0000;
/// Numbers of one instance.
const OF_ONE: u32 = 16;

/// The users of the services that do not run as root, by the names of the services.
pub(crate) type Users = BTreeMap<String, User>;

/// Finds the users of all services. Fails if one is root in disguise, or cannot be.
pub(crate) fn resolve(manifest: &Manifest, instance: &Instance) -> Result<Users, Failure> {
    let read =
        |path: &str| fs::read_to_string(path).map_err(|error| Failure::io(format_args!("reading {path}"), &error));
    // Users of services are in the file, wherever those of people are.
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let users = choose(manifest, &text, instance.number())?;
    let (uids, gids) = (read("/proc/self/uid_map")?, read("/proc/self/gid_map")?);
    match users.iter().find(|(_, user)| !is_mapped(&uids, user.uid) || !is_mapped(&gids, user.gid)) {
        Some((service, user)) => Err(Failure::invalid(format_args!(
            "{service} cannot run as user {}: this user namespace does not have that number",
            user.uid
        ))
        .hint("make the users that services.toml names: `useradd --system NAME`")),
        None => Ok(users),
    }
}

fn choose(manifest: &Manifest, text: &str, instance: u32) -> Result<Users, Failure> {
    let mut users = Users::new();
    for (index, service) in (1..).zip(manifest.services.iter().filter(|service| service.user.is_some())) {
        let name = service.user.as_deref().unwrap_or_default();
        let number = FIRST + instance * OF_ONE + index;
        let found = passwd::user(text, name).map(|found| User { uid: found.uid, gid: found.gid });
        let user = found.unwrap_or(User { uid: number, gid: number });
        if user.uid == 0 || user.gid == 0 {
            return Err(Failure::invalid(format_args!("{}: user {name} is root", service.name))
                .hint("leave the key `user` out for a service that has to be root"));
        }
        users.insert(service.name.clone(), user);
    }
    Ok(users)
}

/// Whether a user namespace has this number, by its map (user_namespaces(7)).
fn is_mapped(map: &str, number: u32) -> bool {
    map.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) = (fields.next(), fields.next(), fields.next()) else {
            return false;
        };
        (first..first + count).contains(&u64::from(number))
    })
}

/// Users as the environment of services tells them.
pub(crate) fn told(users: &Users) -> String {
    let entries: Vec<String> = users.iter().map(|(name, user)| format!("{name}={}:{}", user.uid, user.gid)).collect();
    entries.join(",")
}

/// The users, beside root, that may call a service: those of the services that need it.
pub(crate) fn callers(manifest: &Manifest, users: &Users, service: &str) -> Vec<u32> {
    let needing = manifest.services.iter().filter(|other| other.needs.iter().any(|need| need == service));
    needing.filter_map(|other| users.get(&other.name)).map(|user| user.uid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\ncctl-images:x:990:980::/:/bin/false\n";

    #[test]
    fn named_users_and_numbers() {
        let manifest = Manifest::load(None).unwrap();
        let users = choose(&manifest, PASSWD, 3).unwrap();
        assert_eq!(users["image-store"], User { uid: 990, gid: 980 });
        let others: Vec<u32> = ["log-collector", "containers"].map(|name| users[name].uid).to_vec();
        assert_eq!(others, [0x7000_0032, 0x7000_0033]);
        assert_eq!(users.len(), 3);
        assert!(told(&users).contains("image-store=990:980"));
        assert_eq!(callers(&manifest, &users, "image-store"), [users["containers"].uid]);
        assert_eq!(callers(&manifest, &users, "containers"), [0; 0]);
        let instances = 0xff_ffff;
        assert!(choose(&manifest, "", instances).unwrap().values().all(|user| user.uid <= i32::MAX as u32));
    }

    #[test]
    fn root_by_another_name_is_refused() {
        let passwd = "cctl-images:x:0:1::/:/bin/false\n";
        assert!(choose(&Manifest::load(None).unwrap(), passwd, 0).unwrap_err().message.contains("cctl-images"));
    }

    #[test]
    fn maps_are_read() {
        assert!(is_mapped("         0          0 4294967295\n", FIRST));
        assert!(!is_mapped("0 100000 65536\n", FIRST) && is_mapped("0 100000 65536\n70000 5 2", 70001));
        assert!(!is_mapped("", 0));
    }
}
