//! Sizes in words.

const DECIMAL: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
const BINARY: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// Of what is stored, in powers of 1000 and three digits: `4.26MB`.
pub(crate) fn stored(bytes: u64) -> String {
    words(bytes, 1000.0, &DECIMAL)
}

/// Of memory, in powers of 1024 and three digits: `1.5MiB`.
pub(crate) fn memory(bytes: u64) -> String {
    words(bytes, 1024.0, &BINARY)
}

fn words(bytes: u64, base: f64, units: &[&str]) -> String {
    // Three digits are shown: what a float drops does not matter.
    let mut value = bytes as f64;
    let mut unit = 0;
    // What would be rounded to the next unit is shown in the next unit.
    while value >= base - 0.5 && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let decimals = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    let number = format!("{value:.decimals$}");
    let number = if decimals > 0 { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number}{}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1_234_567, "1.23MB"),
            (45_600_000, "45.6MB"),
            (999_999, "1MB"),
            (123_456_789_012, "123GB"),
        ] {
            assert_eq!(stored(bytes), text);
        }
        assert_eq!(memory(1536 << 10), "1.5MiB");
        assert_eq!(memory(100), "100B");
    }

    proptest! {
        #[test]
        fn any_size_is_short(bytes in 0..1_000_000_000_000_000_000_u64) {
            prop_assert!(stored(bytes).len() <= 6, "{}", stored(bytes));
            prop_assert!(memory(bytes).len() <= 7, "{}", memory(bytes));
        }
    }
}
