/// SplitMix64: any number of streams from one seed, each from its own start.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of one input.
    pub(crate) fn of(seed: u64, target: &str, number: u64) -> Random {
        let name = target.bytes().fold(seed, |hash, c| {
            (hash ^ u64::from(c)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut random = Random(name ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    /// A stream that depends on an input alone.
    pub(crate) fn from(data: &[u8]) -> Random {
        let hash = data.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, c| {
            (hash ^ u64::from(*c)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Random(hash)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`; 0 where that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() as usize).checked_rem(bound).unwrap_or(0)
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
