//! Durations as people write them: `500ms`, `2s`, `1m`.

use serde::{Deserialize, Deserializer, de::Error};
use std::time::Duration;

/// Longer than anything that is worth waiting for, and safe to add to any point in time.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a duration from text, for serde.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| {
        D::Error::custom(format!("{text:?} is not a duration from 1ms to 24h: write 500ms, 2s, 1m or 1h"))
    })
}

fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let duration = Duration::from_millis(number.checked_mul(factor)?);
    (!duration.is_zero() && duration <= LONGEST).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units() {
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("2s"), Some(Duration::from_secs(2)));
        assert_eq!(parse("1m"), Some(Duration::from_secs(60)));
        assert_eq!(parse("24h"), Some(LONGEST));
    }

    #[test]
    fn nonsense() {
        for text in
            ["", "2", "s", "0s", "-1s", "2 s", "1.5s", "25h", "2sec", "99999999999999999999s", "18446744073709551615h"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = parse(&text);
        }
    }
}
