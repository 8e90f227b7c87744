//! Speech a little shorter or longer without another pitch: a period of the voice is left out, or said twice.
//!
//! That is how a jitter buffer that has too much or too little catches up (in NetEQ: accelerate and preemptive expand). Where the joint may
//! be is found by correlation (Verhelst and Roelands: WSOLA, ICASSP 1993), and both sides of it are cross-faded. The first and
//! the last millisecond of a stretch stay as they are, so that it joins its neighbours as before.
//!
//! The longer the stretch, the more is there to be compared: from 20 ms on every period is found, below 9.5 ms none that sounds well.

use crate::codec::g711::BELOW_50_DBM0;
use crate::codec::mean_square;
use crate::codec::opus::Band;
use crate::pitch;

/// When a stretch is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Where nobody hears it: periods that are alike (normalised correlation of 0.9), or below −50 dBm0.
    Unheard,
    /// However it sounds: at the best place that there is, from 5 ms on.
    Anyhow,
}

/// Leaves out one period of 2.5 to 12.5 ms. Returns the new length; what is behind it is of no use. The length that it had where
/// no period fits.
pub fn shorten(samples: &mut [i16], band: Band, need: Need) -> usize {
    let len = samples.len();
    let Some(Joint { end, lag, fade }) = Joint::find(samples, usize::MAX, band, need) else {
        return len;
    };
    let (from, to) = (end - lag - fade, end - fade);
    for at in 0..fade {
        samples[from + at] = cross(samples[from + at], samples[to + at], at, fade);
    }
    samples.copy_within(end.., end - lag);
    len - lag
}

/// Says one period of 2.5 to 12.5 ms twice. The first `len` samples are the signal, and behind them is room. Returns the new length; the one
/// that it had where no period fits, or there is no room for one.
pub fn lengthen(samples: &mut [i16], len: usize, band: Band, need: Need) -> usize {
    let len = len.min(samples.len());
    let room = samples.len() - len;
    let Some(Joint { end, lag, fade }) = Joint::find(&samples[..len], room, band, need) else {
        return len;
    };
    samples.copy_within(end - lag..len, end);
    for at in 0..fade {
        let from = end - fade + at;
        samples[from] = cross(samples[from], samples[from - lag], at, fade);
    }
    len + lag
}

/// Two places of a stretch that sound alike.
struct Joint {
    /// Where the later one ends.
    end: usize,
    /// How far the other one is before it.
    lag: usize,
    /// For how long they are cross-faded: a period at the most, so that they do not overlap.
    fade: usize,
}

impl Joint {
    fn find(samples: &[i16], room: usize, band: Band, need: Need) -> Option<Joint> {
        // In half milliseconds.
        let lengths = |halves: usize| halves * band.hz() as usize / 2000;
        let (shortest, longest, edge) = (lengths(PERIOD.0), lengths(PERIOD.1), lengths(EDGE));
        let end = samples.len().checked_sub(edge)?;
        let inner = samples.get(edge..end)?;
        let mut window = inner
            .len()
            .saturating_sub(longest)
            .clamp(lengths(WINDOW.0), lengths(WINDOW.1));
        if need == Need::Anyhow {
            window = window.min(inner.len().saturating_sub(shortest));
        }
        if window < lengths(1) {
            return None;
        }
        let found = pitch::find(inner, window, shortest..=longest.min(room), band)?;
        // As much of both as there is, a longest period at the most: by a part of one period others are found as well.
        let compared = (inner.len() - found.lag).min(longest);
        let unheard = || pitch::alike(inner, compared, found.lag) >= ALIKE || mean_square(samples) < BELOW_50_DBM0;
        (need == Need::Anyhow || unheard()).then(|| Joint {
            end,
            lag: found.lag,
            fade: found.lag.min(compared),
        })
    }
}

/// Shortest and longest period, half milliseconds: 80 to 400 Hz.
const PERIOD: (usize, usize) = (5, 25);
/// The least and the most that is compared to find it, half milliseconds.
const WINDOW: (usize, usize) = (10, 20);
/// What stays as it is at either end, half milliseconds.
const EDGE: usize = 2;
/// Periods with this normalised correlation are the same to who hears them.
const ALIKE: f32 = 0.9;

/// The `at`th sample of a cross-fade of `fade`.
fn cross(from: i16, to: i16, at: usize, fade: usize) -> i16 {
    let (from, to) = (i64::from(from), i64::from(to));
    let (at, whole) = (at as i64 + 1, fade as i64 + 1);
    ((from * (whole - at) + to * at) / whole) as i16
}

#[cfg(test)]
mod tests;
