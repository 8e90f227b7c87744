//! Comfort noise: faint hiss where nothing else is there to send, so that the line is not taken for dead.

use std::sync::LazyLock;

use crate::codec::g711::Law;
use crate::prompt::{Frames, TICKS_A_FRAME};
use crate::resample::Upsampler;

/// Samples before the noise repeats: 1.75 s, which no packet time of 10 to 60 ms divides into a short cycle.
const LENGTH: usize = 14_000;

/// White noise at about −60 dBm0: above digital silence, below the −50 dBm0 of dead air. Made once, served by offset.
#[derive(Clone, Debug)]
pub struct Comfort {
    pcmu: Box<[u8]>,
    pcma: Box<[u8]>,
    narrow: Box<[i16]>,
    wide: Box<[i16]>,
    opus: &'static Frames,
}

/// The noise in Opus, 1.6 s. The same for all: it takes some 20 ms to make.
static OPUS: LazyLock<Frames> = LazyLock::new(|| {
    let mut state = 0;
    let samples: Vec<i16> = (0..2 * 80 * TICKS_A_FRAME).map(|_| noise(&mut state)).collect();
    Frames::new(&samples, &[])
});

impl Comfort {
    /// Makes the noise. The same seed makes the same noise; that in Opus is always the same.
    pub fn new(seed: u64) -> Comfort {
        let mut state = seed;
        let narrow: Vec<i16> = (0..LENGTH).map(|_| noise(&mut state)).collect();
        // Once around first, so that the end joins the beginning.
        let mut wide = vec![0; 2 * LENGTH];
        let mut up = Upsampler::new();
        for _ in 0..2 {
            up.process(&narrow, &mut wide);
        }
        let coded = |law: Law| {
            let mut coded = vec![0; LENGTH].into_boxed_slice();
            law.encode(&narrow, &mut coded);
            coded
        };
        Comfort {
            pcmu: coded(Law::Mu),
            pcma: coded(Law::A),
            opus: &OPUS,
            wide: wide.into(),
            narrow: narrow.into(),
        }
    }

    /// Fills a payload of G.711, of which the first sample is the `offset`th of the noise. Consecutive offsets join without a seam.
    pub fn fill(&self, law: Law, offset: u32, payload: &mut [u8]) {
        let noise = match law {
            Law::Mu => &self.pcmu,
            Law::A => &self.pcma,
        };
        copy(noise, offset as usize, payload);
    }

    /// The same in linear samples of 8 kHz.
    pub(crate) fn narrow(&self, offset: u32, samples: &mut [i16]) {
        copy(&self.narrow, offset as usize, samples);
    }

    /// … and of 16 kHz, two for each of 8 kHz.
    pub(crate) fn wide(&self, offset: u32, samples: &mut [i16]) {
        copy(&self.wide, offset as usize % LENGTH * 2, samples);
    }

    /// A packet of Opus, 20 ms.
    pub(crate) fn opus(&self, offset: u32) -> Option<&[u8]> {
        let frame = offset as usize / TICKS_A_FRAME % self.opus.len().max(1);
        self.opus.get(frame).map(|(packet, _)| packet)
    }
}

fn copy<T: Copy>(noise: &[T], offset: usize, to: &mut [T]) {
    let mut at = offset % noise.len();
    let mut rest = to;
    while !rest.is_empty() {
        let length = rest.len().min(noise.len() - at);
        let (now, later) = rest.split_at_mut(length);
        now.copy_from_slice(&noise[at..at + length]);
        rest = later;
        at = 0;
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
