//! Keys that are heard: their tones in the sound of who sends no telephone-events.
//!
//! What is told as a key, and what is not, after ITU-T Q.24 and ETSI ES 201 235-3: a tone of 40 ms or more, and none of less than 24;
//! keys that are 40 ms apart as two, and one that breaks off for 10 ms as one; frequencies within 1.5 % of theirs, and none that are 3.5 % off;
//! each of both at −36 dBm0 or more, the higher one from 8 dB below the lower one to 4 dB above it; noise of 15 dB below both
//! together. Speech is kept out by what else is in it: both together have four fifths of all the power, for 35 ms without a break.
//!
//! Every 5 ms the last 20 ms are looked at through a Hann window, at the eight frequencies (Goertzel: An algorithm for the evaluation of finite
//! trigonometric series, 1958). A window so short tells 697 from 722 Hz by its phase only: how far that has moved since the window
//! before is the frequency, within 1 Hz or so in noise of 15 dB.

use std::f32::consts::TAU;
use std::f64::consts::PI;

use super::{HIGH_HZ, KEYPAD, LOW_HZ, sine_of};
use crate::codec::g711::ZERO_DBM0;

/// Hears keys in samples of 8 kHz. The state is that of one source.
#[derive(Clone, Debug)]
pub struct Detector {
    /// The last samples, the newest last, and how many are newer than the last look.
    window: [f32; WINDOW],
    fresh: usize,
    /// What the look before found at each frequency.
    before: [Phasor; FREQUENCIES],
    /// Which key the last looks found, and how many of them in a row.
    found: Option<u8>,
    times: u32,
    told: Option<Told>,
}

/// What is told of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// It is pressed, and has been for about 40 ms.
    Began(char),
    /// It is released, or gave way to another one: 30 ms ago or so.
    Ended {
        /// For how long it was heard: ±5 ms, ±10 where its frequencies are off.
        ms: u32,
    },
}

/// The key that has been told.
#[derive(Clone, Copy, Debug)]
struct Told {
    key: u8,
    /// Looks since it was first found, and since it was last found.
    looks: u32,
    missed: u32,
}

/// A complex amplitude.
#[derive(Clone, Copy, Debug, Default)]
struct Phasor {
    re: f32,
    im: f32,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// A detector that has heard silence.
    pub fn new() -> Self {
        Detector {
            window: [0.0; WINDOW],
            fresh: 0,
            before: [Phasor::default(); FREQUENCIES],
            found: None,
            times: 0,
            told: None,
        }
    }

    /// Listens to the next samples, as many as there are, and tells which keys began and ended in them.
    pub fn heard(&mut self, samples: &[i16], mut tell: impl FnMut(Key)) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(HOP - self.fresh));
            let at = WINDOW - HOP + self.fresh;
            for (to, &sample) in self.window[at..].iter_mut().zip(now) {
                *to = f32::from(sample);
            }
            self.fresh += now.len();
            rest = later;
            if self.fresh == HOP {
                let found = self.look();
                self.follow(found, &mut tell);
                self.window.copy_within(HOP.., 0);
                self.fresh = 0;
            }
        }
    }

    /// Whether the last 20 ms are those of a key, and of which: its place on the keypad.
    fn look(&mut self) -> Option<u8> {
        let mut weighted = [0.0; WINDOW];
        let mut power = 0.0;
        for ((to, sample), weight) in weighted.iter_mut().zip(&self.window).zip(&HANN) {
            *to = sample * weight;
            power += *to * *to;
        }
        // Both are the mean square of a tone that fills the window.
        let power = power / HANN_SQUARES;
        if power < FAINT {
            self.before = Default::default();
            return None;
        }
        let now = goertzel(&weighted);
        let before = std::mem::replace(&mut self.before, now);
        let loudest = |group: std::ops::Range<usize>| {
            group.max_by(|&one, &other| now[one].square().total_cmp(&now[other].square()))
        };
        let (low, high) = (loudest(0..4)?, loudest(4..8)?);
        let low_power = tone(low, before[low], now[low])?;
        let high_power = tone(high, before[high], now[high])?;
        let twist = high_power / low_power;
        let is_key = low_power.min(high_power) >= FAINTEST_TONE
            && (TWIST_MIN..=TWIST_MAX).contains(&twist)
            && low_power + high_power >= SHARE * power;
        is_key.then_some((low * 4 + high - 4) as u8)
    }

    fn follow(&mut self, found: Option<u8>, tell: &mut impl FnMut(Key)) {
        self.times = if found.is_some() && found == self.found {
            self.times + 1
        } else {
            1
        };
        self.found = found;
        if let Some(told) = &mut self.told {
            told.looks += 1;
            told.missed = if found == Some(told.key) { 0 } else { told.missed + 1 };
        }
        let another = found.filter(|&key| self.times == LOOKS_BEGIN && self.told.is_none_or(|told| told.key != key));
        if let Some(told) = self.told
            && (told.missed == LOOKS_END || another.is_some())
        {
            tell(Key::Ended {
                ms: (told.looks - told.missed) * HOP_MS + AT_EDGES_MS,
            });
            self.told = None;
        }
        if let Some(key) = another {
            tell(Key::Began(KEYPAD[usize::from(key)].into()));
            self.told = Some(Told {
                key,
                looks: self.times,
                missed: 0,
            });
        }
    }
}

