//! What a service may use, as the manifest says it.

use serde::{Deserialize, Deserializer, de::Error};
use std::time::Duration;

/// The time in which a service may use as much of the CPUs as it is given: what the kernel takes by default.
pub(crate) const PERIOD: Duration = Duration::from_millis(100);

/// The limits of a service; none: no limit. `deploy/services.toml` explains them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Bytes.
    #[serde(default, deserialize_with = "bytes")]
    pub(crate) memory: Option<u64>,
    /// Processes and threads.
    #[serde(default, deserialize_with = "count")]
    pub(crate) pids: Option<u64>,
    /// Time on CPUs, in microseconds of each [`PERIOD`].
    #[serde(default, deserialize_with = "cpus")]
    pub(crate) cpus: Option<u64>,
    /// Open descriptors.
    #[serde(default, deserialize_with = "count")]
    pub(crate) files: Option<u64>,
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_bytes(&text)
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("{text:?} is not a size from 1MiB: write 64MiB or 1GiB")))
}

fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match u64::deserialize(deserializer)? {
        0 => Err(D::Error::custom("0 is no limit that a service can live with: leave the key out for no limit")),
        number => Ok(Some(number)),
    }
}

fn cpus<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = f64::deserialize(deserializer)?;
    quota(number)
        .map(Some)
        .ok_or_else(|| D::Error::custom(format!("{number} is not a number of CPUs from 0.1 to 1024: write 2 or 0.5")))
}

/// Less would be a service that misses its watchdog.
fn quota(cpus: f64) -> Option<u64> {
    let least_to_most = 0.1..=1024.0;
    let period = PERIOD.as_secs_f64() * 1e6;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    least_to_most.contains(&cpus).then(|| (cpus * period).round() as u64)
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus() {
        assert_eq!([2.0, 0.5, 0.1].map(quota), [Some(200_000), Some(50_000), Some(10_000)]);
        assert_eq!([0.0, -1.0, 0.01, 1025.0, f64::NAN, f64::INFINITY].map(quota), [None; 6]);
        #[derive(Deserialize)]
        struct Entry {
            limits: Limits,
        }
        let read = |text: &str| toml::from_str::<Entry>(text).map(|entry| entry.limits.cpus);
        assert_eq!(read("limits = { cpus = 2 }").unwrap(), Some(200_000));
        assert_eq!(read("limits = { cpus = 1.5 }").unwrap(), Some(150_000));
        assert!(read("limits = { cpus = 0 }").unwrap_err().message().contains("0.1 to 1024"));
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("64MiB"), Some(64 << 20));
        assert_eq!(parse_bytes("1GiB"), Some(1 << 30));
        for text in ["", "1", "0MiB", "1GB", "-1MiB", "99999999999999999999MiB", "18446744073709551615GiB"] {
            assert_eq!(parse_bytes(text), None, "{text:?}");
        }
    }
}
