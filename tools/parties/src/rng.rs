//! Random numbers for tags, branches, SSRCs and noise: not secret, only different each time.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// xorshift64*.
pub struct Rng(u64);

impl Default for Rng {
    fn default() -> Rng {
        Rng::new()
    }
}

impl Rng {
    /// Seeded by the process's hash keys, which the kernel's randomness made.
    pub fn new() -> Rng {
        Rng(RandomState::new().build_hasher().finish() | 1)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Hexadecimal digits for a tag or branch.
    pub fn token(&mut self) -> String {
        format!("{:016x}", self.bits())
    }
}
