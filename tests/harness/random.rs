//! Numbers that look random and depend on the seed alone: a run's plan can be repeated.

/// A generator of numbers: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own for the `number`th part of a run.
    pub fn part(seed: u64, number: u64) -> Self {
        let mut base = Self(seed);
        Self(base.draw() ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `bound` - 1. The bounds here are far too small for the remainder's bias to matter.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// A place in something of this length; 0 if it is empty.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.draw() >> 1).unwrap_or(0) % length.max(1)
    }

    /// One of these.
    pub fn choice<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.index(choices.len())]
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// From `first` to `last`.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// One of these, each as often as its weight says.
    pub fn weighted<'a, T>(&mut self, choices: &'a [(u64, T)]) -> &'a T {
        let mut at = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            match at.checked_sub(*weight) {
                Some(left) => at = left,
                None => return choice,
            }
        }
        unreachable!("{at} is beyond the sum of the weights")
    }
}
