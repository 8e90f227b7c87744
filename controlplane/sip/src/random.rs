//! Random numbers from a seed: SplitMix64 (Steele, Lea and Flood, 2014).
//!
//! Tags and branches must be hard to guess (RFC 3261 §19.3), so the server seeds it from the operating system; a test seeds it with a
//! constant and sees the same bytes in every run.

/// A generator; every number depends on the seed and on how many were drawn before.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator that starts at `seed`.
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
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

/// Spreads every input bit over all output bits.
fn mix(value: u64) -> u64 {
    let z = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_published_sequence() {
        // First outputs for seed 1234567, as published with the reference code.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }
}
