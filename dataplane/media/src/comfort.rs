//! Comfort noise: faint hiss where nothing else is there to send, so that the line is not taken for dead.

use crate::codec::g711;
use crate::command::Codec;

/// Samples before the noise repeats: 1.75 s, which no packet time of 10 to 40 ms divides into a short cycle.
const LENGTH: usize = 14_000;

/// White noise at about −60 dBm0: above digital silence, below the −50 dBm0 of dead air. Made once, served by offset.
#[derive(Clone, Debug)]
pub struct Comfort {
    pcmu: Box<[u8]>,
    pcma: Box<[u8]>,
}

impl Comfort {
    /// Makes the noise. The same seed makes the same noise.
    pub fn new(seed: u64) -> Comfort {
        let mut state = seed;
        let samples: Vec<i16> = (0..LENGTH).map(|_| noise(&mut state)).collect();
        Comfort {
            pcmu: samples.iter().map(|&sample| g711::encode_ulaw(sample)).collect(),
            pcma: samples.iter().map(|&sample| g711::encode_alaw(sample)).collect(),
        }
    }

    /// Fills a payload, of which the first sample is the `offset`th of the noise. Consecutive offsets join without a seam.
    pub fn fill(&self, codec: Codec, offset: u32, payload: &mut [u8]) {
        let noise = match codec {
            Codec::Pcmu => &self.pcmu,
            Codec::Pcma => &self.pcma,
        };
        let mut at = offset as usize % noise.len();
        let mut rest = payload;
        while !rest.is_empty() {
            let length = rest.len().min(noise.len() - at);
            let (now, later) = rest.split_at_mut(length);
            now.copy_from_slice(&noise[at..at + length]);
            rest = later;
            at = 0;
        }
    }
}

/// The sum of twelve even numbers is near enough to a normal one; this has a standard deviation of 16 (−60 dBm0).
fn noise(state: &mut u64) -> i16 {
    let sum: i32 = (0..12).map(|_| (splitmix(state) >> 48) as i32 - 0x8000).sum();
    (sum / 4096) as i16
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests;
