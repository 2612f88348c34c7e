//! Capabilities by their names, without `CAP_` (capabilities(7)), and the sets that users make of them.

use crate::Failure;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// In the order of their numbers.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// The set of this one capability; none: there is no such name.
pub fn parse(name: &str) -> Option<u64> {
    let number = NAMES.iter().position(|known| *known == name)?;
    Some(1 << number)
}

/// The names of a set; a capability that is newer than this program has its number as its name.
pub fn names(set: u64) -> Vec<String> {
    let name = |number: usize| NAMES.get(number).map_or_else(|| number.to_string(), |name| (*name).to_owned());
    (0..64).filter(|number| set & (1 << number) != 0).map(name).collect()
}

/// What a user adds to the capabilities of a container, or drops: `NET_ADMIN`, `cap_net_admin`, `ALL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Choice {
    /// All that there are.
    All,
    /// The one with this number, which has a name.
    One(u8),
}

impl Choice {
    /// As a set.
    fn set(self) -> u64 {
        match self {
            Self::All => u64::MAX,
            Self::One(number) => 1 << number,
        }
    }
}

impl FromStr for Choice {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let name = text.to_ascii_uppercase();
        if name == "ALL" {
            return Ok(Self::All);
        }
        let name = name.strip_prefix("CAP_").unwrap_or(&name);
        let number = NAMES.iter().position(|known| *known == name).and_then(|number| u8::try_from(number).ok());
        number.map(Self::One).ok_or_else(|| {
            Failure::invalid(format_args!("{text:?} is not a capability"))
                .hint("name one as in NET_ADMIN or CAP_NET_ADMIN (`man 7 capabilities` lists them), or ALL")
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("ALL"),
            Self::One(number) => match NAMES.get(usize::from(*number)) {
                Some(name) => write!(f, "CAP_{name}"),
                None => write!(f, "{number}"),
            },
        }
    }
}

crate::text_form!(Choice);

/// The set that a container has, by Docker's rules, where `usual` is what one has without a word: with ALL among the
/// added, all but the dropped; with ALL among the dropped, the added alone; else what is added wins over what is dropped.
pub fn chosen(usual: u64, add: &[Choice], drop: &[Choice]) -> u64 {
    let named = |choices: &[Choice]| {
        choices.iter().filter(|choice| **choice != Choice::All).fold(0, |set, choice| set | choice.set())
    };
    if add.contains(&Choice::All) {
        !named(drop)
    } else if drop.contains(&Choice::All) {
        named(add)
    } else {
        usual & !named(drop) | named(add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_numbers_belong_together() {
        assert_eq!(parse("SYS_ADMIN"), Some(1 << 21));
        assert_eq!(parse("CHECKPOINT_RESTORE"), Some(1 << 40));
        assert_eq!(parse("CAP_CHOWN"), None);
        assert_eq!(names(1 | 1 << 21 | 1 << 50), ["CHOWN", "SYS_ADMIN", "50"]);
    }

    fn choices(words: &str) -> Vec<Choice> {
        words.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }

    #[test]
    fn names_are_taken_in_any_case_with_or_without_the_prefix() {
        for text in ["NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "Cap_Net_Admin"] {
            assert_eq!(text.parse(), Ok(Choice::One(12)), "{text}");
        }
        assert_eq!("all".parse(), Ok(Choice::All));
        assert_eq!((Choice::One(12).to_string(), Choice::All.to_string()), ("CAP_NET_ADMIN".into(), "ALL".into()));
        for bad in ["", "CAP_", "CAP_ALL", "NET", "12", "CAP_CAP_CHOWN", " CHOWN"] {
            let failure = bad.parse::<Choice>().unwrap_err();
            assert!(failure.message.contains(&format!("{bad:?}")), "{failure}");
        }
    }

    #[test]
    fn adding_and_dropping_follow_dockers_rules() {
        let of = |add, drop| chosen(0b1011, &choices(add), &choices(drop));
        assert_eq!(of("", ""), 0b1011);
        assert_eq!(of("SYS_ADMIN", "CHOWN"), 0b1010 | 1 << 21);
        assert_eq!(of("CHOWN", "CHOWN"), 0b1011, "what is added wins");
        assert_eq!(of("", "ALL"), 0);
        assert_eq!(of("KILL", "ALL CHOWN"), 1 << 5);
        assert_eq!(of("ALL", "KILL"), !(1 << 5));
        assert_eq!(of("ALL", "ALL"), u64::MAX);
    }

    fn any_choices() -> impl Strategy<Value = Vec<Choice>> {
        prop::collection::vec(prop_oneof![8 => (0u8..41).prop_map(Choice::One), 1 => Just(Choice::All)], 0..6)
    }

    proptest! {
        #[test]
        fn a_choice_is_written_as_it_is_read(choices in any_choices()) {
            for choice in choices {
                prop_assert_eq!(choice.to_string().parse(), Ok(choice));
                prop_assert_eq!(choice.to_string().to_lowercase().trim_start_matches("cap_").parse(), Ok(choice));
            }
        }

        #[test]
        fn any_word_is_answered(text in ".{0,20}") {
            if let Ok(choice) = text.parse::<Choice>() {
                prop_assert!(choice.to_string().ends_with(&text.to_uppercase()));
            }
        }

        #[test]
        fn nothing_is_had_that_was_not_usual_or_added(usual: u64, add in any_choices(), drop in any_choices()) {
            let set = chosen(usual, &add, &drop);
            let added = add.iter().fold(0, |set, choice| set | choice.set());
            prop_assert_eq!(set & !(usual | added), 0);
            for choice in &drop {
                let dropped = choice.set() & !add.iter().filter(|one| **one != Choice::All).fold(0, |set, choice| set | choice.set());
                if *choice != Choice::All {
                    prop_assert_eq!(set & dropped, 0, "{} is dropped", choice);
                } else if !add.contains(&Choice::All) {
                    prop_assert_eq!(set & !added, 0);
                }
            }
            if add.is_empty() && drop.is_empty() {
                prop_assert_eq!(set, usual);
            }
        }
    }
}
