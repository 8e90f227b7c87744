//! ITU-T G.722 (1988): 7 kHz audio in 64 kbit/s.
//!
//! Quadrature mirror filters (clause 5) split 16 kHz into two bands of 8 kHz, and each is coded by ADPCM (clause 6):
//! the lower in six bits, the higher in two. A byte stands for two samples; the higher band has its first two bits. The
//! arithmetic is that of clauses 5.2 and 6.2 bit by bit: 16-bit words that saturate. The sub-blocks' names there
//! (QUANTL, UPZERO …) stand in the comments here.
//!
//! Samples have 16 bits, as in ITU-T G.191: the Recommendation's 14 bits, left-justified. Encoder and decoder together
//! delay by 22 samples, 1.375 ms. In RTP a byte is one tick of a clock called 8000 Hz (RFC 3551, section 4.5.2), and
//! all eight bits are audio: [`Mode::Kbit64`].
//!
//! Two samples make a byte, so an odd last sample is not consumed: hand it in again, before those that follow it.

use adpcm::{High, Low};

use crate::fir::{CHUNK, Line, dot, fits, saturate};

mod adpcm;
mod predictor;

/// Which bits of a byte are audio (clause 1.1). What an encoder writes fits all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Mode 1: all eight.
    Kbit64,
    /// Mode 2: all but the last, which is not looked at.
    Kbit56,
    /// Mode 3: all but the last two.
    Kbit48,
}

/// Codes a signal; the state is that of one direction of one call.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    low: Low,
    high: High,
    history: [[i16; 2]; BEFORE],
}

/// Decodes a signal; the state is that of one direction of one call.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    low: Low,
    high: High,
    /// Sum and difference of the bands.
    history: [[i16; 2]; BEFORE],
}

impl Encoder {
    /// An encoder that has heard silence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes pairs of samples of 16 kHz, as many as both slices have room for; returns the bytes written. Twice as
    /// many samples are consumed.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        let pairs = samples.as_chunks::<2>().0;
        let written = pairs.len().min(payload.len());
        for (pairs, bytes) in pairs[..written].chunks(CHUNK).zip(payload[..written].chunks_mut(CHUNK)) {
            let mut line = Line::after(&self.history);
            for (slot, pair) in line.fresh().iter_mut().zip(pairs) {
                *slot = *pair;
            }
            let mut bands = [[0; 2]; CHUNK];
            let bands = &mut bands[..bytes.len()];
            for (band, window) in bands.iter_mut().zip(line.windows::<WINDOW>()) {
                let window = window.as_flattened();
                *band = [&LOW, &HIGH].map(|taps| limit(dot(window, taps.as_flattened()) >> 14));
            }
            for (byte, &mut [low, high]) in bytes.iter_mut().zip(bands) {
                *byte = (self.high.encode(high) << 6) | self.low.encode(low);
            }
            line.leave(bytes.len(), &mut self.history);
        }
        written
    }
}

impl Decoder {
    /// A decoder that has heard silence.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes bytes, each to two samples of 16 kHz, as many as both slices have room for; returns the samples written.
    /// Half as many bytes are consumed. The mode may change at any byte.
    pub fn decode(&mut self, mode: Mode, payload: &[u8], samples: &mut [i16]) -> usize {
        let levels = mode.levels();
        let pairs = samples.as_chunks_mut::<2>().0;
        let consumed = pairs.len().min(payload.len());
        for (bytes, pairs) in payload[..consumed]
            .chunks(CHUNK)
            .zip(pairs[..consumed].chunks_mut(CHUNK))
        {
            let mut line = Line::after(&self.history);
            for (slot, &byte) in line.fresh().iter_mut().zip(bytes) {
                let low = limit(self.low.decode(byte, levels));
                let high = limit(self.high.decode(byte >> 6));
                // Fits: each has 15 bits.
                *slot = [low.wrapping_add(high), low.wrapping_sub(high)];
            }
            for (window, pair) in line.windows::<WINDOW>().zip(pairs) {
                let window = window.as_flattened();
                *pair = [&FIRST, &SECOND].map(|taps| saturate(dot(window, taps.as_flattened()) >> 11));
            }
            line.leave(bytes.len(), &mut self.history);
        }
        consumed * 2
    }
}

/// LIMIT: the bands have 15 bits.
#[inline]
fn limit(value: i32) -> i16 {
    value.clamp(-16_384, 16_383) as i16
}

/// Pairs that the filters look at, and those of them that are past.
const WINDOW: usize = 12;
const BEFORE: usize = WINDOW - 1;

/// The transmit filters (clause 5.2), for pairs of samples.
const LOW: [[i16; 2]; WINDOW] = filter(1, 1);
const HIGH: [[i16; 2]; WINDOW] = filter(-1, 1);

/// The receive filters, for pairs of sum and difference: they make the first and the second sample of a pair.
const FIRST: [[i16; 2]; WINDOW] = filter(0, 1);
const SECOND: [[i16; 2]; WINDOW] = filter(1, 0);

/// The first half of the 24 taps, times 2^13; the second half mirrors it.
const TAPS: [i16; WINDOW] = [3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876];

/// The taps, those that meet the first and the second of a pair each with their own sign.
const fn filter(first: i16, second: i16) -> [[i16; 2]; WINDOW] {
    let mut pairs = [[0; 2]; WINDOW];
    let mut at = 0;
    while at < WINDOW {
        pairs[at] = [first * tap(2 * at), second * tap(2 * at + 1)];
        at += 1;
    }
    pairs
}

const fn tap(at: usize) -> i16 {
    TAPS[if at < WINDOW { at } else { 2 * WINDOW - 1 - at }]
}

const _: () = assert!(
    fits(LOW.as_flattened()),
    "the others have the same magnitudes, or fewer"
);

#[cfg(test)]
mod tests;
