//! Between 8 and 16 kHz, by a linear-phase filter of 32 taps: for codecs whose clocks differ by two.
//!
//! Up to 3400 Hz the level stays within ±0.15 dB. From 4600 Hz on, at 16 kHz, all is at least 52 dB down: the images of
//! doubling, and what would alias in halving. Between the two it falls, so that what aliases into 3400 to 4000 Hz is
//! down by less.
//!
//! The taps are an equiripple design (Parks–McClellan): at 16 kHz, pass band 0 to 3400 Hz with weight 1, stop band 4600
//! to 8000 Hz with weight 6, times 2^15, rounded. In SciPy:
//!
//! ```text
//! round(32768 * remez(32, [0, 3400, 4600, 8000], [1, 0], weight=[1, 6], fs=16000))
//! ```

use std::time::Duration;

use crate::fir::{CHUNK, Line, dot, fits, saturate};

/// Doubles 8 kHz to 16 kHz. The state is that of one direction of one call.
#[derive(Clone, Debug, Default)]
pub struct Upsampler {
    history: [i16; PHASE - 1],
}

/// Halves 16 kHz to 8 kHz. The state is that of one direction of one call.
#[derive(Clone, Debug, Default)]
pub struct Downsampler {
    history: [[i16; 2]; PHASE - 1],
}

impl Upsampler {
    /// By how much the output lags: 15.5 samples of 16 kHz.
    pub const DELAY: Duration = Duration::from_nanos(968_750);

    /// A resampler that has heard silence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes two samples of each, as long as both slices have room; returns how many were written. Half as many are
    /// consumed.
    pub fn process(&mut self, samples: &[i16], doubled: &mut [i16]) -> usize {
        let pairs = doubled.as_chunks_mut::<2>().0;
        let consumed = samples.len().min(pairs.len());
        for (samples, pairs) in samples[..consumed]
            .chunks(CHUNK)
            .zip(pairs[..consumed].chunks_mut(CHUNK))
        {
            let mut line = Line::after(&self.history);
            line.fresh()[..samples.len()].copy_from_slice(samples);
            for (window, pair) in line.windows::<PHASE>().zip(pairs) {
                // Of every two samples to filter one is zero, so each phase has half the taps, and half the sum: hence
                // 14, not 15.
                *pair = [&ODD, &EVEN].map(|taps| saturate((dot(window, taps) + (1 << 13)) >> 14));
            }
            line.leave(samples.len(), &mut self.history);
        }
        consumed * 2
    }
}

impl Downsampler {
    /// By how much the output lags: 14.5 samples of 16 kHz. (One less than 15.5, since the later sample of a pair is
    /// there when its output is made.)
    pub const DELAY: Duration = Duration::from_nanos(906_250);

    /// A resampler that has heard silence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes one sample of each pair, as long as both slices have room; returns how many were written. Twice as many
    /// are consumed, so an odd last sample is not: hand it in again, before those that follow it.
    pub fn process(&mut self, samples: &[i16], halved: &mut [i16]) -> usize {
        let pairs = samples.as_chunks::<2>().0;
        let written = pairs.len().min(halved.len());
        for (pairs, halved) in pairs[..written].chunks(CHUNK).zip(halved[..written].chunks_mut(CHUNK)) {
            let mut line = Line::after(&self.history);
            line.fresh()[..pairs.len()].copy_from_slice(pairs);
            for (window, sample) in line.windows::<PHASE>().zip(halved) {
                *sample = saturate((dot(window.as_flattened(), ALL.as_flattened()) + (1 << 14)) >> 15);
            }
            line.leave(pairs.len(), &mut self.history);
        }
        written
    }
}

/// Taps of one phase of two.
const PHASE: usize = 16;

/// The first half of the taps, times 2^15; the second half mirrors it.
const TAPS: [i16; PHASE] = [
    -84, 45, 291, 145, -341, -208, 558, 398, -838, -697, 1286, 1255, -2147, -2636, 5054, 14521,
];

const ALL: [[i16; 2]; PHASE] = {
    let mut pairs = [[0; 2]; PHASE];
    let mut at = 0;
    while at < PHASE {
        pairs[at] = [tap(2 * at), tap(2 * at + 1)];
        at += 1;
    }
    pairs
};

const EVEN: [i16; PHASE] = phase(0);
const ODD: [i16; PHASE] = phase(1);

const fn phase(of: usize) -> [i16; PHASE] {
    let mut taps = [0; PHASE];
    let mut at = 0;
    while at < PHASE {
        taps[at] = ALL[at][of];
        at += 1;
    }
    taps
}

const fn tap(at: usize) -> i16 {
    TAPS[if at < PHASE { at } else { 2 * PHASE - 1 - at }]
}

// The phases are parts of it.
const _: () = assert!(fits(ALL.as_flattened()));

#[cfg(test)]
mod tests;
