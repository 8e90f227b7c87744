//! Identifiers and tokens from a seed.

use std::hash::Hasher;

/// A keyed hash of a counter: the same seed gives the same run, and one number (a call's id, which many see) does not
/// give away another (a token). Good for both as long as the seed is secret and random.
#[derive(Debug)]
pub(crate) struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Random {
        Random { seed, drawn: 0 }
    }

    /// The next 64 bits.
    pub(crate) fn draw(&mut self) -> u64 {
        self.drawn += 1;
        // SipHash with the seed before and behind the counter.
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write_u64(self.drawn);
        hasher.write_u64(!self.seed);
        hasher.finish()
    }

    /// 32 hex digits.
    pub(crate) fn token(&mut self) -> String {
        format!("{:016x}{:016x}", self.draw(), self.draw())
    }
}
