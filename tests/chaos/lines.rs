//! Numbered lines, of which each must come once and in order.

use crate::ledger::{Ledger, Recorded, Wrong};

/// What a reader of numbered lines has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// The number of the first and the last line; none: none was read.
    seen: Option<(u64, u64)>,
}

/// How a line is not the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Lost(u64),
    Repeated(u64),
    NotANumber,
}

impl Lines {
    /// A reader who must get the first line first.
    pub(crate) fn from_the_first() -> Self {
        Self { seen: Some((1, 0)) }
    }

    /// A reader who begins anywhere.
    pub(crate) fn from_any() -> Self {
        Self::default()
    }

    /// The number of the last line; 0: there was none.
    pub(crate) fn last(&self) -> u64 {
        self.seen.map_or(0, |(_, last)| last)
    }

    fn add(&mut self, line: &str) -> Result<(), Fault> {
        let number: u64 = line.trim_end_matches('\r').parse().map_err(|_| Fault::NotANumber)?;
        let (first, last) = self.seen.unwrap_or((number, number.wrapping_sub(1)));
        let expected = last.wrapping_add(1);
        if number < expected {
            return Err(Fault::Repeated(expected - number));
        }
        self.seen = Some((first, number));
        if number == expected { Ok(()) } else { Err(Fault::Lost(number - expected)) }
    }

    /// Adds the next line that `reader` got.
    pub(crate) fn take(&mut self, reader: &str, line: &str, ledger: &Ledger) -> Result<(), Recorded> {
        let before = self.last();
        let (wrong, count) = match self.add(line) {
            Ok(()) => return Ok(()),
            Err(Fault::Lost(count)) => (Wrong::Lost, count),
            Err(Fault::Repeated(count)) => (Wrong::Repeated, count),
            Err(Fault::NotANumber) => (Wrong::Lost, 1),
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Err(ledger.wrong(wrong, count, format_args!("{reader}: line {line:?} follows line {before}")))
    }
}

#[test]
fn gaps_and_repeats_are_seen_and_counted() {
    let mut lines = Lines::from_any();
    assert_eq!((lines.add("7"), lines.add("8\r"), lines.last()), (Ok(()), Ok(()), 8));
    assert_eq!(lines.add("12"), Err(Fault::Lost(3)));
    assert_eq!(lines.add("13"), Ok(()));
    assert_eq!(lines.add("12"), Err(Fault::Repeated(2)));
    assert_eq!(lines.add(""), Err(Fault::NotANumber));
    assert_eq!(Lines::from_the_first().add("2"), Err(Fault::Lost(1)));
    assert_eq!(Lines::from_the_first().add("1"), Ok(()));
}
