//! Points in time in words.

use crate::zone::zone;
use jiff::Timestamp;

/// What stands for "never", as Docker has it.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Now, in nanoseconds since the Unix epoch.
pub(crate) fn now() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with nine digits of a second, of nanoseconds since the Unix epoch.
pub(crate) fn rfc3339(nanoseconds: i64) -> String {
    match Timestamp::from_nanosecond(nanoseconds.into()) {
        Ok(time) => format!("{time:.9}"),
        Err(_) => NEVER.to_owned(),
    }
}

/// `2024-01-02 15:04:05 +0100 CET`, in the time zone of the caller, of nanoseconds since the Unix epoch.
pub(crate) fn local(nanoseconds: i64) -> String {
    let time = Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(zone()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// As `rfc3339`; `0001-01-01T00:00:00Z` for 0, which means that it has not been.
pub(crate) fn rfc3339_or_never(nanoseconds: i64) -> String {
    if nanoseconds == 0 { NEVER.to_owned() } else { rfc3339(nanoseconds) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nine_digits_always() {
        assert_eq!(rfc3339(1_704_207_845_000_000_000), "2024-01-02T15:04:05.000000000Z");
        assert_eq!(rfc3339(1_704_207_845_120_000_001), "2024-01-02T15:04:05.120000001Z");
        assert_eq!(rfc3339_or_never(0), "0001-01-01T00:00:00Z");
    }

    proptest! {
        #[test]
        fn every_time_has_the_same_width(nanoseconds: i64) {
            prop_assert_eq!(rfc3339(nanoseconds).len(), 30);
        }
    }
}
