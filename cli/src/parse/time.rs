//! Points in time: `logs --since`.

use super::Parsed;
use crate::zone::zone;
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

const EXPECTED: &str = "expected a duration (10m, 1h30m), a time (2024-01-02T15:04:05Z) or seconds since 1970";

/// A point in time, as the user wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long before now.
    Ago(SignedDuration),
    /// At this time.
    At(Timestamp),
}

impl Since {
    /// Nanoseconds since the Unix epoch.
    pub(crate) fn nanoseconds(self, now: Timestamp) -> i64 {
        let at = match self {
            Self::At(at) => at,
            Self::Ago(duration) => now.checked_sub(duration).unwrap_or(Timestamp::UNIX_EPOCH),
        };
        i64::try_from(at.as_nanosecond()).unwrap_or(0)
    }
}

/// A duration before now, RFC 3339, a date or time of the caller's time zone, or seconds since the epoch.
pub(crate) fn since(text: &str) -> Parsed<Since> {
    if let Some(duration) = duration(text) {
        return Ok(Since::Ago(duration));
    }
    let at = unix(text).or_else(|| text.parse().ok()).or_else(|| civil(text));
    at.map(Since::At).ok_or_else(|| EXPECTED.to_owned())
}

/// `1h30m`, `1.5s`, `300ms`: numbers with units, as Go writes durations.
fn duration(text: &str) -> Option<SignedDuration> {
    let mut total = SignedDuration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let next = rest[unit..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |end| unit + end);
        let seconds: f64 = rest[..unit].parse().ok()?;
        let factor = match &rest[unit..next] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total = total.checked_add(SignedDuration::try_from_secs_f64(seconds * factor).ok()?)?;
        rest = &rest[next..];
    }
    (!text.is_empty()).then_some(total)
}

fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    Timestamp::new(seconds.parse().ok()?, format!("{fraction:0<9}").parse().ok()?).ok()
}

fn civil(text: &str) -> Option<Timestamp> {
    Some(text.parse::<DateTime>().ok()?.to_zoned(zone()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_count_back_from_now() {
        let now = Timestamp::from_second(10_000).unwrap();
        for (text, seconds) in [("10s", 9990), ("1m", 9940), ("1h30m", 4600), ("1.5s", 9998), ("0s", 10_000)] {
            assert_eq!(since(text).unwrap().nanoseconds(now) / 1_000_000_000, seconds, "{text}");
        }
        assert_eq!(since("300ms").unwrap().nanoseconds(now), 9_999_700_000_000);
    }

    #[test]
    fn times_are_absolute() {
        let at = |text: &str| since(text).unwrap().nanoseconds(Timestamp::UNIX_EPOCH);
        assert_eq!(at("2024-01-02T15:04:05Z"), 1_704_207_845_000_000_000);
        assert_eq!(at("2024-01-02T15:04:05.5+01:00"), 1_704_204_245_500_000_000);
        assert_eq!(at("1704207845"), 1_704_207_845_000_000_000);
        assert_eq!(at("1704207845.25"), 1_704_207_845_250_000_000);
        assert!(since("2024-01-02").is_ok() && since("2024-01-02T15:04:05").is_ok());
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "yesterday", "10", "-5m", "5 m", "1x", "h", "2024-13-01", "1.s."] {
            // A bare number is seconds since the epoch.
            assert_eq!(since(bad).is_ok(), bad == "10", "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_word_is_answered(text in "[0-9a-zµ.:TZ+-]{0,20}") {
            let _ = since(&text).map(|since| since.nanoseconds(Timestamp::now()));
        }
    }
}
