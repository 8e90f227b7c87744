//! When speech began, in what is not only speech: the first word of who has just been joined.
//!
//! Whether it is speech at all, a small neural network says (`earshot`), of frames of 16 ms: noise of −24 dBm0 and less is none to it. It says so 4 to
//! 110 ms after the beginning, later the fainter that is. When exactly it was, the level says: from where the network became
//! attentive, back for as long as it was louder than the line is otherwise, in all or below 1 kHz, where voices are and noise is
//! less. So the beginning is found to some 10 ms, while it is told 10 to 140 ms later.
//!
//! Music, and tones that last, are speech to it as well.
//!
//! It listens at 8 kHz, and gives the network, which wants 16, the mean of two neighbours between them. What is above 4 kHz then mirrors what
//! is below. With nothing there, as a good filter would leave it, faint noise that sets in after silence has a score as speech has.

use std::fmt;
use std::time::Duration;

use crate::codec::g711::BELOW_50_DBM0;
use crate::codec::opus::Band;
use crate::resample::Downsampler;

/// Hears when somebody begins to speak. The state is that of one source: 10 KB.
pub struct Ear {
    band: Band,
    down: Downsampler,
    network: earshot::Detector,
    /// The last sample of the frame before, the frame that is not full yet, and how much of it is there. At 8 kHz.
    before: i16,
    frame: [i16; FRAME],
    filled: usize,
    levels: Levels,
    now: Now,
}

#[derive(Clone, Copy, Debug)]
enum Now {
    Quiet,
    /// It may be speech, since the block of this number. So loud was the line before.
    Attentive {
        block: u64,
        line: Level,
    },
    /// It is. What is not above that is none, and so many frames ago was the last that was like it.
    Speech {
        above: Level,
        faded: u32,
    },
}

impl Ear {
    /// An ear that has heard nothing.
    pub fn new(band: Band) -> Self {
        Ear {
            band,
            down: Downsampler::new(),
            network: earshot::Detector::default(),
            before: 0,
            frame: [0; FRAME],
            filled: 0,
            levels: Levels::default(),
            now: Now::Quiet,
        }
    }

    /// What follows is of this band, of the same source as before.
    pub fn tune(&mut self, band: Band) {
        if self.band != band {
            self.band = band;
            self.down = Downsampler::new();
        }
    }

    /// Forgets what it has heard: another source follows.
    pub fn reset(&mut self) {
        self.down = Downsampler::new();
        self.before = 0;
        self.network.reset();
        self.filled = 0;
        self.levels = Levels::default();
        self.now = Now::Quiet;
    }

    /// Listens to the next samples: as many as there are, at 16 kHz an even number. When it is clear that somebody has begun to speak, it says, once, how long
    /// before the end of these samples that was. Who pauses for 320 ms begins anew.
    pub fn heard(&mut self, samples: &[i16]) -> Option<Duration> {
        let mut began = None;
        match self.band {
            Band::Narrow => self.listen(samples, &mut began),
            Band::Wide => {
                let mut halved = [0; FRAME];
                for samples in samples.chunks(2 * FRAME) {
                    let written = self.down.process(samples, &mut halved);
                    self.listen(&halved[..written], &mut began);
                }
            }
        }
        let heard = self.levels.blocks * BLOCK as u64 + self.filled as u64;
        began.map(|block| Duration::from_micros((heard - block * BLOCK as u64) * 1_000_000 / 8_000))
    }

    /// Whether somebody is speaking. That he has stopped is known 320 ms later.
    pub fn is_speech(&self) -> bool {
        matches!(self.now, Now::Speech { .. })
    }

    fn listen(&mut self, samples: &[i16], began: &mut Option<u64>) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(FRAME - self.filled));
            self.frame[self.filled..][..now.len()].copy_from_slice(now);
            self.filled += now.len();
            rest = later;
            if self.filled == FRAME {
                self.filled = 0;
                *began = self.follow().or(*began);
            }
        }
    }

    /// Takes a frame, and says with which block speech began where it is clear by now that it has.
    fn follow(&mut self) -> Option<u64> {
        let mut doubled = [0; 2 * FRAME];
        for (pair, &sample) in doubled.as_chunks_mut().0.iter_mut().zip(&self.frame) {
            *pair = [self.before.midpoint(sample), sample];
            self.before = sample;
        }
        let score = self.network.predict_i16(&doubled);
        self.levels.take(&self.frame);
        let last = self.levels.blocks - 1;
        match &mut self.now {
            Now::Speech { above, faded } => {
                let is_above = self.levels.is_above(last, above) || self.levels.is_above(last - 1, above);
                *faded = if score < FADED || !is_above { *faded + 1 } else { 0 };
                if *faded == PAUSE {
                    self.now = Now::Quiet;
                }
                return None;
            }
            Now::Attentive { block, .. } if score < LIKELY || last - *block > UNSURE_MAX => self.now = Now::Quiet,
            Now::Attentive { .. } => {}
            Now::Quiet if score < LIKELY => {}
            Now::Quiet => {
                self.now = Now::Attentive {
                    block: last,
                    line: self.levels.line(),
                }
            }
        }
        let Now::Attentive { block, line } = self.now else {
            return None;
        };
        if score < SURE {
            return None;
        }
        let above = self.levels.above(block, line);
        if !self.levels.is_mostly_above(block, &above) {
            return None;
        }
        self.now = Now::Speech { above, faded: 0 };
        Some(self.levels.began(block, &above))
    }
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ear { band, now, .. } = self;
        f.debug_struct("Ear")
            .field("band", band)
            .field("now", now)
            .finish_non_exhaustive()
    }
}