impl Phasor {
    fn square(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    fn times_conjugate(self, other: Phasor) -> Phasor {
        Phasor {
            re: self.re * other.re + self.im * other.im,
            im: self.im * other.re - self.re * other.im,
        }
    }
}

/// The mean square of a tone that is near enough to a frequency.
fn tone(which: usize, before: Phasor, now: Phasor) -> Option<f32> {
    let turned = now.times_conjugate(before).times_conjugate(TURN[which]);
    let hz = turned.im.atan2(turned.re) * RATE / (TAU * HOP as f32);
    if turned.square() == 0.0 || hz.abs() > OFF_MAX * FREQUENCY[which] {
        return None;
    }
    // What the window takes from a tone beside its middle, a series of sinc(x) / (1 − x²).
    let bins = hz * WINDOW as f32 / RATE;
    let seen = 1.0 - 0.645 * bins.powi(2) + 0.166 * bins.powi(4);
    Some(2.0 * now.square() / (HANN_SUM * seen).powi(2))
}

/// All frequencies at once: what depends on the sample before in one does not in the others.
fn goertzel(samples: &[f32; WINDOW]) -> [Phasor; FREQUENCIES] {
    let (mut last, mut before) = ([0.0f32; FREQUENCIES], [0.0f32; FREQUENCIES]);
    for &sample in samples {
        for at in 0..FREQUENCIES {
            let next = sample + 2.0 * STEP[at].re * last[at] - before[at];
            before[at] = last[at];
            last[at] = next;
        }
    }
    std::array::from_fn(|at| Phasor {
        re: last[at] - STEP[at].re * before[at],
        im: STEP[at].im * before[at],
    })
}

const RATE: f32 = 8_000.0;
const HOP_MS: u32 = 5;
const HOP: usize = 40;
const WINDOW: usize = 160;
const FREQUENCIES: usize = 8;

/// Looks in a row that find a key before it is one: a tone of 24 ms is found by four at the most, one of 40 ms by six at least.
const LOOKS_BEGIN: u32 = 5;
/// Looks in a row that do not, before it is over: a break of 10 ms is four, a pause of 40 ms ten.
const LOOKS_END: u32 = 6;
/// A tone is this much longer than the looks that find it, since it must fill seven tenths of the window.
const AT_EDGES_MS: u32 = 8;

/// How far off a frequency may be: between 1.5 % that it must and 3.5 % that it must not.
const OFF_MAX: f32 = 0.025;
/// What both tones have of the power.
const SHARE: f32 = 0.8;
/// High to low, as powers: −9.5 to 5.5 dB.
const TWIST_MIN: f32 = 0.112;
const TWIST_MAX: f32 = 3.55;
/// Mean square of a tone of −38 dBm0, and of the power below which nobody looks further, −42 dBm0.
const FAINTEST_TONE: f32 = ZERO_DBM0 as f32 * 1.58e-4;
const FAINT: f32 = ZERO_DBM0 as f32 * 6.3e-5;

const FREQUENCY: [f32; FREQUENCIES] = {
    let mut all = [0.0; FREQUENCIES];
    let mut at = 0;
    while at < FREQUENCIES {
        all[at] = hz(at) as f32;
        at += 1;
    }
    all
};

/// By what a tone turns in a sample, and in a hop.
const STEP: [Phasor; FREQUENCIES] = turns(1);
const TURN: [Phasor; FREQUENCIES] = turns(HOP);

const fn turns(samples: usize) -> [Phasor; FREQUENCIES] {
    let mut all = [Phasor { re: 0.0, im: 0.0 }; FREQUENCIES];
    let mut at = 0;
    while at < FREQUENCIES {
        let turns = hz(at) * samples as f64 / RATE as f64;
        all[at] = Phasor {
            re: sine(turns + 0.25),
            im: sine(turns),
        };
        at += 1;
    }
    all
}

const fn hz(at: usize) -> f64 {
    if at < 4 {
        LOW_HZ[at] as f64
    } else {
        HIGH_HZ[at - 4] as f64
    }
}

/// Of a number of turns.
const fn sine(turns: f64) -> f32 {
    let turns = turns - turns.floor();
    let quarter = if turns < 0.25 {
        turns
    } else if turns < 0.75 {
        0.5 - turns
    } else {
        turns - 1.0
    };
    sine_of(quarter * 2.0 * PI) as f32
}

const HANN: [f32; WINDOW] = {
    let mut window = [0.0; WINDOW];
    let mut at = 0;
    while at < WINDOW {
        let sine = sine((at as f64 + 0.5) / (2 * WINDOW) as f64);
        window[at] = sine * sine;
        at += 1;
    }
    window
};

/// Sums of the window and of its squares.
const HANN_SUM: f32 = WINDOW as f32 / 2.0;
const HANN_SQUARES: f32 = WINDOW as f32 * 0.375;

#[cfg(test)]
mod tests;
