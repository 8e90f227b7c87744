//! A prompt in Opus: its packets, and those with which it begins once more.

use super::band;
use crate::codec::mean_square;
use crate::codec::opus::{Band, Decoder, Effort, Encoder, Settings};

/// Samples of 8 kHz in a packet of Opus that we make: 20 ms.
pub(crate) const TICKS_A_FRAME: usize = 160;

/// The same at 16 kHz.
const FRAME: usize = 2 * TICKS_A_FRAME;

/// Packets of the second round that are coded for it: so many at the least, and at the most.
const AGAIN: (usize, usize) = (20, 100);

/// Packets that a decoder hears before it is asked what it makes of the next ones.
const BEFORE: usize = 15;

/// How much these may differ from what they are to be, as a share of that: −35 dB.
const UNLIKE: f64 = 3e-4;

/// What is played over and over as whole packets, where silence at its end would be heard as a gap: so much slower or faster that it is. The
/// shortest that is changed has two seconds, so that is by 0.5 % at the most.
pub(super) fn fitted(wide: &[i16]) -> Option<Vec<i16>> {
    /// Samples of 16 kHz at either end, and what counts as silence there: about −50 dBm0.
    const EDGE: usize = 160;
    const SILENCE: u16 = 64;
    let edge = EDGE.min(wide.len());
    let mut edges = wide[..edge].iter().chain(&wide[wide.len() - edge..]);
    if wide.len().is_multiple_of(FRAME) || edges.all(|sample| sample.unsigned_abs() <= SILENCE) {
        return None;
    }
    let rounds = wide.repeat((2 * 16_000_usize).div_ceil(wide.len()));
    let frames = (rounds.len() + FRAME / 2) / FRAME;
    Some(band::stretched(&rounds, frames * FRAME))
}

/// Packets of Opus, 20 ms each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    /// Where each ends, and the mean square of its samples.
    ends: Vec<(u32, u32)>,
    /// How many there are. Those behind them are the first ones once more, as they follow the last one.
    round: usize,
}

impl Frames {
    /// Of samples of 16 kHz: in the first round, and then. Coded with as much care as there is: it is done once.
    pub(crate) fn new(first: &[i16], then: &[i16]) -> Frames {
        let settings = Settings {
            wide: Effort {
                bitrate: 32_000,
                complexity: 10,
            },
            ..Settings::default()
        };
        let mut frames = Frames::default();
        // Without memory for an encoder there is none for anything else.
        if let Ok(mut encoder) = Encoder::for_recordings(Band::Wide, &settings) {
            for samples in first.chunks(FRAME) {
                frames.code(&mut encoder, samples);
            }
            frames.round = frames.ends.len();
            frames.begin_again(&mut encoder, then);
        }
        frames.bytes.shrink_to_fit();
        frames.ends.shrink_to_fit();
        frames
    }

    /// Codes the beginning once more, as it follows the end, until the second round can go on with the packets of the first: where the far
    /// decoder, which has heard other packets than it would then have, makes the same of them. Mostly that is so after 0.4 s, but a tone may
    /// have another phase in its memory.
    fn begin_again(&mut self, encoder: &mut Encoder, samples: &[i16]) {
        let (mut least, mut best) = (f64::MAX, None);
        for (again, samples) in (1..).zip(samples.chunks(FRAME).take(AGAIN.1)) {
            self.code(encoder, samples);
            if again >= AGAIN.0 && again % 4 == 0 {
                let unlike = self.unlike(again).unwrap_or(f64::MAX);
                if unlike < least {
                    (least, best) = (unlike, Some(again));
                }
                if unlike < UNLIKE {
                    break;
                }
            }
        }
        if let Some(again) = best {
            self.ends.truncate(self.round + again);
            self.bytes.truncate(self.start(self.round + again));
        }
    }

    fn code(&mut self, encoder: &mut Encoder, samples: &[i16]) {
        let mut frame = [0; FRAME];
        frame[..samples.len()].copy_from_slice(samples);
        let mut packet = [0; 500];
        let len = encoder.encode(&frame, &mut packet).unwrap_or(0);
        self.bytes.extend_from_slice(&packet[..len]);
        self.ends.push((self.bytes.len() as u32, mean_square(&frame)));
    }

    /// How much is heard that should not be, where the packet at `again` of the first round follows on the one before of the second: as a share
    /// of what should.
    fn unlike(&self, again: usize) -> Option<f64> {
        let heard = |from: usize| {
            let mut decoder = Decoder::new(Band::Wide).ok()?;
            let mut heard = [[0; FRAME]; 2];
            for at in from - BEFORE..from {
                decoder.decode(self.get(at)?.0, &mut heard[0])?;
            }
            for (at, heard) in (again..).zip(&mut heard) {
                decoder.decode(self.get(at)?.0, heard)?;
            }
            Some(heard)
        };
        let (wanted, made) = (heard(again)?, heard(self.round + again)?);
        let square = |of: i32| f64::from(of) * f64::from(of);
        let (mut off, mut all) = (0.0, 1.0);
        for (&wanted, made) in wanted.as_flattened().iter().zip(made.as_flattened()) {
            off += square(i32::from(wanted) - i32::from(*made));
            all += square(wanted.into());
        }
        Some(off / all)
    }

    /// How many there are in a round.
    pub(crate) fn len(&self) -> usize {
        self.round
    }

    /// Which one is to be sent for the one at this place, where the last one was sent before.
    pub(crate) fn again(&self, at: usize) -> usize {
        let behind = self.round + at;
        if behind < self.ends.len() { behind } else { at }
    }

    /// A packet, and the mean square of its samples.
    pub(crate) fn get(&self, at: usize) -> Option<(&[u8], u32)> {
        let &(end, level) = self.ends.get(at)?;
        Some((&self.bytes[self.start(at)..end as usize], level))
    }

    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.ends[before].0 as usize)
    }
}
