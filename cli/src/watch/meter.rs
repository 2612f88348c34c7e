//! From counters to rates.

use std::collections::VecDeque;

/// Rates that are remembered of each.
const REMEMBERED: usize = 60;
const SECOND: f64 = 1e9;

/// Counters at one time. They only grow, unless what they count has begun anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// When, nanoseconds on any clock.
    pub(crate) at: i64,
    /// Whose counters: those of another cannot be compared with these.
    pub(crate) of: i64,
    /// CPU time, nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Bytes: read, written, received, sent.
    pub(crate) bytes: [u64; 4],
}

/// What happened between the last two readings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    before: Option<Reading>,
    /// Hundredths of a CPU.
    pub(crate) cpu: f64,
    /// Bytes in a second: read, written, received, sent.
    pub(crate) rates: [f64; 4],
    /// Hundredths of a CPU, the newest last.
    pub(crate) history: VecDeque<f64>,
}

impl Meter {
    /// Takes a reading; none: there is nothing to read now.
    pub(crate) fn add(&mut self, reading: Option<Reading>) {
        (self.cpu, self.rates) = match (self.before, reading) {
            (Some(before), Some(now)) if before.of == now.of && before.at < now.at => between(before, now),
            _ => Default::default(),
        };
        self.before = reading;
        if self.history.len() == REMEMBERED {
            self.history.pop_front();
        }
        self.history.push_back(self.cpu);
    }

    /// Bytes that moved in a second, whatever way.
    pub(crate) fn io(&self) -> f64 {
        self.rates.iter().sum()
    }
}

fn between(before: Reading, now: Reading) -> (f64, [f64; 4]) {
    // What a float drops is less than what is shown.
    let passed = now.at.saturating_sub(before.at) as f64;
    let grown = |before: u64, now: u64| now.saturating_sub(before) as f64 / passed;
    let mut rates = [0.0; 4];
    for (rate, (before, now)) in rates.iter_mut().zip(before.bytes.into_iter().zip(now.bytes)) {
        *rate = grown(before, now) * SECOND;
    }
    (grown(before.cpu_ns, now.cpu_ns) * 100.0, rates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_between_two_readings_of_one() {
        let mut meter = Meter::default();
        let first = Reading { at: 1_000_000_000, of: 7, cpu_ns: 5, bytes: [10, 0, 0, 0] };
        meter.add(Some(first));
        assert_eq!((meter.cpu, meter.io()), (0.0, 0.0));
        let second = Reading { at: 3_000_000_000, cpu_ns: 5 + 1_000_000_000, bytes: [2010, 0, 0, 2], ..first };
        meter.add(Some(second));
        assert_eq!((meter.cpu, meter.rates), (50.0, [1000.0, 0.0, 0.0, 1.0]));
        // Another process under that name, and none.
        meter.add(Some(Reading { at: 4_000_000_000, of: 8, ..second }));
        assert_eq!(meter.cpu, 0.0);
        meter.add(None);
        assert_eq!(meter.history, [0.0, 50.0, 0.0, 0.0]);
        for _ in 0..200 {
            meter.add(None);
        }
        assert_eq!(meter.history.len(), REMEMBERED);
    }
}
