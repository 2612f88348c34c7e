//! Names of members: where they may point, and what whiteouts mean.

use crate::Error;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

const LONGEST_PATH: usize = 4095;
const LONGEST_NAME: usize = 255;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const BOOKKEEPING: &[u8] = b".wh..wh.";

/// A path beneath the root of a layer, whatever bytes it has: no `..`, no `.`, no empty component, not
/// absolute. Empty for the root itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberPath(Vec<u8>);

/// What a name that begins with `.wh.` asks for (OCI image-spec, layer.md).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whiteout {
    /// Lower layers have nothing of this name.
    Hide(MemberPath),
    /// Lower layers have nothing in this directory.
    Opaque(MemberPath),
    /// aufs's own bookkeeping in layers of old: to be passed over.
    Bookkeeping,
}

impl MemberPath {
    /// From a name as written in an archive. Leading `/` and `.` components are dropped, as every tar does;
    /// `..` and what no filesystem can hold is refused.
    pub fn parse(name: &[u8]) -> Result<Self, Error> {
        let refuse = |why: &str| Err(Error::invalid(format_args!("member {}: {why}", Shown(name))));
        if name.contains(&0) {
            return refuse("its name has a zero byte");
        }
        let mut path = Vec::with_capacity(name.len());
        for component in name.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return refuse("its name has `..`, which may leave the layer"),
                long if long.len() > LONGEST_NAME => return refuse("a part of its name is longer than 255 bytes"),
                _ => {}
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(component);
        }
        if path.len() > LONGEST_PATH {
            return refuse("its name is longer than 4095 bytes");
        }
        Ok(Self(path))
    }

    /// The path.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// Whether this is the root of the layer.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory that holds it, and its name there; none for the root.
    pub fn split(&self) -> Option<(Self, &OsStr)> {
        if self.is_root() {
            return None;
        }
        let (parent, name) = match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (&self.0[..0], &self.0[..]),
        };
        Some((Self(parent.to_vec()), OsStr::from_bytes(name)))
    }

    /// The names on the way from the root.
    pub fn components(&self) -> impl Iterator<Item = &OsStr> {
        self.0.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).map(OsStr::from_bytes)
    }

    /// What its last name asks for, if it is a whiteout. Fails for one that hides `.`, `..` or nothing.
    pub fn whiteout(&self) -> Result<Option<Whiteout>, Error> {
        let Some((parent, name)) = self.split() else { return Ok(None) };
        let name = name.as_bytes();
        if name == OPAQUE {
            return Ok(Some(Whiteout::Opaque(parent)));
        }
        if name.starts_with(BOOKKEEPING) {
            return Ok(Some(Whiteout::Bookkeeping));
        }
        match name.strip_prefix(WHITEOUT) {
            None => Ok(None),
            Some(b"" | b"." | b"..") => {
                Err(Error::invalid(format_args!("member {self}: a whiteout of {:?}", Shown(&name[WHITEOUT.len()..]))))
            }
            Some(hidden) => Ok(Some(Whiteout::Hide(parent.join(hidden)))),
        }
    }

    /// The same path beneath another one.
    #[must_use]
    pub fn below(&self, other: &Self) -> Self {
        if self.is_root() { other.clone() } else { other.clone().join(&self.0) }
    }

    fn join(mut self, name: &[u8]) -> Self {
        if !self.0.is_empty() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name);
        self
    }
}

impl fmt::Display for MemberPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() { f.write_str("/") } else { Shown(&self.0).fmt(f) }
    }
}

/// Bytes from an archive, for a message of one line: escaped and cut.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 200;
        write!(f, "{}", self.0[..self.0.len().min(SHOWN)].escape_ascii())?;
        if self.0.len() > SHOWN { f.write_str("…") } else { Ok(()) }
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> MemberPath {
        MemberPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn names_are_normalised() {
        for (given, normal) in
            [("./", ""), ("/", ""), ("/etc//passwd", "etc/passwd"), ("./a/./b/", "a/b"), ("...", "..."), ("a..", "a..")]
        {
            assert_eq!(path(given).as_os_str(), normal, "{given}");
        }
    }

    #[test]
    fn names_that_leave_the_layer_are_refused() {
        for bad in ["..", "../x", "a/../../x", "/..", "a/..", "./..", "x\0y"] {
            assert!(MemberPath::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(MemberPath::parse(&[b'a'; 256]).is_err());
        assert!(MemberPath::parse(&b"ab/".repeat(2000)).is_err());
    }

    #[test]
    fn whiteouts() {
        assert_eq!(path("a/b").whiteout().unwrap(), None);
        assert_eq!(path("a/.wh.b").whiteout().unwrap(), Some(Whiteout::Hide(path("a/b"))));
        assert_eq!(path(".wh.b").whiteout().unwrap(), Some(Whiteout::Hide(path("b"))));
        assert_eq!(path("a/.wh..wh..opq").whiteout().unwrap(), Some(Whiteout::Opaque(path("a"))));
        assert_eq!(path(".wh..wh.plnk").whiteout().unwrap(), Some(Whiteout::Bookkeeping));
        for bad in [".wh.", "a/.wh..", "a/.wh..."] {
            assert!(path(bad).whiteout().is_err(), "{bad}");
        }
    }

    #[test]
    fn messages_stay_on_one_line() {
        let error = MemberPath::parse(b"a\n\x1b[31m\xff/..").unwrap_err().to_string();
        assert!(error.is_ascii() && !error.contains('\n'), "{error}");
    }

    proptest! {
        #[test]
        fn no_accepted_name_can_leave(name in proptest::collection::vec(prop_oneof![
            Just(b'.'), Just(b'/'), Just(b'a'), any::<u8>()], 0..40)) {
            if let Ok(path) = MemberPath::parse(&name) {
                prop_assert!(!path.as_os_str().as_bytes().starts_with(b"/"));
                for part in path.components() {
                    prop_assert!(part != ".." && part != "." && !part.is_empty());
                }
                prop_assert_eq!(MemberPath::parse(path.as_os_str().as_bytes()).unwrap(), path);
            }
        }
    }
}
