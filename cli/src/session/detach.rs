//! The keys that leave a container to itself: Ctrl-P Ctrl-Q, or what the user chose.

use std::str::FromStr;

const CTRL_P: u8 = 0x10;
const CTRL_Q: u8 = 0x11;
const DELETE: u8 = 0x7f;
/// Keys of a sequence at most.
const LONGEST: usize = 32;
/// What Ctrl may be pressed with, but for the letters: what they send follows the letters' codes.
const OTHERS: &[u8] = b"[\\]^_";

/// A sequence of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    fn default() -> Self {
        Self(vec![CTRL_P, CTRL_Q])
    }
}

impl FromStr for DetachKeys {
    type Err = String;

    /// Docker's syntax: keys with commas between them, each a character, `ctrl-` and a letter or one of
    /// `@[\]^_`, or `DEL`. Empty: the usual ones.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let keys: Vec<u8> = text.split(',').map(key).collect::<Result<_, _>>()?;
        if keys.len() > LONGEST { Err(format!("expected at most {LONGEST} keys")) } else { Ok(Self(keys)) }
    }
}

fn key(text: &str) -> Result<u8, String> {
    let controlled = |with: &u8| match *with {
        b'@' => Some(0),
        letter @ b'a'..=b'z' => Some(letter - b'a' + 1),
        other => OTHERS.iter().position(|known| *known == other).map(|place| place as u8 + 27),
    };
    let code = match (text.as_bytes(), text.strip_prefix("ctrl-").map(str::as_bytes)) {
        ([single], _) => Some(*single),
        (_, Some([with])) => controlled(with),
        (b"DEL", _) => Some(DELETE),
        _ => None,
    };
    code.ok_or_else(|| format!("unknown key {text:?}: expected such as ctrl-p,ctrl-q or ctrl-@,x"))
}

/// Looks for the keys in what the user types. What may be their beginning is held back until the next key.
#[derive(Debug)]
pub(crate) struct Watch {
    keys: DetachKeys,
    held: usize,
}

impl Watch {
    /// Nothing was typed yet.
    pub(crate) fn new(keys: DetachKeys) -> Self {
        Self { keys, held: 0 }
    }

    /// What of these keys goes to the container, and whether the user has detached after it.
    pub(crate) fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let sequence = &self.keys.0;
        let mut text = [&sequence[..self.held], typed].concat();
        let mut end = self.held;
        while end < text.len() {
            end += 1;
            // The longest end of what was typed that begins the sequence.
            let longest = (self.held + 1).min(sequence.len());
            self.held = (0..=longest).rev().find(|held| text[..end].ends_with(&sequence[..*held])).unwrap_or(0);
            if self.held == sequence.len() {
                self.held = 0;
                text.truncate(end - sequence.len());
                return (text, true);
            }
        }
        text.truncate(end - self.held);
        (text, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn watch(keys: &str) -> Watch {
        Watch::new(keys.parse().unwrap())
    }

    #[test]
    fn the_sequence_detaches() {
        assert_eq!(watch("").filter(b"ls\x10\x11rm"), (b"ls".to_vec(), true));
        let mut keys = watch("ctrl-p,ctrl-q");
        assert_eq!(keys.filter(b"a\x10"), (b"a".to_vec(), false));
        assert_eq!(keys.filter(b"\x11"), (b"".to_vec(), true));
    }

    #[test]
    fn one_of_the_keys_does_not() {
        let mut keys = watch("");
        assert_eq!(keys.filter(b"\x11a\x10b"), (b"\x11a\x10b".to_vec(), false));
        assert_eq!(keys.filter(b"\x10"), (b"".to_vec(), false));
        assert_eq!(keys.filter(b"\x10"), (b"\x10".to_vec(), false));
        assert_eq!(keys.filter(b"\x11"), (b"".to_vec(), true));
    }

    #[test]
    fn keys_are_written_as_docker_writes_them() {
        let codes = |text: &str| text.parse().map(|DetachKeys(keys)| keys);
        assert_eq!(
            codes("ctrl-@,a,ctrl-z,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_,DEL"),
            Ok(vec![0, b'a', 26, 27, 28, 29, 30, 31, 127])
        );
        assert_eq!(codes(""), Ok(vec![CTRL_P, CTRL_Q]));
        for bad in ["ctrl-", "ctrl-1", "ctrl-P", "ctrl-p,", ",", "ab", "é", "ctrl-pq", "ctrl--"] {
            assert!(codes(bad).is_err_and(|message| message.contains("unknown key")), "{bad}");
        }
        assert!(codes(&"a,".repeat(40)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_is_cut(
            typed in proptest::collection::vec(b'a'..=b'c', 0..20),
            keys in proptest::sample::select(vec!["a,b", "a,a,b", "a,b,a,c", "c"]),
            cut in 0_usize..20,
        ) {
            let whole = watch(keys).filter(&typed);
            let (first, second) = typed.split_at(cut.min(typed.len()));
            let mut parts = watch(keys);
            let (mut passed, mut detached) = parts.filter(first);
            if !detached {
                let rest = parts.filter(second);
                passed.extend(rest.0);
                detached = rest.1;
            }
            prop_assert_eq!((&passed, detached), (&whole.0, whole.1));
            let sequence = keys.replace(',', "");
            let text = String::from_utf8(typed).unwrap();
            match text.find(&sequence) {
                Some(place) => prop_assert_eq!((passed.as_slice(), detached), (&text.as_bytes()[..place], true)),
                None => prop_assert!(!detached && text.as_bytes().starts_with(&passed)),
            }
        }
    }
}
