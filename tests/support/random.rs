//! Chance that can be repeated.

/// A small generator (SplitMix64): the same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end - 1`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).unwrap()
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Which seeds to run, from the first on, and how many: one if the environment variable names
/// it (`4314`), as many as it says (`4314+3000`), or the usual ones.
pub fn seeds(variable: &str, usual: (u64, u64)) -> (u64, u64) {
    let Ok(text) = std::env::var(variable) else { return usual };
    let (first, count) = text.split_once('+').unwrap_or((&text, "1"));
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{variable} is a seed, or SEED+COUNT"));
    (number(first), number(count))
}
