//! Numbers that look random and depend on the seed alone: a run's plan can be repeated.

/// A generator of numbers: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own for the `number`th part of a run.
    pub(crate) fn part(seed: u64, number: u64) -> Self {
        let mut base = Self(seed);
        Self(base.next() ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `bound` - 1. The bounds here are far too small for the remainder's bias to matter.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// From `first` to `last`.
    pub(crate) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// One of these, each as often as its weight says.
    pub(crate) fn weighted<'a, T>(&mut self, choices: &'a [(u64, T)]) -> &'a T {
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

#[test]
fn a_seed_gives_the_same_numbers_again() {
    // The first numbers of the reference implementation for the seed 1234567.
    let mut random = Random::new(1_234_567);
    assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    let mut parts = (0..100).map(|number| Random::part(7, number).next()).collect::<Vec<_>>();
    parts.sort_unstable();
    parts.dedup();
    assert_eq!(parts.len(), 100);
}

#[test]
fn choices_come_as_often_as_they_weigh() {
    let mut random = Random::new(1);
    let choices = [(1, 'a'), (0, 'b'), (3, 'c')];
    let count = |wanted: char, random: &mut Random| (0..4000).filter(|_| *random.weighted(&choices) == wanted).count();
    assert!((900..1100).contains(&count('a', &mut random)));
    assert_eq!(count('b', &mut random), 0);
    assert!((0..1000).all(|_| (5..=7).contains(&random.between(5, 7))));
}
