//! What a service may use, as the manifest says it.

use serde::{Deserialize, Deserializer, de::Error};

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
    fn sizes() {
        assert_eq!(parse_bytes("64MiB"), Some(64 << 20));
        assert_eq!(parse_bytes("1GiB"), Some(1 << 30));
        for text in ["", "1", "0MiB", "1GB", "-1MiB", "99999999999999999999MiB", "18446744073709551615GiB"] {
            assert_eq!(parse_bytes(text), None, "{text:?}");
        }
    }
}
