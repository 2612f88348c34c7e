//! Names of containers: which are allowed, and which are made up.

use schema::{ContainerId, Failure};

const LONGEST: usize = 128;

const ADJECTIVES: [&str; 64] = [
    "agile", "amber", "ample", "azure", "bold", "brave", "bright", "brisk", "calm", "civil", "clear", "clever", "cosy",
    "crisp", "daring", "deft", "eager", "early", "even", "exact", "fair", "fleet", "fond", "frank", "fresh", "gentle",
    "glad", "golden", "grand", "green", "happy", "hardy", "honest", "humble", "jolly", "keen", "kind", "lively",
    "loyal", "lucid", "lucky", "mellow", "merry", "mild", "neat", "nimble", "noble", "patient", "plain", "proud",
    "quick", "quiet", "rapid", "ready", "serene", "sharp", "silent", "sober", "solid", "steady", "sunny", "swift",
    "tidy", "warm",
];

const NOUNS: [&str; 64] = [
    "acorn", "alder", "anchor", "badger", "beacon", "birch", "bridge", "brook", "canyon", "cedar", "cliff", "clover",
    "comet", "coral", "crane", "delta", "dolphin", "falcon", "fern", "finch", "fjord", "forest", "glacier", "grove",
    "harbor", "hazel", "heron", "island", "jetty", "juniper", "kestrel", "lagoon", "lantern", "larch", "linden",
    "lynx", "maple", "marten", "meadow", "meteor", "nebula", "oak", "orchid", "osprey", "otter", "pebble", "pine",
    "plover", "prairie", "quarry", "raven", "reef", "ridge", "river", "robin", "sparrow", "spruce", "summit", "tern",
    "thistle", "tundra", "valley", "willow", "wren",
];

/// Checks a name that a user chose: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub(crate) fn check(name: &str) -> Result<(), Failure> {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric());
    let goes_on = bytes.len() > 0 && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if begins && goes_on && name.len() <= LONGEST {
        return Ok(());
    }
    Err(Failure::invalid(format_args!("{name:?} cannot be the name of a container")).hint(format_args!(
        "a name is 2 to {LONGEST} of letters, digits, `_`, `.` and `-`, and begins with a letter or digit"
    )))
}

/// Names for a container that was given none, best first, without end.
pub(crate) fn suggestions(id: &ContainerId) -> impl Iterator<Item = String> {
    let pairs = ADJECTIVES.len() * NOUNS.len();
    let first = usize::from_str_radix(&id.as_str()[..4], 16).unwrap_or_default() % pairs;
    let plain = (0..pairs).map(move |step| pair((first + step) % pairs));
    plain.chain((2_u64..).map(move |number| format!("{}_{number}", pair(first))))
}

fn pair(number: usize) -> String {
    format!("{}_{}", ADJECTIVES[number / NOUNS.len() % ADJECTIVES.len()], NOUNS[number % NOUNS.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_those_that_docker_allows() {
        for good in ["web", "a1", "0x", "A.b-c_d", &"n".repeat(LONGEST)] {
            assert!(check(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a", "-ab", "_x", ".x", "a b", "a/b", "ä1", "a\n", &"n".repeat(LONGEST + 1)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_word_is_there_twice() {
        assert_eq!(ADJECTIVES.iter().collect::<HashSet<_>>().len(), ADJECTIVES.len());
        assert_eq!(NOUNS.iter().collect::<HashSet<_>>().len(), NOUNS.len());
    }

    #[test]
    fn suggestions_never_run_out_and_never_repeat() {
        let made: Vec<_> = suggestions(&ContainerId::from_bytes([0xff; 32])).take(5000).collect();
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), made.len());
    }

    proptest! {
        #[test]
        fn suggestions_are_good_names(bytes in any::<[u8; 32]>(), at in 0_usize..5000) {
            let name = suggestions(&ContainerId::from_bytes(bytes)).nth(at).unwrap();
            prop_assert!(check(&name).is_ok(), "{}", name);
        }
    }
}
