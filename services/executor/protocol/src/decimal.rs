//! Decimal numbers without allocation.

/// Digits of an `i64` with its sign, at most.
const LONGEST: usize = 20;

/// A number as text.
pub(crate) struct Decimal {
    digits: [u8; LONGEST],
    start: usize,
}

impl Decimal {
    pub(crate) fn new(value: i64) -> Self {
        let mut decimal = Self { digits: [b'0'; LONGEST], start: LONGEST };
        let mut rest = value.unsigned_abs();
        loop {
            decimal.push(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            decimal.push(b'-');
        }
        decimal
    }

    fn push(&mut self, byte: u8) {
        self.start = self.start.saturating_sub(1);
        if let Some(place) = self.digits.get_mut(self.start) {
            *place = byte;
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }
}