/// Mean squares of all, and of what is below 1 kHz.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    all: f32,
    low: f32,
}

/// How loud the last second was, in blocks of 8 ms.
struct Levels {
    ring: [Level; KEPT],
    /// So many have been heard. They have numbers from 0 on.
    blocks: u64,
}

impl Default for Levels {
    fn default() -> Self {
        Levels {
            ring: [Level::default(); KEPT],
            blocks: 0,
        }
    }
}

impl Levels {
    fn take(&mut self, frame: &[i16; FRAME]) {
        for block in frame.as_chunks::<BLOCK>().0 {
            let (mut all, mut low) = (0.0, 0.0);
            // The mean of four is a low-pass filter that is good enough.
            for four in block.as_chunks::<4>().0 {
                let mut sum = 0.0;
                for &sample in four {
                    all += f32::from(sample) * f32::from(sample);
                    sum += f32::from(sample);
                }
                low += (sum / 4.0).powi(2);
            }
            self.ring[self.blocks as usize % KEPT] = Level {
                all: all / BLOCK as f32,
                low: low / (BLOCK / 4) as f32,
            };
            self.blocks += 1;
        }
    }

    /// How loud the line is when nobody speaks: what an eighth of the last second is below. Nothing of who has heard too little to
    /// know.
    fn line(&self) -> Level {
        let known = self.blocks.min(KEPT as u64) as usize;
        if known < KNOWN_MIN {
            return Level::default();
        }
        let eighth = |of: fn(&Level) -> f32| {
            let mut levels = self.ring.map(|level| of(&level));
            *levels[..known].select_nth_unstable_by(known / 8, f32::total_cmp).1
        };
        Level {
            all: eighth(|level| level.all),
            low: eighth(|level| level.low),
        }
    }

    /// How loud speech is at least that was noticed in a block.
    fn above(&self, noticed: u64, line: Level) -> Level {
        let loudest = (noticed..self.blocks)
            .map(|block| self.at(block).all)
            .fold(0.0, f32::max);
        let least = (loudest * BESIDE_SPEECH).max(BELOW_50_DBM0 as f32);
        Level {
            all: (line.all * ABOVE_LINE.all).max(least),
            low: (line.low * ABOVE_LINE.low).max(least),
        }
    }

    fn is_above(&self, block: u64, least: &Level) -> bool {
        let level = self.at(block);
        level.all > least.all || level.low > least.low
    }

    fn is_mostly_above(&self, noticed: u64, least: &Level) -> bool {
        let above = (noticed..self.blocks)
            .filter(|&block| self.is_above(block, least))
            .count() as u64;
        2 * above >= self.blocks - noticed
    }

    /// The block with which the sound began that was noticed in a block.
    fn began(&self, noticed: u64, above: &Level) -> u64 {
        let mut began = noticed;
        let mut quiet = 0;
        for block in (noticed.saturating_sub(EARLIER_MAX)..=noticed).rev() {
            if self.is_above(block, above) {
                began = block;
                quiet = 0;
            } else {
                quiet += 1;
                if quiet > GAP_MAX {
                    break;
                }
            }
        }
        began
    }

    fn at(&self, block: u64) -> Level {
        self.ring[block as usize % KEPT]
    }
}

/// 16 ms, as the network wants it.
const FRAME: usize = 128;
/// 8 ms.
const BLOCK: usize = 64;
/// About a second.
const KEPT: usize = 128;
/// Blocks by which a line is known.
const KNOWN_MIN: usize = 16;

/// The network's scores, 0 to 1: when it may be speech, when it is, when it is no more. Where noise sets in it may have 0.59 for 100 ms.
const LIKELY: f32 = 0.5;
const SURE: f32 = 0.65;
const FADED: f32 = 0.4;
/// Frames of a pause: 320 ms.
const PAUSE: u32 = 20;
/// For how many blocks it may remain unclear: half a second.
const UNSURE_MAX: u64 = 64;

/// How much louder than the line it must be: 6 dB in all, 8 dB below 1 kHz, where there are fewer values to a block.
const ABOVE_LINE: Level = Level { all: 4.0, low: 6.3 };
/// What is 25 dB fainter than the loudest of it is not part of it.
const BESIDE_SPEECH: f32 = 0.003;
/// Blocks that may be fainter in between.
const GAP_MAX: u32 = 1;
/// How many blocks late the network is at the most.
const EARLIER_MAX: u64 = 14;

#[cfg(test)]
pub(crate) mod tests;
