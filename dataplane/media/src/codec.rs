//! Codecs, dispatched by an enum. Sample slices are linear, mono, 16 bit, at the codec's clock.

pub mod g711;
pub mod g722;

use crate::command::Codec;

impl Codec {
    /// RTP clock, Hz.
    pub const fn clock_hz(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => 8000,
        }
    }

    /// Ticks of the RTP clock in a packet of `ptime_ms`; here also the bytes of its payload.
    pub const fn ticks(self, ptime_ms: u8) -> u32 {
        self.clock_hz() / 1000 * ptime_ms as u32
    }

    /// The byte of digital silence.
    pub const fn silence(self) -> u8 {
        match self {
            Codec::Pcmu => 0xff,
            Codec::Pcma => 0xd5,
        }
    }

    /// Encodes as many samples as both slices have room for; returns how many.
    pub fn encode(self, samples: &[i16], payload: &mut [u8]) -> usize {
        match self {
            Codec::Pcmu => zip(samples, payload, g711::encode_ulaw),
            Codec::Pcma => zip(samples, payload, g711::encode_alaw),
        }
    }

    /// Decodes as many samples as both slices have room for; returns how many.
    pub fn decode(self, payload: &[u8], samples: &mut [i16]) -> usize {
        match self {
            Codec::Pcmu => zip(payload, samples, g711::decode_ulaw),
            Codec::Pcma => zip(payload, samples, g711::decode_alaw),
        }
    }

    /// Mean square of the decoded samples; compare it with [`g711::BELOW_50_DBM0`] and its like. 0 for an empty payload.
    pub fn mean_square(self, payload: &[u8]) -> u32 {
        match self {
            Codec::Pcmu => g711::mean_square(&g711::ULAW_SQUARE, payload),
            Codec::Pcma => g711::mean_square(&g711::ALAW_SQUARE, payload),
        }
    }
}

/// Rewrites a payload from one codec to another in place, without going through linear samples. Both have the
/// same clock and one byte a sample, so length and timestamps stay.
pub fn transcode(from: Codec, to: Codec, payload: &mut [u8]) {
    let table = match (from, to) {
        (Codec::Pcmu, Codec::Pcmu) | (Codec::Pcma, Codec::Pcma) => return,
        (Codec::Pcmu, Codec::Pcma) => &g711::ULAW_TO_ALAW,
        (Codec::Pcma, Codec::Pcmu) => &g711::ALAW_TO_ULAW,
    };
    for byte in payload {
        *byte = table[usize::from(*byte)];
    }
}

fn zip<A: Copy, B>(from: &[A], to: &mut [B], convert: impl Fn(A) -> B) -> usize {
    for (from, to) in from.iter().zip(to.iter_mut()) {
        *to = convert(*from);
    }
    from.len().min(to.len())
}

#[cfg(test)]
mod vectors;
