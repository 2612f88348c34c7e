//! The keys that leave a container to itself: Ctrl-P Ctrl-Q.

const CTRL_P: u8 = 0x10;
const CTRL_Q: u8 = 0x11;

/// Looks for the keys in what the user types. Ctrl-P is held back until the next key.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    held: bool,
}

impl Keys {
    /// What of these keys goes to the container, and whether the user has detached after it.
    pub(crate) fn filter(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len() + 1);
        for &key in typed {
            if std::mem::take(&mut self.held) {
                if key == CTRL_Q {
                    return (passed, true);
                }
                passed.push(CTRL_P);
            }
            if key == CTRL_P { self.held = true } else { passed.push(key) }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_sequence_detaches() {
        assert_eq!(Keys::default().filter(b"ls\x10\x11rm"), (b"ls".to_vec(), true));
        let mut keys = Keys::default();
        assert_eq!(keys.filter(b"a\x10"), (b"a".to_vec(), false));
        assert_eq!(keys.filter(b"\x11"), (b"".to_vec(), true));
    }

    #[test]
    fn one_of_the_keys_does_not() {
        let mut keys = Keys::default();
        assert_eq!(keys.filter(b"\x11a\x10b"), (b"\x11a\x10b".to_vec(), false));
        assert_eq!(keys.filter(b"\x10"), (b"".to_vec(), false));
        assert_eq!(keys.filter(b"\x10"), (b"\x10".to_vec(), false));
        assert_eq!(keys.filter(b"\x11"), (b"".to_vec(), true));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_is_cut(typed in proptest::collection::vec(0x0f_u8..0x13, 0..20), cut in 0_usize..20) {
            let whole = Keys::default().filter(&typed);
            let (first, second) = typed.split_at(cut.min(typed.len()));
            let mut keys = Keys::default();
            let (mut passed, mut detached) = keys.filter(first);
            if !detached {
                let rest = keys.filter(second);
                passed.extend(rest.0);
                detached = rest.1;
            }
            prop_assert_eq!((passed, detached), whole);
        }
    }
}
