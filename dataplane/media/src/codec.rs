//! Codecs. Sample slices are linear, mono, 16 bit.

pub mod g711;
pub mod g722;
pub mod l16;
pub mod opus;

use crate::codec::g711::Law;
use crate::codec::opus::Band;
use crate::command::Codec;

impl Codec {
    /// All.
    pub const ALL: [Codec; 6] = [
        Codec::Pcmu,
        Codec::Pcma,
        Codec::G722,
        Codec::L16,
        Codec::L16Wide,
        Codec::Opus,
    ];

    /// RTP clock, Hz. That of G.722 is not its rate, for history's sake (RFC 3551, section 4.5.2).
    pub const fn clock_hz(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16 => 8_000,
            Codec::L16Wide => 16_000,
            Codec::Opus => 48_000,
        }
    }

    /// Ticks of the RTP clock in a packet of `ptime_ms`.
    pub const fn ticks(self, ptime_ms: u8) -> u32 {
        self.clock_hz() / 1000 * ptime_ms as u32
    }

    /// The rate of its samples. `None` for Opus, which has that of the other side.
    pub const fn band(self) -> Option<Band> {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::L16 => Some(Band::Narrow),
            Codec::G722 | Codec::L16Wide => Some(Band::Wide),
            Codec::Opus => None,
        }
    }

    /// Which law of G.711 it is, if one.
    pub const fn law(self) -> Option<Law> {
        match self {
            Codec::Pcmu => Some(Law::Mu),
            Codec::Pcma => Some(Law::A),
            _ => None,
        }
    }

    /// Bytes of 125 µs, a tick of 8000 Hz. `None` for Opus, whose packets have any length.
    pub const fn bytes_a_tick(self) -> Option<usize> {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => Some(1),
            Codec::L16 => Some(2),
            Codec::L16Wide => Some(4),
            Codec::Opus => None,
        }
    }

    /// How long a payload sounds, ticks of the RTP clock. `None` where it is none of this codec.
    pub fn duration(self, payload: &[u8]) -> Option<u32> {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => Some(payload.len() as u32),
            Codec::L16 | Codec::L16Wide => Some(payload.len() as u32 / 2),
            Codec::Opus => opus::duration(payload),
        }
        .filter(|&ticks| ticks != 0)
    }
}

/// Mean square of samples; compare it with [`g711::BELOW_50_DBM0`] and its like. 0 of none.
pub fn mean_square(samples: &[i16]) -> u32 {
    let sum: u64 = samples.iter().map(|&sample| i64::from(sample).pow(2) as u64).sum();
    sum.checked_div(samples.len() as u64).unwrap_or(0) as u32
}

#[cfg(test)]
mod vectors;
