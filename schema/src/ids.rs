//! Names that are checked once, where they come in.

use crate::Failure;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

const HEX_LENGTH: usize = 64;

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

macro_rules! text_newtype {
    ($type:ident) => {
        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        $crate::text_form!($type);
    };
}

/// The id of a container: 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

text_newtype!(ContainerId);

impl ContainerId {
    /// An id from 32 bytes, which the caller takes from the system's randomness.
    pub fn from_bytes(bytes: [u8; HEX_LENGTH / 2]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The first 12 digits, as shown to people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for ContainerId {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        if text.len() == HEX_LENGTH && is_hex(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Failure::invalid(format_args!("{text:?} is not a container id: 64 lower-case hex digits")))
        }
    }
}

/// A SHA-256 digest as OCI writes it: `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

text_newtype!(Digest);

impl Digest {
    const PREFIX: &'static str = "sha256:";

    /// From the 32 bytes of the hash.
    pub fn from_sha256(hash: &[u8; HEX_LENGTH / 2]) -> Self {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{}{hex}", Self::PREFIX))
    }

    /// The 64 digits alone: safe as a file name.
    pub fn hex(&self) -> &str {
        &self.0[Self::PREFIX.len()..]
    }

    /// The first 12 digits, as shown to people.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

impl FromStr for Digest {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        match text.strip_prefix(Self::PREFIX) {
            Some(hex) if hex.len() == HEX_LENGTH && is_hex(hex) => Ok(Self(text.to_owned())),
            _ => Err(Failure::invalid(format_args!("{text:?} is not a digest: sha256: and 64 hex digits"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_are_64_lower_case_hex_digits() {
        let id = ContainerId::from_bytes([0xab; 32]);
        assert_eq!(id.as_str().parse::<ContainerId>(), Ok(id.clone()));
        assert_eq!(id.short(), "abababababab");
        for bad in ["", "abc", &"A".repeat(64), &"g".repeat(64), &"0".repeat(65), "../../etc"] {
            assert!(bad.parse::<ContainerId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn digests_name_their_algorithm() {
        let digest = Digest::from_sha256(&[1; 32]);
        assert_eq!(digest.as_str().parse::<Digest>(), Ok(digest.clone()));
        assert!(digest.hex().parse::<Digest>().is_err());
        assert!("sha256:../../x".parse::<Digest>().is_err());
    }

    #[test]
    fn damaged_ids_do_not_deserialize() {
        assert!(serde_json::from_str::<ContainerId>("\"xyz\"").is_err());
    }
}
