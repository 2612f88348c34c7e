//! Extended headers, pax(1): records of `length key=value\n` that describe the next member.

use crate::Error;
use crate::path::Shown;

const XATTR: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";
const NANOSECOND_DIGITS: usize = 9;

/// What an extended header says of a member; what it does not say is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extended {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) mtime: Option<(i64, u32)>,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Extended {
    /// Keys that mean nothing to a filesystem (comments, times of access) are passed over.
    pub(crate) fn parse(mut data: &[u8]) -> Result<Self, Error> {
        let mut extended = Self::default();
        while !data.is_empty() {
            let (key, value, rest) = record(data).ok_or_else(|| Error::invalid("a damaged extended header"))?;
            extended.set(key, value)?;
            data = rest;
        }
        Ok(extended)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let wrong = || Error::invalid(format_args!("an extended header has {}={}", Shown(key), Shown(value)));
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number(value).ok_or_else(wrong)?),
            b"uid" => self.uid = Some(number(value).ok_or_else(wrong)?),
            b"gid" => self.gid = Some(number(value).ok_or_else(wrong)?),
            b"mtime" => self.mtime = Some(time(value).ok_or_else(wrong)?),
            _ if key.starts_with(SPARSE) => {
                return Err(Error::invalid(
                    "a sparse file in the pax format is not supported: archive without --sparse",
                ));
            }
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

/// The first record's key and value, and what follows it. A value may hold any byte: its length counts.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(number(&data[..space])?).ok()?;
    let (record, rest) = data.split_at_checked(length)?;
    let pair = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((&pair[..equals], &pair[equals + 1..], rest))
}

fn number(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Seconds since the epoch with any number of decimals, as seconds (rounded down) and nanoseconds.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(NANOSECOND_DIGITS).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    Some(if whole.starts_with('-') && nanoseconds > 0 {
        (seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)
    } else {
        (seconds, nanoseconds)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_may_hold_any_byte() {
        let parsed =
            Extended::parse(b"12 path=a\nb\n31 SCHILY.xattr.user.x=a\n=\0\xffbc\n19 mtime=-1.250000\n").unwrap();
        assert_eq!(parsed.path.as_deref(), Some(&b"a\nb"[..]));
        assert_eq!(parsed.xattrs, [(b"user.x".to_vec(), b"a\n=\0\xffbc".to_vec())]);
        assert_eq!(parsed.mtime, Some((-2, 750_000_000)));
    }

    #[test]
    fn damage_is_refused() {
        for bad in ["x", "9999 a=b\n", "5 a=b\n", "0 a=b\n", "8 uid=x\n", "22 GNU.sparse.major=1\n", "9 size=-1\n"] {
            assert!(Extended::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Extended::parse(&data);
        }

        #[test]
        fn times_are_exact(seconds in -10_000_000_000_i64..10_000_000_000, nanoseconds in 0_u32..1_000_000_000) {
            let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
            let sign = if total < 0 { "-" } else { "" };
            let text = format!("{sign}{}.{:09}", total.abs() / 1_000_000_000, total.abs() % 1_000_000_000);
            prop_assert_eq!(time(text.as_bytes()), Some((seconds, nanoseconds)));
        }
    }
}
