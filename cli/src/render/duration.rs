//! Durations in words.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
const MONTH: u64 = 30 * DAY;
const YEAR: u64 = 365 * DAY;

/// `3 seconds`, `About an hour`, `2 weeks`: one unit, rounded down.
pub(crate) fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        _ if seconds < MINUTE => format!("{seconds} seconds"),
        _ if seconds < 2 * MINUTE => "About a minute".to_owned(),
        _ if seconds < HOUR => format!("{} minutes", seconds / MINUTE),
        _ if seconds < 2 * HOUR => "About an hour".to_owned(),
        _ if seconds < 2 * DAY => format!("{} hours", seconds / HOUR),
        _ if seconds < 2 * WEEK => format!("{} days", seconds / DAY),
        _ if seconds < 3 * MONTH => format!("{} weeks", seconds / WEEK),
        _ if seconds < 2 * YEAR => format!("{} months", seconds / MONTH),
        _ => format!("{} years", seconds / YEAR),
    }
}

/// From one time to a later one, both in nanoseconds since the epoch; none if a clock was set back.
pub(crate) fn between(from: i64, to: i64) -> Duration {
    Duration::from_nanos(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}

/// How long ago a time was: `3 seconds ago`.
pub(crate) fn ago(then: i64, now: i64) -> String {
    format!("{} ago", words(between(then, now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_unit_has_its_range() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (HOUR - 1, "59 minutes"),
            (HOUR, "About an hour"),
            (2 * HOUR, "2 hours"),
            (2 * DAY - 1, "47 hours"),
            (2 * DAY, "2 days"),
            (14 * DAY - 1, "13 days"),
            (14 * DAY, "2 weeks"),
            (90 * DAY - 1, "12 weeks"),
            (90 * DAY, "3 months"),
            (2 * YEAR - 1, "24 months"),
            (2 * YEAR, "2 years"),
            (30 * YEAR, "30 years"),
        ] {
            assert_eq!(words(Duration::from_secs(seconds)), text, "{seconds}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_is_no_trouble() {
        assert_eq!(ago(2_000_000_000, 1_000_000_000), "Less than a second ago");
        assert_eq!(ago(i64::MIN, i64::MAX).split(' ').nth(1), Some("years"));
    }

    proptest! {
        #[test]
        fn any_duration_has_words(seconds: u64) {
            prop_assert!(!words(Duration::from_secs(seconds)).is_empty());
        }
    }
}
