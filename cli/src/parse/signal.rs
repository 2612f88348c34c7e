//! Signals by name or number: `kill -s`.

use super::Parsed;
use nix::sys::signal::Signal;
use std::str::FromStr;

const FIRST_REAL_TIME: i32 = 34;
const LAST: i32 = 64;

/// A number from 1 to 64, or a name with or without `SIG`, in any case: `TERM`, `SIGHUP`, `RTMIN+3`.
pub(crate) fn signal(text: &str) -> Parsed<i32> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = match name.parse::<i32>() {
        // A number has no `SIG` before it, and no sign.
        Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(number),
        Ok(_) => None,
        Err(_) => real_time(name).or_else(|| Signal::from_str(&format!("SIG{name}")).ok().map(|signal| signal as i32)),
    };
    number
        .filter(|number| (1..=LAST).contains(number))
        .ok_or_else(|| "unknown signal: expected a name such as TERM or SIGKILL, or a number from 1 to 64".to_owned())
}

/// The same, to be kept as it was written.
pub(crate) fn signal_name(text: &str) -> Parsed<String> {
    signal(text).map(|_| text.to_owned())
}

fn real_time(name: &str) -> Option<i32> {
    let (base, offset, sign) = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => (FIRST_REAL_TIME, rest, '+'),
        (_, Some(rest)) => (LAST, rest, '-'),
        _ => return None,
    };
    if offset.is_empty() {
        return Some(base);
    }
    let offset = i32::from(offset.strip_prefix(sign)?.parse::<u8>().ok()?);
    let number = if sign == '+' { base + offset } else { base - offset };
    (FIRST_REAL_TIME..=LAST).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigkill", 9),
            ("hup", 1),
            ("9", 9),
            ("64", 64),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("WINCH", 28),
        ] {
            assert_eq!(signal(text), Ok(number), "{text}");
        }
        for bad in ["", "0", "65", "-9", "+9", "SIG9", "FOO", "SIG", "RTMIN-1", "RTMIN+99", "RTMAX+1", "TERM "] {
            assert!(signal(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_word_is_answered(text in "\\PC{0,12}") {
            if let Ok(number) = signal(&text) {
                prop_assert!((1..=64).contains(&number));
            }
        }
    }
}
