//! The files of users and groups: passwd(5) and group(5), of the host or of an image. Lines that are not entries are
//! passed over.

/// Greatest id that is not "no id".
const GREATEST: u32 = u32::MAX - 1;

/// An entry of passwd(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User<'a> {
    /// Name.
    pub name: &'a str,
    /// User id.
    pub uid: u32,
    /// Id of the user's own group.
    pub gid: u32,
    /// Home directory; may be empty.
    pub home: &'a str,
}

/// An entry of group(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// Name.
    pub name: &'a str,
    /// Group id.
    pub gid: u32,
    members: &'a str,
}

impl Group<'_> {
    /// Whether a user is listed as a member.
    pub fn has(&self, user: &str) -> bool {
        self.members.split(',').any(|member| member == user)
    }
}

/// A number that a user or group may have.
pub fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number <= GREATEST)
}

/// The users of a file.
pub fn users(passwd: &str) -> impl DoubleEndedIterator<Item = User<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let (uid, gid) = (id(fields.nth(1)?)?, id(fields.next()?)?);
        Some(User { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
    })
}

/// The groups of a file.
pub fn groups(group: &str) -> impl Iterator<Item = Group<'_>> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some(Group { name, gid: id(fields.nth(1)?)?, members: fields.next().unwrap_or_default() })
    })
}

/// The user of a name.
pub fn user<'a>(passwd: &'a str, name: &str) -> Option<User<'a>> {
    users(passwd).find(|user| user.name == name)
}

/// The number of the group of a name.
pub fn group(group: &str, name: &str) -> Option<u32> {
    groups(group).find(|group| group.name == name).map(|group| group.gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_other_lines_passed_over() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n\nbroken\n#c\nbig:x:4294967295:0\nwww:x:33:34\n";
        let root = User { name: "root", uid: 0, gid: 0, home: "/root" };
        assert_eq!(users(passwd).collect::<Vec<_>>(), [root, User { name: "www", uid: 33, gid: 34, home: "" }]);
        assert_eq!((user(passwd, "root"), user(passwd, "roo"), user(passwd, "big")), (Some(root), None, None));
        let text = "root:x:0:\naudio:x:29:www,me\nbad:x:y:www\n";
        assert_eq!((group(text, "audio"), group(text, "bad"), group(text, "video")), (Some(29), None, None));
        let has = |user: &str| groups(text).filter(|group| group.has(user)).count();
        assert_eq!([has("www"), has("me"), has("w"), has("")], [1, 1, 0, 1]);
    }
}
