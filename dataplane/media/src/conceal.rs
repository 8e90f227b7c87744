//! Packet loss concealment after ITU-T G.711 Appendix I (1999): what did not come is made up from the last periods of the voice.
//!
//! An erasure repeats the last period, from 10 ms on the last two, from 20 ms on the last three, so that it does not buzz;
//! from 10 ms on it loses 20 % of its level every 10 ms, and after 60 ms it is silence. Where repetitions join, and
//! where what is received goes on, a quarter of a period (longer after a longer erasure) is an overlap-add.
//!
//! Unlike the Appendix it has no delay of its own. There the output lags by 3.75 ms, so that the last quarter of a period before
//! an erasure can still be blended into the first repetition. Here that has been played by then, and the 3.75 ms would be on the line of
//! every call that never loses a packet. So the first repetition begins with what followed one period ago, and the step
//! between the two, which the Appendix blends away, is added to it and fades out.
//!
//! At 16 kHz all lengths have twice as many samples.

use std::ops::RangeInclusive;

use crate::codec::opus::Band;
use crate::pitch;

/// Makes up for what did not come. The state is that of one source of one listener.
#[derive(Clone, Debug)]
pub struct Concealer {
    band: Band,
    /// What was played last, the newest last.
    history: [i16; HISTORY],
    /// So many of them are of a signal, at the most.
    known: usize,
    /// The history as the erasure began.
    before: [i16; HISTORY],
    now: Now,
}

#[derive(Clone, Debug)]
enum Now {
    Hearing,
    Erased(Repetition),
    /// The erasure is over: so many samples have been blended, of so many.
    Blending(Repetition, usize, usize),
}

impl Default for Concealer {
    /// For 8 kHz.
    fn default() -> Self {
        Self::new(Band::Narrow)
    }
}

impl Concealer {
    /// A concealer that has heard nothing.
    pub fn new(band: Band) -> Self {
        Concealer {
            band,
            history: [0; HISTORY],
            known: 0,
            before: [0; HISTORY],
            now: Now::Hearing,
        }
    }

    /// Forgets what it has heard: another source follows, or the same after a pause that was no loss.
    pub fn reset(&mut self) {
        *self = Self::new(self.band);
    }

    /// Remembers what came. Where it follows an erasure, its beginning is blended with what was made up, in place: for a quarter of
    /// a period and 4 ms for each 10 ms of erasure after the first, 10 ms at the most; over several stretches if they are short.
    pub fn heard(&mut self, samples: &mut [i16]) {
        self.now = match std::mem::replace(&mut self.now, Now::Hearing) {
            Now::Hearing => Now::Hearing,
            Now::Erased(repetition) => {
                let whole = repetition.blends();
                self.blend(repetition, 0, whole, samples)
            }
            Now::Blending(repetition, blended, whole) => self.blend(repetition, blended, whole, samples),
        };
        self.remember(samples);
    }

    /// Fills a stretch that did not come; the next call goes on with it. What it made up counts as heard. Silence
    /// where less than 18.75 ms were heard before.
    pub fn conceal(&mut self, samples: &mut [i16]) {
        let mut repetition = match std::mem::replace(&mut self.now, Now::Hearing) {
            Now::Erased(repetition) => repetition,
            Now::Hearing | Now::Blending(..) => {
                self.before = self.history;
                Repetition::of(&self.before, self.known, self.band)
            }
        };
        for sample in &mut *samples {
            *sample = nearest(repetition.next(&self.before));
        }
        self.remember(samples);
        if repetition.is_silent() {
            self.known = 0;
        }
        self.now = Now::Erased(repetition);
    }

    fn blend(&self, mut repetition: Repetition, mut blended: usize, whole: usize, samples: &mut [i16]) -> Now {
        for sample in samples.iter_mut().take(whole - blended) {
            blended += 1;
            let weight = blended as f32 / (whole + 1) as f32;
            *sample = nearest(cross(repetition.next(&self.before), f32::from(*sample), weight));
        }
        if blended < whole {
            Now::Blending(repetition, blended, whole)
        } else {
            Now::Hearing
        }
    }

    fn remember(&mut self, samples: &[i16]) {
        let fresh = &samples[samples.len().saturating_sub(HISTORY)..];
        self.history.copy_within(fresh.len().., 0);
        self.history[HISTORY - fresh.len()..].copy_from_slice(fresh);
        self.known = (self.known + fresh.len()).min(HISTORY);
    }
}

/// The Appendix has 66 to 200 Hz; a higher voice is repeated by two or three of its periods.
const PERIOD_MS: RangeInclusive<usize> = 5..=15;
/// What is compared to find it.
const WINDOW_MS: usize = 20;
/// Each 10 ms of an erasure a period more is in the cycle, up to three.
const LONGER_MS: usize = 10;
const PERIODS_MAX: usize = 3;
/// How long an erasure has its full level, and when it is silent.
const LOUD_MS: usize = 10;
const SILENT_MS: usize = 60;
/// The longest blend with what is received afterwards.
const BLEND_MS_MAX: usize = 10;

