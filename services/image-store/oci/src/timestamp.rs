//! Times as OCI writes them: RFC 3339, in UTC.

use jiff::Timestamp;

/// From nanoseconds since the Unix epoch.
pub(crate) fn rfc3339(nanoseconds: i64) -> String {
    let time = Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default();
    format!("{time:.9}")
}

/// Nanoseconds since the Unix epoch; 0 for what is no time, or one of another era, such as the year 1, by which
/// Go means none.
pub(crate) fn parse(text: &str) -> i64 {
    text.parse::<Timestamp>().ok().and_then(|time| i64::try_from(time.as_nanosecond()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        for (nanoseconds, text) in [
            (7, "1970-01-01T00:00:00.000000007Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(rfc3339(nanoseconds), text);
        }
        assert_eq!(parse("1970-01-01T01:00:00+01:00"), 0);
        assert_eq!(parse("1970-01-01T00:00:01.5Z"), 1_500_000_000);
        for none in ["", "yesterday", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z"] {
            assert_eq!(parse(none), 0, "{none}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(nanoseconds in any::<i64>()) {
            prop_assert_eq!(parse(&rfc3339(nanoseconds)), nanoseconds);
        }
    }
}
