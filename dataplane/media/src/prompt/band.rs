//! A prompt in the other band, and in another length: made once, at load, so it may take its time.
//!
//! Whatever has an end here is taken for a loop, whose beginning follows: what a filter spreads beyond the one end is at the other, and a
//! prompt that is repeated has no seam. Of one that begins and ends in silence nothing is seen of that.

use std::f64::consts::PI;

use crate::fir::saturate;
use crate::resample::Upsampler;

/// Taps of the halving on each side of the middle one.
const HALF: usize = 96;

/// Where half of it is left, Hz: all is there up to 3.7 kHz, and from 4.15 kHz on it is down by 80 dB.
const EDGE: f64 = 3_920.0;

/// Of Kaiser's window (Kaiser 1974): 80 dB.
const BETA: f64 = 8.0;

/// Two samples for each, at the same time to within half of one.
pub(super) fn doubled(narrow: &[i16]) -> Vec<i16> {
    /// Samples of 16 kHz: [`Upsampler::DELAY`].
    const LAG: usize = 15;
    let mut wide = vec![0; 2 * narrow.len()];
    let mut up = Upsampler::new();
    let tail = narrow.len().saturating_sub(16);
    up.process(&narrow[tail..], &mut [0; 32]);
    up.process(narrow, &mut wide);
    let lag = LAG % wide.len().max(1);
    wide.rotate_left(lag);
    wide
}

/// One sample for two, by a filter that does not lag.
pub(super) fn halved(wide: &[i16]) -> Vec<i16> {
    let taps = low_pass();
    let long = around(wide, HALF);
    let sum = |at: usize| {
        long[at..]
            .iter()
            .zip(&taps)
            .map(|(sample, tap)| sample * tap)
            .sum::<f32>()
    };
    (0..wide.len() / 2)
        .map(|at| saturate(sum(2 * at).round() as i32))
        .collect()
}

/// A loop, with so many of its samples before its beginning and after its end.
fn around(samples: &[i16], reach: usize) -> Vec<f32> {
    let ahead = (reach / samples.len() + 1) * samples.len() - reach;
    let endless = samples.iter().cycle().skip(ahead);
    endless
        .map(|&sample| sample.into())
        .take(samples.len() + 2 * reach)
        .collect()
}

fn low_pass() -> [f32; 2 * HALF + 1] {
    std::array::from_fn(|at| {
        let from_middle = at as f64 - HALF as f64;
        let share = EDGE / 8_000.0;
        let sinc = match at {
            HALF => share,
            _ => (PI * share * from_middle).sin() / (PI * from_middle),
        };
        let window = bessel(BETA * (1.0 - (from_middle / (HALF as f64 + 1.0)).powi(2)).sqrt()) / bessel(BETA);
        (sinc * window) as f32
    })
}

/// The modified Bessel function of the first kind, of order 0, by its series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..40 {
        term *= (x / (2.0 * f64::from(n))).powi(2);
        sum += term;
    }
    sum
}

/// Samples on each side that a sample between two of them is made of.
const REACH: usize = 16;

/// Played as a loop so much slower or faster that it has `length` samples.
pub(super) fn stretched(samples: &[i16], length: usize) -> Vec<i16> {
    let long = around(samples, REACH);
    (0..length)
        .map(|at| {
            let exact = at * samples.len();
            let fraction = (exact % length) as f32 / length as f32;
            between(&long[exact / length + 1..][..2 * REACH], fraction)
        })
        .collect()
}

/// The sample that lies by a fraction after the sixteenth, by a sine cardinal under a window of the fourth order (which needs no other
/// function).
fn between(samples: &[f32], fraction: f32) -> i16 {
    let middle = REACH - 1;
    if fraction == 0.0 {
        return samples[middle] as i16;
    }
    let mut sum = 0.0;
    for (at, sample) in samples.iter().enumerate() {
        let away = fraction + middle as f32 - at as f32;
        let window = 1.0 - (away / REACH as f32).powi(2);
        let sign = if at % 2 == middle % 2 { 1.0 } else { -1.0 };
        sum += sign * sample * window * window / away;
    }
    let sine = (std::f32::consts::PI * fraction).sin() / std::f32::consts::PI;
    saturate((sum * sine).round() as i32)
}