/// Three of the longest periods and a quarter, at 16 kHz: 48.75 ms.
const HISTORY: usize = (4 * PERIODS_MAX + 1) * *PERIOD_MS.end() * 16 / 4;

/// Periods of the past, over and over. A sample of it depends on nothing but its place.
#[derive(Clone, Debug)]
struct Repetition {
    /// Samples of 1 ms.
    ms: usize,
    period: usize,
    /// A quarter of it, for which repetitions overlap.
    quarter: usize,
    /// How many periods are in a cycle, how many may be, and where it stands in the cycle.
    periods: usize,
    periods_max: usize,
    at: usize,
    /// The cycle that was before this one, and for how many samples it has been fading.
    fading: Option<(usize, usize, usize)>,
    /// How far the last sample before the erasure was from where the first repetition begins, and for how many samples that is still seen.
    step: f32,
    stepping: usize,
    /// Samples since the erasure began.
    made: usize,
}

impl Repetition {
    /// What to repeat of a history, of which the last `known` samples are of a signal.
    fn of(before: &[i16; HISTORY], known: usize, band: Band) -> Repetition {
        let ms = band.hz() as usize / 1000;
        let lags = PERIOD_MS.start() * ms..=PERIOD_MS.end() * ms;
        let longest = *lags.end();
        let recent = &before[HISTORY - WINDOW_MS * ms - longest..];
        let period = pitch::find(recent, WINDOW_MS * ms, lags, band).map_or(longest, |found| found.lag);
        let quarter = period / 4;
        let enough = known >= longest + longest / 4;
        let predecessor = if enough { before[HISTORY - 1 - period] } else { 0 };
        Repetition {
            ms,
            period,
            quarter,
            periods: 1,
            periods_max: (known.saturating_sub(quarter) / period).clamp(1, PERIODS_MAX),
            at: 0,
            fading: None,
            step: f32::from(before[HISTORY - 1]) - f32::from(predecessor),
            stepping: quarter,
            // Of too little nothing is made but the way to silence.
            made: if enough { 0 } else { SILENT_MS * ms },
        }
    }

    fn next(&mut self, before: &[i16; HISTORY]) -> f32 {
        let wanted = (1 + self.made / (LONGER_MS * self.ms)).min(self.periods_max);
        if wanted > self.periods {
            self.fading = Some((self.periods, self.at, 0));
            self.periods = wanted;
            // In phase with what it was, in the oldest of the periods.
            self.at %= self.period;
        }
        let mut sample = self.repeated(before, self.periods, self.at);
        if let Some((periods, at, faded)) = self.fading {
            let weight = (faded + 1) as f32 / (self.quarter + 1) as f32;
            sample = cross(self.repeated(before, periods, at), sample, weight);
            self.fading = (faded + 1 < self.quarter).then(|| (periods, self.after(periods, at), faded + 1));
        }
        self.at = self.after(self.periods, self.at);
        let sample = sample * self.level() + self.step * self.stepping as f32 / (self.quarter + 1) as f32;
        self.stepping = self.stepping.saturating_sub(1);
        self.made += 1;
        sample
    }

    /// The sample at a place of a cycle of so many periods. Towards its end it becomes what was before its beginning.
    fn repeated(&self, before: &[i16; HISTORY], periods: usize, at: usize) -> f32 {
        let cycle = periods * self.period;
        let sample = f32::from(before[HISTORY - cycle + at]);
        match (at + self.quarter).checked_sub(cycle) {
            None => sample,
            Some(overlap) => {
                let next = f32::from(before[HISTORY - cycle - self.quarter + overlap]);
                cross(sample, next, (overlap + 1) as f32 / (self.quarter + 1) as f32)
            }
        }
    }

    fn after(&self, periods: usize, at: usize) -> usize {
        if at + 1 < periods * self.period { at + 1 } else { 0 }
    }

    /// 1 for 10 ms, then 0.2 less every 10 ms.
    fn level(&self) -> f32 {
        let fading = self.made.saturating_sub(LOUD_MS * self.ms) as f32;
        (1.0 - fading / ((SILENT_MS - LOUD_MS) * self.ms) as f32).max(0.0)
    }

    fn is_silent(&self) -> bool {
        self.made >= SILENT_MS * self.ms
    }

    /// For how many samples it is blended with what is received afterwards: 4 ms more for each 10 ms after the first.
    fn blends(&self) -> usize {
        let longer = self.made.saturating_sub(LOUD_MS * self.ms) * 4 / 10;
        (self.quarter + longer).min(BLEND_MS_MAX * self.ms)
    }
}

fn cross(from: f32, to: f32, weight: f32) -> f32 {
    from + (to - from) * weight
}

fn nearest(value: f32) -> i16 {
    // Half away from zero, without a call of a library; the conversion saturates.
    (value + 0.5f32.copysign(value)) as i16
}

#[cfg(test)]
mod tests;
