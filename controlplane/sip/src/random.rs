//! Random numbers from a seed.
//!
//! Tags, branches and Call-IDs go out to strangers and must not let them guess the next ones (RFC 3261 §19.3: "cryptographically random").
//! A generator that shows its state in its output (SplitMix64, a counter) would; so each number is the SipHash of the seed and a
//! count. The server takes the seed from the operating system; a test takes a constant and sees the same bytes in every run.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A generator; every number depends on the seed and on how many were drawn before.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    seed: u64,
    count: u64,
}

impl Random {
    /// A generator that starts at `seed`.
    pub(crate) fn new(seed: u64) -> Random {
        Random { seed, count: 0 }
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.count += 1;
        let mut hash = DefaultHasher::new();
        (self.seed, self.count, self.seed).hash(&mut hash);
        hash.finish()
    }

    /// A number in `0..bound`; 0 where `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// 64 random bits as 16 hex digits: a tag, the tail of a branch, a Call-ID.
    pub(crate) fn token(&mut self) -> String {
        format!("{:016x}", self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::Random;
    use std::collections::BTreeSet;

    #[test]
    fn the_seed_decides_and_nothing_repeats() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..1000).map(|_| random.token()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        let all: BTreeSet<_> = draw(1).into_iter().chain(draw(2)).collect();
        assert_eq!(all.len(), 2000);
        assert!(all.iter().all(|token| token.len() == 16));
    }

    #[test]
    fn below_stays_below() {
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| random.below(7) < 7));
        assert_eq!(random.below(0), 0);
    }
}
