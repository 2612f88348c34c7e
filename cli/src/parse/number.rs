//! Sizes, shares of a CPU, counts.

use super::Parsed;

const EXPECTED_SIZE: &str = "expected bytes, or a number with k, m, g or t: 64m, 1.5g";
const EXPECTED_CPUS: &str = "expected a number of CPUs of at least 0.01: 0.5, 2";
const NANO: u64 = 1_000_000_000;
const NANO_DIGITS: usize = 9;
/// Less is not a share that the kernel could enforce.
const LEAST_CPUS: u64 = NANO / 100;
/// A container needs this much to start at all: 6 MiB.
const LEAST_MEMORY: u64 = 6 << 20;

/// Bytes, with an optional binary unit: `64m` is 64 MiB; `64mb` and `64MiB` say the same.
pub(crate) fn size(text: &str) -> Parsed<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(EXPECTED_SIZE.to_owned()),
    };
    let nano = nano(number).ok_or(EXPECTED_SIZE)?;
    u64::try_from((nano << shift) / u128::from(NANO)).map_err(|_| "is more than can be counted".to_owned())
}

/// A limit of memory: 0 (none), or at least 6 MiB.
pub(crate) fn memory(text: &str) -> Parsed<u64> {
    match size(text)? {
        bytes @ 1..LEAST_MEMORY => Err(format!("{bytes} bytes are less than the minimum, 6m")),
        bytes => Ok(bytes),
    }
}

/// Bytes of memory and swap together; -1: swap without limit.
pub(crate) fn memory_swap(text: &str) -> Parsed<i64> {
    if text == "-1" {
        return Ok(-1);
    }
    i64::try_from(size(text)?).map_err(|_| "is more than can be counted".to_owned())
}

/// Billionths of a CPU.
pub(crate) fn cpus(text: &str) -> Parsed<u64> {
    let nano = nano(text).and_then(|nano| u64::try_from(nano).ok()).ok_or(EXPECTED_CPUS)?;
    if nano == 0 || nano >= LEAST_CPUS { Ok(nano) } else { Err(EXPECTED_CPUS.to_owned()) }
}

/// A number of tasks; 0 and -1: no limit.
pub(crate) fn pids(text: &str) -> Parsed<u64> {
    match text.parse::<i64>() {
        Ok(-1) => Ok(0),
        Ok(count) => u64::try_from(count).map_err(|_| "expected a number of processes, or -1 for no limit".to_owned()),
        Err(_) => Err("expected a number of processes, or -1 for no limit".to_owned()),
    }
}

/// Weight of CPU time; 0: the usual one.
pub(crate) fn cpu_shares(text: &str) -> Parsed<u64> {
    match text.parse() {
        Ok(shares @ (0 | 2..=262_144)) => Ok(shares),
        _ => Err("expected a weight from 2 to 262144; 1024 is the usual one".to_owned()),
    }
}

/// Seconds, as a number of milliseconds.
pub(crate) fn seconds(text: &str) -> Parsed<u32> {
    text.parse::<u32>()
        .ok()
        .and_then(|seconds| seconds.checked_mul(1000))
        .ok_or_else(|| "expected a number of seconds: 10".to_owned())
}

/// A decimal number in billionths; digits beyond the ninth are refused.
fn nano(text: &str) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let decimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || fraction.len() > NANO_DIGITS || !decimal(whole) || !decimal(fraction) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: u64 = format!("{fraction:0<NANO_DIGITS$}").parse().ok()?;
    Some(u128::from(whole) * u128::from(NANO) + u128::from(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_have_binary_units() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("1k", 1024), ("64m", 64 << 20), ("1.5G", 3 << 29), ("2GiB", 2 << 30), ("7b", 7)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "abc", "-1", "1x", "m", ".", "1.2.3", "1 m", "99999999999999999999t", "64mm", "+5"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn too_little_memory_is_refused_by_name() {
        assert_eq!(memory("0"), Ok(0));
        assert_eq!(memory("6m"), Ok(6 << 20));
        assert!(memory("1m").is_err_and(|error| error.contains("6m")));
        assert_eq!(memory_swap("-1"), Ok(-1));
        assert_eq!(memory_swap("1g"), Ok(1 << 30));
    }

    #[test]
    fn cpus_are_counted_in_billionths() {
        assert_eq!(cpus("0.5"), Ok(NANO / 2));
        assert_eq!(cpus("2"), Ok(2 * NANO));
        assert_eq!(cpus("1.25"), Ok(NANO + NANO / 4));
        assert_eq!(cpus(".5"), Ok(NANO / 2));
        for bad in ["", "x", "0.001", "-1", "1e3", "1.0000000001", "99999999999999999999"] {
            assert!(cpus(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn counts_and_seconds() {
        assert_eq!(pids("-1"), Ok(0));
        assert_eq!(pids("100"), Ok(100));
        assert!(pids("-2").is_err() && pids("many").is_err());
        assert_eq!(cpu_shares("512"), Ok(512));
        assert!(cpu_shares("1").is_err() && cpu_shares("262145").is_err() && cpu_shares("-1").is_err());
        assert_eq!(seconds("10"), Ok(10_000));
        assert!(seconds("5000000").is_err() && seconds("-1").is_err());
    }

    proptest! {
        #[test]
        fn any_word_is_answered(text in "\\PC*") {
            let _ = (size(&text), memory_swap(&text), cpus(&text), pids(&text), seconds(&text));
        }

        #[test]
        fn plain_bytes_are_themselves(bytes: u64) {
            prop_assert_eq!(size(&bytes.to_string()), Ok(bytes));
        }
    }
}
